"""SDS: what a proxy proves itself with (`default`) and whom it believes (`ROOTCA`), as Istio names them."""

from __future__ import annotations

from datetime import timedelta

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.transport_sockets.tls import v3 as tls

from windvane.xds.ca import WorkloadCertificate
from windvane.xds.resources import Resource, pack

CERTIFICATE, ROOT = "default", "ROOTCA"
_PATIENCE = 3.0
"""Seconds. A Secret that there is comes with the first answer."""


def secrets(certificate: WorkloadCertificate, root_pem: bytes) -> list[Resource]:
    """The two secrets of a proxy, from its certificate and the mesh's root (PEM)."""
    own = tls.TlsCertificate(
        certificate_chain=core.DataSource(inline_bytes=certificate.chain_pem),
        private_key=core.DataSource(inline_bytes=certificate.key_pem),
    )
    trusted = tls.CertificateValidationContext(trusted_ca=core.DataSource(inline_bytes=root_pem))
    return [
        pack(CERTIFICATE, tls.Secret(name=CERTIFICATE, tls_certificate=own)),
        pack(ROOT, tls.Secret(name=ROOT, validation_context=trusted)),
    ]


def reference(name: str) -> tls.SdsSecretConfig:
    """How a TLS context asks for a secret: over the ADS stream."""
    return tls.SdsSecretConfig(name=name, sds_config=ads_source())


def credential(name: str) -> tls.SdsSecretConfig:
    """How a TLS context asks for a Secret of the configuration.

    One that is not there must not keep the rest of a listener or cluster from coming up, as in Istio.
    """
    source = ads_source()
    source.initial_fetch_timeout = timedelta(seconds=_PATIENCE)
    return tls.SdsSecretConfig(name=credential_name(name), sds_config=source)


def credential_name(name: str) -> str:
    """Istio's name of a Secret in SDS."""
    return name if "://" in name else f"kubernetes://{name}"


def ads_source() -> core.ConfigSource:
    """Configuration that comes over the ADS stream, waited for as long as it takes."""
    return core.ConfigSource(
        ads=core.AggregatedConfigSource(), resource_api_version=core.ApiVersion.V3, initial_fetch_timeout=timedelta()
    )
