"""Istio's validation of where things run: Service, ServiceEntry, WorkloadEntry, pods."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator

from windvane.mesh.checks.annotations import is_control_plane
from windvane.mesh.checks.common import (
    Problem,
    check_export_to,
    check_host,
    check_labels,
    check_port,
    doubtful,
    invalid,
    is_dns_label,
    is_ip,
    repeated,
)
from windvane.mesh.inbound import UNIX
from windvane.mesh.models import Namespace, PodOwner, Service, ServiceEntry, WorkloadEntry, WorkloadEntrySpec
from windvane.mesh.models.services import KubernetesServicePort, ServiceEntrySpec
from windvane.mesh.protocols import is_http, named_protocol
from windvane.mesh.yaml_source import Path

_SYSTEM_NAMESPACES = ("kube-system", "kube-public", "kube-node-lease", "local-path-storage")
_TCP_PORTS = (25, 53, 3306, 27017)  # SMTP, DNS, MySQL, MongoDB
_SIDECAR_USER = 1337
_IST0118 = "Port name {name} (port: {port}, targetPort: {target}) doesn't follow the naming convention of Istio port."


def check_service(item: Service) -> Iterator[Problem]:
    """A Kubernetes Service: what the API server refuses, and port names without a protocol."""
    ports = item.spec.ports
    if item.spec.type == "ExternalName":
        yield from check_host(("spec", "externalName"), item.spec.external_name, wildcard=False)
    for index, port in enumerate(ports):
        path: Path = ("spec", "ports", index)
        yield from check_port((*path, "port"), port.port)
        if isinstance(port.target_port, int):
            yield from check_port((*path, "targetPort"), port.target_port)
        if len(ports) > 1 and not port.name:
            yield invalid((*path, "name"), "name is required where a service has several ports")
        yield from _check_port_name(path, item, port)
    for index, name in repeated(port.name for port in ports):
        yield invalid(("spec", "ports", index, "name"), f"duplicate port name {name!r}")
    for index, (number, protocol) in repeated((port.port, port.protocol) for port in ports):
        yield invalid(("spec", "ports", index, "port"), f"duplicate port {number}/{protocol}")
    yield from check_labels(("spec", "selector"), item.spec.selector)


def _check_port_name(path: Path, item: Service, port: KubernetesServicePort) -> Iterator[Problem]:
    """IST0118 and IST0150. Without a name Istio knows some ports; system namespaces and its own it leaves alone."""
    if item.namespace in _SYSTEM_NAMESPACES or is_control_plane(item):
        return
    external = item.spec.type == "ExternalName"
    said = named_protocol(port.app_protocol) or named_protocol(port.name.partition("-")[0])
    if external and port.name == "tcp":
        said = ""
    if said or port.protocol != "TCP" or (not port.name and port.port in _TCP_PORTS):
        return
    if external:
        words = "Port name for ExternalName service is invalid. Proxy may prevent tcp named ports and unmatched "
        words += "traffic for ports serving TCP protocol from being forwarded correctly"
        yield Problem("IST0150", (*path, "name"), words)
    else:
        words = _IST0118.format(name=port.name, port=port.port, target=port.target_port or port.port)
        yield Problem("IST0118", (*path, "name"), f"{words} Windvane carries it as TCP.")


def check_workload_entry(item: WorkloadEntry) -> Iterator[Problem]:
    """A WorkloadEntry; its address may be empty, the local mesh then gives it one."""
    yield from _check_endpoint(("spec",), item.spec)


def check_pods(item: PodOwner) -> Iterator[Problem]:
    """A kind that has pods: their labels, by which services and policies find them."""
    path: Path = ("metadata", "labels") if item.kind == "Pod" else ("spec", "template", "metadata", "labels")
    yield from check_labels(path, item.pods.metadata.labels)
    spec = item.pods.spec
    own = [box.security_context for box in spec.containers if box.name not in ("istio-proxy", "istio-operator")]
    users = [context.run_as_user for context in (spec.security_context, *own) if context is not None]
    if _SIDECAR_USER in users and not is_control_plane(item):
        words = f"User ID (UID) {_SIDECAR_USER} is reserved for the sidecar proxy."
        yield Problem("IST0144", ("spec",) if item.kind == "Pod" else ("spec", "template", "spec"), words)


def check_namespace(item: Namespace) -> Iterator[Problem]:
    """A Namespace: labels for injection that contradict each other."""
    given = [name for name in ("istio-injection", "istio.io/rev") if name in item.labels]
    if len(given) > 1:
        words = f"The namespace has more than one type of injection labels [{' '.join(given)}], which may lead to "
        words += "undefined behavior. Make sure only one injection label exists."
        yield Problem("IST0123", ("metadata", "labels"), words)


def _check_endpoint(path: Path, spec: WorkloadEntrySpec) -> Iterator[Problem]:
    address = spec.address
    if address.startswith(UNIX):
        yield from _check_socket(path, spec)
    elif address and not is_ip(address):
        yield from check_host((*path, "address"), address, wildcard=False)
    for name, port in spec.ports.items():
        if not is_dns_label(name):
            yield invalid((*path, "ports", name), f"port name {name!r} is not a DNS label")
        yield from check_port((*path, "ports", name), port)
    yield from check_labels((*path, "labels"), spec.labels)


def _check_socket(path: Path, spec: WorkloadEntrySpec) -> Iterator[Problem]:
    name = spec.address.removeprefix(UNIX)
    if not name.startswith("@") and (not name.startswith("/") or name.endswith("/")):
        yield invalid((*path, "address"), f"{name} is not an absolute path to a file")
    if spec.ports:
        yield invalid((*path, "ports"), f"ports must not be set for a Unix domain socket: {spec.address}")


def check_service_entry(item: ServiceEntry) -> Iterator[Problem]:
    """Everything that makes Istio refuse, or warn of, a ServiceEntry."""
    spec = item.spec
    if not spec.hosts:
        yield invalid(("spec", "hosts"), "service entry must have at least one host")
    for index, host in enumerate(spec.hosts):
        path: Path = ("spec", "hosts", index)
        if host == "*":
            yield invalid(path, "invalid host *: a full wildcard is not allowed")
        else:
            yield from check_host(path, host)
            if "." not in host:
                yield doubtful(path, "short names (without a dot) are not allowed to be resolved to a namespace")
    for index, host in repeated(spec.hosts):
        yield invalid(("spec", "hosts", index), f"duplicate host {host!r}")
    yield from _check_addresses(spec)
    yield from _check_ports(spec)
    yield from _check_resolution(spec)
    for index, endpoint in enumerate(spec.endpoints):
        yield from _check_endpoint(("spec", "endpoints", index), endpoint)
    yield from check_export_to(("spec", "exportTo"), spec.export_to)


def _check_addresses(spec: ServiceEntrySpec) -> Iterator[Problem]:
    for index, address in enumerate(spec.addresses):
        try:
            ipaddress.ip_network(address, strict=False)
        except ValueError:
            yield invalid(("spec", "addresses", index), f"{address!r} is not an IP address or CIDR")
        else:
            if "/" in address and spec.resolution not in ("NONE", "STATIC"):
                words = "CIDR addresses are allowed only for NONE/STATIC resolution types"
                yield invalid(("spec", "addresses", index), words)


def _check_ports(spec: ServiceEntrySpec) -> Iterator[Problem]:
    for index, port in enumerate(spec.ports):
        path: Path = ("spec", "ports", index)
        yield from check_port((*path, "number"), port.number)
        if port.target_port:
            yield from check_port((*path, "targetPort"), port.target_port)
        if not port.name:
            yield invalid((*path, "name"), "port name is required")
        elif not is_dns_label(port.name):
            yield invalid((*path, "name"), f"port name {port.name!r} is not a DNS label")
        if port.protocol and not named_protocol(port.protocol):
            yield invalid((*path, "protocol"), f"unsupported protocol: {port.protocol}")
        if named_protocol(port.protocol) in ("", "tcp") and not spec.addresses and spec.resolution == "NONE":
            yield Problem("IST0134", path, "ServiceEntry addresses are required for this protocol.")
    for index, name in repeated(port.name for port in spec.ports):
        yield invalid(("spec", "ports", index, "name"), f"service entry port name {name!r} already defined")
    for index, number in repeated(port.number for port in spec.ports):
        yield invalid(("spec", "ports", index, "number"), f"service entry port {number} already defined")


def _check_resolution(spec: ServiceEntrySpec) -> Iterator[Problem]:
    if spec.workload_selector is not None and spec.endpoints:
        yield invalid(("spec", "endpoints"), "only one of WorkloadSelector or Endpoints is allowed in Service Entry")
    if spec.resolution == "DYNAMIC_DNS":
        yield from _check_dynamic(spec)
    if spec.resolution == "NONE" and spec.endpoints:
        yield invalid(("spec", "endpoints"), "no endpoints should be provided for resolution type none")
    if spec.resolution == "STATIC":
        yield from _check_static(spec)
    if spec.resolution.startswith("DNS"):
        yield from _check_names(spec)
    names = {port.name for port in spec.ports}
    for index, endpoint in enumerate(spec.endpoints):
        for name in endpoint.ports.keys() - names:
            words = f"endpoint port {name!r} is not defined by the service entry"
            yield invalid(("spec", "endpoints", index, "ports", name), words)


def _check_names(spec: ServiceEntrySpec) -> Iterator[Problem]:
    """Endpoints that are resolved by name, or else the hosts themselves."""
    if spec.resolution == "DNS_ROUND_ROBIN" and len(spec.endpoints) > 1:
        words = "there must only be 0 or 1 endpoint for resolution mode DNS_ROUND_ROBIN"
        yield invalid(("spec", "endpoints"), words)
    for index, endpoint in enumerate(spec.endpoints):
        if endpoint.address.startswith(UNIX):
            words = "a Unix domain socket is no name to resolve: use resolution STATIC"
            yield invalid(("spec", "endpoints", index, "address"), words)
    if not spec.endpoints and spec.workload_selector is None:
        for index, host in enumerate(spec.hosts):
            if host.startswith("*"):
                words = "hosts must be FQDN if no endpoints are provided for resolution mode DNS"
                yield invalid(("spec", "hosts", index), words)


def _check_dynamic(spec: ServiceEntrySpec) -> Iterator[Problem]:
    """Each request's own host is resolved: there must be several, and a request must say which."""
    if spec.endpoints or spec.workload_selector is not None:
        words = "no endpoints or workload selector should be provided for resolution type DYNAMIC_DNS"
        yield invalid(("spec", "resolution"), words)
    for index, host in enumerate(spec.hosts):
        if not host.startswith("*"):
            yield invalid(("spec", "hosts", index), "hosts must be wildcards for resolution type DYNAMIC_DNS")
    for index, port in enumerate(spec.ports):
        protocol = named_protocol(port.protocol)
        if not is_http(protocol) and protocol not in ("tls", "https"):
            words = "resolution type DYNAMIC_DNS needs a protocol that names hosts: HTTP, HTTP2, GRPC, HTTPS or TLS"
            yield invalid(("spec", "ports", index, "protocol"), words)


def _check_static(spec: ServiceEntrySpec) -> Iterator[Problem]:
    if not spec.endpoints and spec.workload_selector is None:
        words = "endpoints should be provided for resolution type STATIC: requests have nowhere to go"
        yield doubtful(("spec", "resolution"), words)
    for index, endpoint in enumerate(spec.endpoints):
        if endpoint.address and not is_ip(endpoint.address) and not endpoint.address.startswith(UNIX):
            words = f"endpoint address {endpoint.address!r} must be an IP address for resolution type STATIC"
            yield invalid(("spec", "endpoints", index, "address"), words)
