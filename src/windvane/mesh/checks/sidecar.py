"""Istio's validation of a Sidecar."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windvane.mesh.checks.common import (
    Problem,
    check_host,
    check_labels,
    check_port,
    cluster_only,
    doubtful,
    invalid,
    is_dns_label,
    is_ip,
    not_yet,
    repeated,
)
from windvane.mesh.checks.connections import check_destination
from windvane.mesh.checks.destination_rule import check_pool
from windvane.mesh.checks.gateway import check_certificates
from windvane.mesh.inbound import UNIX
from windvane.mesh.models.services import ServicePort
from windvane.mesh.models.sidecar import IstioEgressListener, IstioIngressListener, OutboundTrafficPolicy, Sidecar
from windvane.mesh.protocols import is_http, named_protocol
from windvane.mesh.yaml_source import Path

_LOOPBACK = ("", "127.0.0.1", "0.0.0.0", "::1", "::")


def check(item: Sidecar) -> Iterator[Problem]:
    """Everything that makes Istio refuse, or warn of, a Sidecar."""
    spec = item.spec
    if spec.workload_selector is not None:
        yield from check_labels(("spec", "workloadSelector", "labels"), spec.workload_selector.labels)
        if not spec.workload_selector.labels:
            words = "sidecar: workload selector specified without labels, will be applied to all services in namespace"
            yield doubtful(("spec", "workloadSelector"), words)
    others = (spec.outbound_traffic_policy, spec.inbound_connection_pool)
    if not spec.egress and not spec.ingress and others == (None, None):
        yield invalid(("spec",), "sidecar: empty configuration provided")
    yield from _check_ingress(spec.ingress)
    yield from check_pool(("spec", "inboundConnectionPool"), spec.inbound_connection_pool)
    for index, egress in enumerate(spec.egress):
        path: Path = ("spec", "egress", index)
        if egress.port is None and index < len(spec.egress) - 1:
            yield invalid(path, "sidecar: the egress listener with empty port should be the last listener in the list")
        yield from _check_egress_port(path, egress)
        yield from _check_hosts((*path, "hosts"), egress, item.namespace)
    for index, number in repeated(egress.port.number if egress.port else 0 for egress in spec.egress):
        if number:
            path = ("spec", "egress", index, "port")
            yield invalid(path, "sidecar: ports on IP bound listeners must be unique")
    yield from _check_egress_proxy(("spec", "outboundTrafficPolicy"), spec.outbound_traffic_policy)


def _check_ingress(listeners: Sequence[IstioIngressListener]) -> Iterator[Problem]:
    for index, listener in enumerate(listeners):
        path: Path = ("spec", "ingress", index)
        if listener.port is None:
            yield invalid(path, "sidecar: port is required for ingress listeners")
            continue
        yield from _check_port((*path, "port"), listener.port)
        yield from _check_bind((*path, "bind"), listener.bind)
        yield from _check_endpoint((*path, "defaultEndpoint"), listener.default_endpoint)
        yield from _check_tls((*path, "tls"), listener)
        yield from check_pool((*path, "connectionPool"), listener.connection_pool)
        if listener.connection_pool and listener.connection_pool.http and not _speaks_http(listener.port):
            number, name = listener.port.number, listener.port.name
            words = f'sidecar: HTTP connection pool settings are configured for port {number} ("{name}") but its '
            words += f"protocol is not HTTP ({listener.port.protocol}); only TCP settings will apply"
            yield doubtful((*path, "connectionPool", "http"), words)
    for index, number in repeated(each.port.number if each.port else 0 for each in listeners):
        if number:
            path = ("spec", "ingress", index, "port")
            yield invalid(path, "sidecar: ports on IP bound listeners must be unique")


def _speaks_http(port: ServicePort) -> bool:
    return is_http(named_protocol(port.protocol))


def _check_port(path: Path, port: ServicePort) -> Iterator[Problem]:
    yield from check_port((*path, "number"), port.number)
    if not named_protocol(port.protocol):
        yield invalid((*path, "protocol"), f"unsupported protocol: {port.protocol!r}")
    if port.name and not is_dns_label(port.name):
        yield invalid((*path, "name"), f"invalid port name: {port.name}")
    if port.target_port:
        yield invalid((*path, "targetPort"), "targetPort has no impact on Sidecars")


def _check_bind(path: Path, bind: str) -> Iterator[Problem]:
    if bind and not is_ip(bind):
        yield invalid(path, f"{bind!r} is not an IP address")


def _check_endpoint(path: Path, text: str) -> Iterator[Problem]:
    if not text:
        return
    if text.startswith(UNIX):
        name = text.removeprefix(UNIX)
        if not name.startswith("@") and (not name.startswith("/") or name.endswith("/")):
            yield invalid(path, f"{name} is not an absolute path to a file")
        return
    host, colon, port = text.rpartition(":")
    if not colon:
        yield invalid(path, f"address {text}: missing port in address")
    elif host.removeprefix("[").removesuffix("]") not in _LOOPBACK:
        words = "sidecar: defaultEndpoint must be of form 127.0.0.1:<port>,0.0.0.0:<port>,[::1]:port,[::]:port,"
        yield invalid(path, f"{words}unix://filepath or unset")
    elif not port.isdecimal():
        yield invalid(path, f"sidecar: defaultEndpoint port ({port}) is not a number")
    else:
        yield from check_port(path, int(port))


def _check_tls(path: Path, listener: IstioIngressListener) -> Iterator[Problem]:
    tls, port = listener.tls, listener.port
    if tls is None or port is None:
        return
    refused = {
        "subjectAltNames": (tls.subject_alt_names, "sidecar: subjectAltNames is not supported in ingress tls"),
        "httpsRedirect": (tls.https_redirect, "sidecar: httpsRedirect is not supported"),
        "credentialName": (tls.credential_name, "sidecar: credentialName is not currently supported"),
        "credentialNames": (tls.credential_names, "sidecar: credentialNames is not currently supported"),
        "tlsCertificates": (tls.tls_certificates, "sidecar: tls_certificates is not currently supported"),
    }
    for field, (given, words) in refused.items():
        if given:
            yield invalid((*path, field), words)
    if tls.mode in ("ISTIO_MUTUAL", "AUTO_PASSTHROUGH"):
        words = f"configuration is invalid: cannot set mode to {tls.mode} in sidecar ingress tls"
        yield invalid((*path, "mode"), words)
    if named_protocol(port.protocol) not in ("https", "tls"):
        yield invalid(path, "server cannot have TLS settings for non HTTPS/TLS ports")
    yield from check_certificates(path, tls)


def _check_egress_port(path: Path, egress: IstioEgressListener) -> Iterator[Problem]:
    port = egress.port
    if port is None:
        if egress.bind:
            yield invalid((*path, "bind"), "port must be specified if bind is not empty")
        return
    if port.number == 0 and egress.bind.startswith(UNIX):
        yield not_yet((*path, "bind"), "egress listeners on Unix domain sockets")
    elif port.number == 0:
        words = "sidecar: ports with 0 value must have a unix domain socket bind address"
        yield invalid((*path, "bind"), words)
    else:
        yield from _check_port((*path, "port"), port)
        yield from _check_bind((*path, "bind"), egress.bind)
        words = "applications of a local mesh call its HTTP proxy and its listeners for services"
        if egress.bind:
            yield cluster_only((*path, "bind"), words)
        if egress.capture_mode == "NONE":
            yield cluster_only((*path, "captureMode"), words)


def _check_egress_proxy(path: Path, policy: OutboundTrafficPolicy | None) -> Iterator[Problem]:
    proxy = policy.egress_proxy if policy is not None else None
    if policy is None or proxy is None:
        return
    if policy.mode != "ALLOW_ANY":
        words = "sidecar: egress_proxy must be set only with ALLOW_ANY outbound_traffic_policy mode"
        yield invalid((*path, "egressProxy"), words)
        return
    if proxy.port is None:
        yield invalid((*path, "egressProxy", "port"), "sidecar: egress_proxy port must be non-nil")
    yield from check_destination((*path, "egressProxy"), proxy)


def _check_hosts(path: Path, egress: IstioEgressListener, own: str) -> Iterator[Problem]:
    if not egress.hosts:
        yield invalid(path, "sidecar: egress listener must contain at least one host")
    seen: dict[str, set[str]] = {}
    for index, text in enumerate(egress.hosts):
        place: Path = (*path, index)
        namespace, slash, host = text.partition("/")
        if not slash:
            yield invalid(place, "host must be of form namespace/dnsName")
            continue
        namespace = own if namespace == "." else namespace
        if namespace not in ("*", "~") and not is_dns_label(namespace):
            yield invalid(place, f"invalid namespace value {namespace!r} in sidecar")
        yield from check_host(place, host)
        if host and host != "*" and "." not in host:
            yield invalid(place, "short names (non FQDN) are not allowed")
        before = seen.setdefault(namespace, set())
        if host in before or "*" in before or (host == "*" and before):
            yield doubtful(place, f"duplicated egress host: {text}")
        before.add(host)
    if "*" in seen.get("*", ()) and len(seen) > 1:
        yield doubtful(path, "`*/*` host select all resources, no other hosts can be added")
