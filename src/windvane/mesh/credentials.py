"""What a Secret holds for TLS, and which Secret a credential's name means.

The keys in a Secret are those of Istio's documentation: `cert`, `key`, `cacert` and `crl` of a generic one, `tls.crt`,
`tls.key`, `ca.crt` and `ca.crl` of type kubernetes.io/tls.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from windvane.mesh.models import Secret

T = TypeVar("T")

CA_SUFFIX = "-cacert"
"""What a Secret's name ends in that holds the CA certificates for another one."""
_SCHEME = "kubernetes://"
_IN_FULL = "kubernetes-gateway://"
"""What stands before a name that says its namespace: of a certificate of Gateway API's Gateways."""
_KEYS = {
    "certificate": ("cert", "tls.crt"),
    "key": ("key", "tls.key"),
    "ca": ("cacert", "ca.crt"),
    "crl": ("crl", "ca.crl"),
}


@dataclass(frozen=True, slots=True)
class Credential:
    """PEM texts; empty where the Secret does not have one."""

    certificate: bytes = b""
    key: bytes = field(default=b"", repr=False)
    ca: bytes = b""
    crl: bytes = b""


class BadCredentialError(ValueError):
    """Why a Secret is no credential; never holds any of its content."""


def plain_name(name: str) -> str:
    """A credential's name without the `kubernetes://` that Istio lets stand before it."""
    return name.removeprefix(_SCHEME)


def name_in_full(namespace: str, name: str) -> str:
    """A credential's name for a Secret of any namespace, as Istio writes it for Gateway API's Gateways."""
    return f"{_IN_FULL}{namespace}/{name}"


def _place(namespace: str, name: str) -> str:
    """The Secret, as `namespace/name`, that a name means in a namespace."""
    return name.removeprefix(_IN_FULL) if name.startswith(_IN_FULL) else f"{namespace}/{plain_name(name)}"


def credential_of(secret: Secret) -> Credential:
    """The credential in a Secret; `BadCredentialError` when its values are not base64."""
    values = _values(secret)
    found: dict[str, bytes] = {}
    generic = bool(values.get("cert") and values.get("key"))
    for name, (own, tls) in _KEYS.items():
        # A certificate and its key come from one pair of entries: Istio never mixes the two ways to write them.
        mixed = name in ("certificate", "key")
        text = values.get(own if generic else tls) if mixed else values.get(own) or values.get(tls)
        found[name] = text or b""
    return Credential(**found)


def server_credential(secrets: Mapping[str, Secret], namespace: str, name: str) -> Credential | None:
    """The certificate and key that a name means in a namespace; None where there is none that can be used."""
    secret = secrets.get(_place(namespace, name))
    if secret is None or any(problems(secret)):
        return None
    return credential_of(secret)


def ca_credential(secrets: Mapping[str, Secret], namespace: str, name: str) -> Credential | None:
    """The CA certificates that a name means: of the Secret of that name, else of the one without `-cacert`."""
    place = _place(namespace, name)
    for candidate in dict.fromkeys((place, place.removesuffix(CA_SUFFIX))):
        secret = secrets.get(candidate)
        if secret is not None and not any(ca_problems(secret)):
            return credential_of(secret)
    return None


def problems(secret: Secret) -> Iterator[str]:
    """Why a Secret is no certificate with its key."""
    try:
        found = credential_of(secret)
    except BadCredentialError as error:
        yield str(error)
        return
    if not found.certificate or not found.key:
        yield "it holds neither cert and key nor tls.crt and tls.key"
        return
    certificate = _read(x509.load_pem_x509_certificates, found.certificate)
    key: PrivateKeyTypes | None = _read(lambda text: load_pem_private_key(text, None), found.key)
    if not certificate:
        yield "its certificate is not PEM"
    if key is None:
        yield "its key is not an unencrypted PEM key"
    if certificate and key is not None and certificate[0].public_key() != key.public_key():
        yield "its key is not the certificate's"


def ca_problems(secret: Secret) -> Iterator[str]:
    """Why a Secret holds no CA certificates."""
    try:
        found = credential_of(secret)
    except BadCredentialError as error:
        yield str(error)
        return
    if not found.ca:
        yield "it holds neither cacert nor ca.crt"
    elif not _read(x509.load_pem_x509_certificates, found.ca):
        yield "its CA certificates are not PEM"
    if found.crl and _read(x509.load_pem_x509_crl, found.crl) is None:
        yield "its revocation list is not PEM"


def _values(secret: Secret) -> dict[str, bytes]:
    """What is in a Secret; `stringData` comes over `data`, as in Kubernetes."""
    try:
        decoded = {name: base64.b64decode("".join(text.split()), validate=True) for name, text in secret.data.items()}
    except (binascii.Error, ValueError):
        raise BadCredentialError("its data is not base64") from None
    return decoded | {name: text.encode() for name, text in secret.string_data.items()}


def _read(reader: Callable[[bytes], T], text: bytes) -> T | None:
    try:
        return reader(text)
    except (ValueError, TypeError):
        return None
