"""TLS of what is outside: clients that believe any gateway and have a certificate on demand, and servers."""

from __future__ import annotations

import os
import ssl
import tempfile
from pathlib import Path

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.mesh.credentials import Credential, server_credential
from windvane.mesh.view import MeshView
from windvane.xds.ca import CertificateAuthority


def client_context(view: MeshView, certificate: str) -> ssl.SSLContext:
    """A client's TLS; `certificate` is `NAMESPACE/NAME` of a Secret to show, "" for none."""
    context = ssl.create_default_context()
    # What a gateway serves with is asked about here, not whether this machine believes it.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["http/1.1"])
    if certificate:
        _load(context, _credential(view, certificate))
    return context


def outside_context(folder: Path, clock: Clock) -> ssl.SSLContext:
    """TLS of what stands in for the outside: a certificate that nobody knows, HTTP/2 and HTTP/1.1."""
    issued = CertificateAuthority(folder / "outside", clock, lifetime=86_400.0).issue("spiffe://outside/stand-in")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["h2", "http/1.1"])
    _load(context, Credential(issued.chain_pem, issued.key_pem))
    return context


def _credential(view: MeshView, certificate: str) -> Credential:
    namespace, _, name = certificate.partition("/")
    found = server_credential(view.secrets, namespace, name)
    if found is None:
        raise BadInputError(f"client certificate {certificate!r}: no Secret NAMESPACE/NAME with a certificate and key")
    return found


def _load(context: ssl.SSLContext, own: Credential) -> None:
    """Python reads keys from files alone: one that only its owner can read, for a moment."""
    descriptor, name = tempfile.mkstemp(prefix="windvane-try-", suffix=".pem")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(own.certificate.rstrip() + b"\n" + own.key)
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
