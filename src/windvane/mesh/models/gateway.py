"""networking.istio.io `Gateway`: what an edge proxy listens for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from windvane.mesh.models.base import Items, Labels, Model
from windvane.mesh.models.metadata import Resource
from windvane.mesh.models.services import ServicePort

TLSVersion = Literal["TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3"]


class TLSCertificate(Model):
    """A certificate and its key by the paths of files; several of different kinds of key may serve one port."""

    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""


class ServerTLSSettings(Model):
    """TLS of a server. Paths are files of this machine; credentials are Secrets of the gateway's namespace."""

    https_redirect: bool = False
    mode: Literal["PASSTHROUGH", "SIMPLE", "MUTUAL", "AUTO_PASSTHROUGH", "ISTIO_MUTUAL", "OPTIONAL_MUTUAL"] = (
        "PASSTHROUGH"
    )
    server_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    subject_alt_names: Items[str] = ()
    min_protocol_version: TLSVersion = "TLS_AUTO"
    max_protocol_version: TLSVersion = "TLS_AUTO"
    cipher_suites: Items[str] = ()
    credential_name: str = ""
    credential_names: Items[str] = ()
    ca_cert_credential_name: str = ""
    ca_crl: str = ""
    insecure_skip_verify: bool | None = None
    tls_certificates: Items[TLSCertificate] = ()
    verify_certificate_hash: Items[str] = ()
    verify_certificate_spki: Items[str] = ()

    @property
    def credentials(self) -> tuple[str, ...]:
        """The Secrets that certificates come from."""
        return (self.credential_name,) if self.credential_name else self.credential_names

    @property
    def ca_credential(self) -> str:
        """The name under which the CA certificates for clients are found; "" where a file holds them."""
        name = self.ca_cert_credential_name or (self.credentials[0] if self.credentials else "")
        return f"{name.removesuffix('-cacert')}-cacert" if name else ""

    @property
    def asks_for_certificates(self) -> bool:
        """Whether clients are asked for a certificate of their own."""
        return self.mode in ("MUTUAL", "OPTIONAL_MUTUAL")


class Server(Model):
    """One port of a gateway and the hosts it exposes (`host` or `namespace/host`)."""

    port: ServicePort | None = None
    bind: str = ""
    hosts: Items[str] = ()
    tls: ServerTLSSettings | None = None
    name: str = ""
    default_endpoint: str = ""


class GatewaySpec(Model):
    """Servers, and the labels of the proxies that run them."""

    servers: Items[Server] = ()
    selector: Labels = Field(default_factory=dict)


class Gateway(Resource):
    """networking.istio.io Gateway."""

    kind: Literal["Gateway"] = "Gateway"
    spec: GatewaySpec = Field(default_factory=GatewaySpec)

    def picks(self, labels: Mapping[str, str], namespace: str) -> bool:
        """Whether proxies of a namespace with these labels run its servers (an empty selector picks none here)."""
        return bool(self.spec.selector) and self.spec.selector.items() <= labels.items()
