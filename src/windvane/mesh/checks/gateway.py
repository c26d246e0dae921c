"""Istio's validation of a Gateway."""

from __future__ import annotations

import re
from collections.abc import Iterator

from windvane.mesh.checks.common import (
    Problem,
    check_host,
    check_labels,
    check_port,
    doubtful,
    idle,
    invalid,
    is_dns_label,
    repeated,
)
from windvane.mesh.models import Gateway, Server, ServerTLSSettings
from windvane.mesh.protocols import named_protocol
from windvane.mesh.yaml_source import Path

_VERSIONS = ("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")
_SOURCES = (
    "serverCertificate", "privateKey", "caCertificates", "caCrl", "credentialName", "credentialNames",
    "tlsCertificates", "caCertCredentialName",
)  # fmt: skip
_NOT_WITH_MESH = {
    "serverCertificate": "server certificate",
    "privateKey": "private key",
    "caCertificates": "CA bundle",
    "tlsCertificates": "tlsCertificates",
    "credentialName": "credentialName",
    "credentialNames": "credentialNames",
}
_SHA256_HEX = re.compile(r"[0-9a-fA-F]{64}|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){31}")
_SHA256_BASE64 = re.compile(r"[A-Za-z0-9+/]{43}=")
CIPHER_SUITES = frozenset(
    (
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "ECDHE-ECDSA-AES128-SHA",
        "ECDHE-ECDSA-AES256-SHA",
        "ECDHE-ECDSA-CHACHA20-POLY1305",
        "ECDHE-RSA-AES128-GCM-SHA256",
        "ECDHE-RSA-AES256-GCM-SHA384",
        "ECDHE-RSA-AES128-SHA",
        "ECDHE-RSA-AES256-SHA",
        "ECDHE-RSA-CHACHA20-POLY1305",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
        "AES128-SHA",
        "AES256-SHA",
        "DES-CBC3-SHA",
    )
)
"""Istio's `cipherSuites`; any other is ignored."""


def check(item: Gateway) -> Iterator[Problem]:
    """Everything that makes Istio refuse a Gateway."""
    spec = item.spec
    if not spec.servers:
        yield invalid(("spec", "servers"), "gateway must have at least one server")
    for index, server in enumerate(spec.servers):
        yield from _check_server(("spec", "servers", index), server)
    named = [server.port.name if server.port else "" for server in spec.servers]
    for index, name in repeated(named):
        if name:
            words = f"port names in servers must be unique: duplicate name {name}"
            yield invalid(("spec", "servers", index, "port", "name"), words)
    yield from check_labels(("spec", "selector"), spec.selector)


def _check_server(path: Path, server: Server) -> Iterator[Problem]:
    if not server.hosts:
        yield invalid((*path, "hosts"), "server config must contain at least one host")
    for index, host in enumerate(server.hosts):
        yield from _check_server_host((*path, "hosts", index), host)
    if server.port is None:
        yield invalid((*path, "port"), "port is required")
        return
    yield from check_port((*path, "port", "number"), server.port.number)
    if not server.port.name:
        yield invalid((*path, "port", "name"), "port name must be set")
    protocol = named_protocol(server.port.protocol)
    if not protocol:
        yield invalid((*path, "port", "protocol"), f"invalid protocol {server.port.protocol!r}")
    if server.port.target_port:
        yield invalid((*path, "port", "targetPort"), "targetPort has no effect in a gateway and must not be set")
    if protocol in ("https", "tls") and server.tls is None:
        yield invalid((*path, "tls"), "server must have TLS settings for HTTPS/TLS protocols")
    if server.default_endpoint:
        yield idle((*path, "defaultEndpoint"), "Istio does not implement it")
    if server.tls is not None:
        yield from _check_tls((*path, "tls"), server.tls, protocol)


def _check_server_host(path: Path, host: str) -> Iterator[Problem]:
    namespace, slash, name = host.rpartition("/")
    if slash and namespace not in ("*", ".") and not is_dns_label(namespace):
        yield invalid(path, f"namespace {namespace!r} is not a namespace, . or *")
    yield from check_host(path, name)


def _check_tls(path: Path, tls: ServerTLSSettings, protocol: str) -> Iterator[Problem]:
    if protocol not in ("https", "tls"):
        if not tls.https_redirect:
            yield invalid(path, "server cannot have TLS settings for non HTTPS/TLS ports")
        return
    if tls.https_redirect:
        yield invalid((*path, "httpsRedirect"), "tls.httpsRedirect should only be used with http servers")
    yield from check_certificates(path, tls)
    yield from _check_protocol(path, tls)


def _check_protocol(path: Path, tls: ServerTLSSettings) -> Iterator[Problem]:
    versions = (tls.min_protocol_version, tls.max_protocol_version)
    if "TLS_AUTO" not in versions and _VERSIONS.index(versions[0]) > _VERSIONS.index(versions[1]):
        yield invalid((*path, "minProtocolVersion"), "the minimum TLS version is above the maximum")
    if tls.min_protocol_version in ("TLSV1_0", "TLSV1_1") and not tls.cipher_suites:
        words = "TLS version below TLSV1_2 require setting compatible ciphers as by default they no longer include "
        yield doubtful((*path, "minProtocolVersion"), f"{words}compatible ciphers.")
    unknown = sorted({name for name in tls.cipher_suites if name not in CIPHER_SUITES})
    if unknown:
        yield doubtful((*path, "cipherSuites"), f"ignoring invalid cipher suites: [{' '.join(unknown)}]")
    known = [name for name in tls.cipher_suites if name in CIPHER_SUITES]
    twice = sorted({name for _, name in repeated(known)})
    if twice:
        yield doubtful((*path, "cipherSuites"), f"ignoring duplicate cipher suites: [{' '.join(twice)}]")


def check_certificates(path: Path, tls: ServerTLSSettings) -> Iterator[Problem]:
    """Where a server's certificates come from: one source, and what its mode needs."""
    given = {name: value for name in _SOURCES if (value := _field(tls, name))}
    if tls.mode == "ISTIO_MUTUAL":
        for name in given:
            if name in _NOT_WITH_MESH:
                yield invalid((*path, name), f"ISTIO_MUTUAL TLS cannot have associated {_NOT_WITH_MESH[name]}")
        return
    if tls.mode in ("PASSTHROUGH", "AUTO_PASSTHROUGH"):
        if given:
            yield doubtful((*path, "mode"), f"{tls.mode} mode does not use certificates, they will be ignored")
        return
    yield from _check_sources(path, tls)
    if tls.insecure_skip_verify and not tls.asks_for_certificates:
        yield idle((*path, "insecureSkipVerify"), f"{tls.mode} TLS asks clients for no certificate")
    yield from _check_hashes(path, tls)
    if not tls.credentials:
        yield from _check_files(path, tls)


def _check_sources(path: Path, tls: ServerTLSSettings) -> Iterator[Problem]:
    files = bool(tls.server_certificate and tls.private_key)
    if sum((files, bool(tls.credential_name), bool(tls.credential_names), bool(tls.tls_certificates))) > 1:
        words = (
            "only one of credential_name, credential_names, server_certificate/private_key, tls_certificates should "
        )
        yield invalid(path, f"{words}be specified")
    if tls.ca_crl:
        if tls.credential_name:
            words = "CRL is not supported with credentialName. CRL has to be specified in the credential"
            yield invalid((*path, "caCrl"), words)
        if tls.mode == "SIMPLE":
            yield invalid((*path, "caCrl"), "CRL is not supported with SIMPLE TLS")
    if len(tls.credential_names) > 2 or len(tls.tls_certificates) > 2:
        field = "credentialNames" if len(tls.credential_names) > 2 else "tlsCertificates"
        yield doubtful((*path, field), f"{tls.mode} TLS can support up to 2 server certificates")


def _check_files(path: Path, tls: ServerTLSSettings) -> Iterator[Problem]:
    pairs: list[tuple[Path, str, str]] = [
        ((*path, "tlsCertificates", index), one.server_certificate, one.private_key)
        for index, one in enumerate(tls.tls_certificates)
    ]
    for place, certificate, key in pairs or [(path, tls.server_certificate, tls.private_key)]:
        if not certificate:
            yield invalid((*place, "serverCertificate"), f"{tls.mode} TLS requires a server certificate")
        if not key:
            yield invalid((*place, "privateKey"), f"{tls.mode} TLS requires a private key")
    if tls.asks_for_certificates and not tls.ca_certificates and not tls.ca_cert_credential_name:
        yield invalid((*path, "caCertificates"), f"{tls.mode} TLS requires a client CA bundle")


def _check_hashes(path: Path, tls: ServerTLSSettings) -> Iterator[Problem]:
    for index, text in enumerate(tls.verify_certificate_hash):
        if not _SHA256_HEX.fullmatch(text):
            yield invalid((*path, "verifyCertificateHash", index), f"{text!r} is not a SHA-256 hash in hexadecimal")
    for index, text in enumerate(tls.verify_certificate_spki):
        if not _SHA256_BASE64.fullmatch(text):
            yield invalid((*path, "verifyCertificateSpki", index), f"{text!r} is not a SHA-256 hash in base64")


def _field(tls: ServerTLSSettings, name: str) -> object:
    return {field.alias: getattr(tls, own) for own, field in type(tls).model_fields.items()}[name]
