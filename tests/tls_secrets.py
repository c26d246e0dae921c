"""Secrets with certificates that are made when they are asked for: no key stands in the repository."""

from __future__ import annotations

import datetime
import json
from dataclasses import dataclass
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

_BEGIN = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True)
class Made:
    """A certificate and its key."""

    certificate: x509.Certificate
    key: Key

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def key_pem(self) -> str:
        plain = serialization.NoEncryption()
        return self.key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain).decode()


def made(name: str, *, by: Made | None = None, hosts: tuple[str, ...] = (), key: Key | None = None) -> Made:
    """A certificate for hosts, or an authority when `by` is none."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.certificate.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(_BEGIN)
        .not_valid_after(_BEGIN + datetime.timedelta(days=36_500))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None), critical=True)
    )
    if hosts:
        builder = builder.add_extension(x509.SubjectAlternativeName(list(map(x509.DNSName, hosts))), critical=False)
    return Made(builder.sign(by.key if by else key, hashes.SHA256()), key)


def secret(place: str, values: dict[str, str], kind: str = "Opaque") -> dict[str, Any]:
    """A Secret `namespace/name`."""
    namespace, name = place.split("/")
    metadata = {"namespace": namespace, "name": name}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": kind, "stringData": values}


def tls_secret(place: str, own: Made, ca: Made | None = None) -> dict[str, Any]:
    """A Secret of type kubernetes.io/tls."""
    trusted = {"ca.crt": ca.pem} if ca else {}
    return secret(place, {"tls.crt": own.pem, "tls.key": own.key_pem, **trusted}, "kubernetes.io/tls")


def bank_secrets() -> str:
    """The Secrets that files in `data` name, as a file's text."""
    root, others = made("root"), made("others")
    bank = made("bank", by=root, hosts=("*.bank.example",))
    generic = made("bank", by=root, hosts=("*.bank.example",), key=rsa.generate_private_key(65537, 2048))
    gateway = "istio-system"
    items = [
        tls_secret(f"{gateway}/bank", bank, root),
        secret(f"{gateway}/bank-generic", {"cert": generic.pem, "key": generic.key_pem}),
        secret(f"{gateway}/bank-generic-cacert", {"cacert": root.pem}),
        secret(f"{gateway}/strangers", {"cacert": others.pem}),
        tls_secret("keys/store", made("store", by=root, hosts=("*.bank.example",)), root),
        tls_secret("clients/alice", made("alice", by=root, hosts=("alice.example",))),
        tls_secret("clients/stranger", made("stranger", by=others, hosts=("stranger.example",))),
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
