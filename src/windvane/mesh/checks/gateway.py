"""Istio's validation of a Gateway."""

from __future__ import annotations

from collections.abc import Iterator

from windvane.mesh.checks.common import (
    Problem,
    check_host,
    check_labels,
    check_port,
    invalid,
    is_dns_label,
    not_yet,
    repeated,
)
from windvane.mesh.models import Gateway, Server, ServerTLSSettings
from windvane.mesh.protocols import named_protocol
from windvane.mesh.yaml_source import Path

_VERSIONS = ("TLS_AUTO", "TLSV1_0", "TLSV1_1", "TLSV1_2", "TLSV1_3")
_WITH_FILES = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")


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
    if tls.mode == "AUTO_PASSTHROUGH":
        yield not_yet((*path, "mode"), "AUTO_PASSTHROUGH (gateways between networks)")
    if tls.mode in _WITH_FILES:
        if not tls.server_certificate:
            yield invalid((*path, "serverCertificate"), f"{tls.mode} TLS requires a server certificate")
        if not tls.private_key:
            yield invalid((*path, "privateKey"), f"{tls.mode} TLS requires a private key")
    if tls.mode in ("MUTUAL", "OPTIONAL_MUTUAL") and not tls.ca_certificates:
        yield invalid((*path, "caCertificates"), f"{tls.mode} TLS requires a client CA bundle")
    versions = (tls.min_protocol_version, tls.max_protocol_version)
    if "TLS_AUTO" not in versions and _VERSIONS.index(versions[0]) > _VERSIONS.index(versions[1]):
        yield invalid((*path, "minProtocolVersion"), "the minimum TLS version is above the maximum")
