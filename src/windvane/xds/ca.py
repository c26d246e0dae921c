"""The mesh's certificate authority: one self-signed root, short-lived SPIFFE certificates.

The root (EC P-256) is made once and kept in a directory only its owner can read, so a restarted
control plane signs under the same root and no proxy has to change whom it trusts. A workload's
certificate is replaced when about half of its lifetime has passed; the jitter keeps a mesh that
started at one moment from renewing at one moment.
"""

from __future__ import annotations

import os
import random
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, ConflictError
from windvane.mesh.view import MeshWorkload

ROOT_LIFETIME = timedelta(days=3650)
CLOCK_SKEW = timedelta(minutes=2)
"""A certificate is valid from this long before it is signed: a peer's clock may be behind."""
RENEW_AT, RENEW_JITTER = 0.5, 0.1
_KEY_FILE, _CERTIFICATE_FILE = "root-key.pem", "root-cert.pem"


@dataclass(frozen=True, slots=True)
class WorkloadCertificate:
    """A certificate chain and its key (PEM), and when to replace it (nanoseconds since the epoch)."""

    identity: str
    chain_pem: bytes
    key_pem: bytes
    expires_ns: int
    renew_ns: int


def spiffe_id(trust_domain: str, namespace: str, service_account: str) -> str:
    """Istio's form of a workload identity; the account `default` when none is named."""
    return f"spiffe://{trust_domain}/ns/{namespace}/sa/{service_account or 'default'}"


def identity_of(workload: MeshWorkload, trust_domain: str) -> str:
    """The SPIFFE identity that a workload's certificate carries."""
    return spiffe_id(trust_domain, workload.namespace, workload.service_account)


class CertificateAuthority:
    """Signs workload certificates under the root kept in `directory` (made at the first use).

    Raises BadInputError when the stored key can be read by others or is not a key, ConflictError
    when the stored root has expired.
    """

    def __init__(
        self, directory: Path, clock: Clock, *, lifetime: float = 86_400.0, rng: random.Random | None = None
    ) -> None:
        self._clock = clock
        self._lifetime = timedelta(seconds=lifetime)
        self._random = rng or random.Random()
        if not (directory / _KEY_FILE).exists():
            _create_root(directory, self._now())
        self._key, self._root = _load_root(directory)
        if self._root.not_valid_after_utc <= self._now():
            raise ConflictError(
                f"the root certificate in {directory} has expired; remove the directory to make another"
            )

    @property
    def root_pem(self) -> bytes:
        """The certificate that proxies trust."""
        return self._root.public_bytes(serialization.Encoding.PEM)

    def issue(self, identity: str) -> WorkloadCertificate:
        """A fresh key and certificate for a SPIFFE identity."""
        now, key = self._now(), ec.generate_private_key(ec.SECP256R1())
        expires = min(now + self._lifetime, self._root.not_valid_after_utc)
        certificate = _workload_certificate(identity, key.public_key(), self._root, now, expires).sign(
            self._key, hashes.SHA256()
        )
        share = RENEW_AT + self._random.uniform(-RENEW_JITTER, RENEW_JITTER)
        return WorkloadCertificate(
            identity=identity,
            chain_pem=certificate.public_bytes(serialization.Encoding.PEM) + self.root_pem,
            key_pem=_key_pem(key),
            expires_ns=_nanoseconds(expires),
            renew_ns=_nanoseconds(now + (expires - now) * share),
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock.now_ns() / 1e9, UTC)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1e9)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _create_root(directory: Path, now: datetime) -> None:
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "windvane"), _common_name("windvane root CA")])
    certificate = (
        _builder(name, name, key.public_key(), now - CLOCK_SKEW, now + ROOT_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    # The key last: its presence says that the root is complete.
    _write_private(directory / _CERTIFICATE_FILE, certificate.public_bytes(serialization.Encoding.PEM))
    _write_private(directory / _KEY_FILE, _key_pem(key))


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read, all of it or nothing."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def _load_root(directory: Path) -> tuple[ec.EllipticCurvePrivateKey, x509.Certificate]:
    key_file, certificate_file = directory / _KEY_FILE, directory / _CERTIFICATE_FILE
    mode = stat.S_IMODE(key_file.stat().st_mode)
    if mode & 0o077:
        raise BadInputError(f"{key_file} can be read by others (mode {mode:04o}); it must be 0600")
    try:
        key = serialization.load_pem_private_key(key_file.read_bytes(), password=None)
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    except (OSError, ValueError, TypeError) as error:
        raise BadInputError(f"no usable root in {directory}: {error}") from error
    if not isinstance(key, ec.EllipticCurvePrivateKey) or certificate.public_key() != key.public_key():
        raise BadInputError(f"the key and the certificate in {directory} do not belong together")
    return key, certificate


def _workload_certificate(
    identity: str, public_key: ec.EllipticCurvePublicKey, root: x509.Certificate, now: datetime, expires: datetime
) -> x509.CertificateBuilder:
    """SPIFFE X509-SVID: the identity is the only URI SAN, critical because the subject is empty."""
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key())  # type: ignore[arg-type]
    usages = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    return (
        _builder(x509.Name([]), root.subject, public_key, now - CLOCK_SKEW, expires)
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(identity)]), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(usages, critical=False)
        .add_extension(authority, critical=False)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, start: datetime, end: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end)
    )


def _common_name(text: str) -> x509.NameAttribute[str]:
    return x509.NameAttribute(NameOID.COMMON_NAME, text)


def _usage(*, sign_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        key_encipherment=False,
        content_commitment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )
