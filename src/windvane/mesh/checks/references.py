"""Istio's analysis of what a resource refers to: hosts, subsets, ports, gateways, workloads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from windvane.mesh import hosts
from windvane.mesh.build import MESH_GATEWAY
from windvane.mesh.checks.common import Problem
from windvane.mesh.models import (
    AuthorizationPolicy,
    Destination,
    DestinationRule,
    Gateway,
    HTTPRoute,
    PeerAuthentication,
    ProxyConfig,
    RequestAuthentication,
    Resource,
    RouteDestination,
    Sidecar,
    Telemetry,
    VirtualService,
)
from windvane.mesh.resolve import endpoint_port, mtls_mode
from windvane.mesh.view import MeshService, MeshView
from windvane.mesh.yaml_source import Path

_SELECTING = (PeerAuthentication, ProxyConfig, RequestAuthentication, AuthorizationPolicy, Telemetry)


@dataclass(frozen=True, slots=True)
class Registry:
    """What can be referred to."""

    view: MeshView
    domain: str
    gateways: Mapping[str, Gateway]
    subsets: Mapping[str, frozenset[str]]

    @classmethod
    def of(cls, view: MeshView, domain: str) -> Registry:
        subsets: dict[str, frozenset[str]] = {}
        for rule in view.destination_rules:
            names = frozenset(subset.name for subset in rule.spec.subsets)
            subsets[rule.spec.host] = subsets.get(rule.spec.host, frozenset()) | names
        gateways = {f"{gateway.namespace}/{gateway.name}": gateway for gateway in view.gateways}
        return cls(view, domain, gateways, subsets)

    def full(self, host: str, namespace: str) -> str:
        return hosts.resolve(host, namespace, self.domain)

    def service_host(self, host: str) -> str | None:
        """The registry's host that a full name or wildcard is found under."""
        if host in self.view.services:
            return host
        if host.startswith("*"):
            return next((name for name in self.view.services if hosts.matches(host, name)), None)
        return hosts.most_specific((name for name in self.view.services if name.startswith("*")), host)


def references(resource: Resource, registry: Registry) -> Iterator[Problem]:
    """What a resource refers to and nobody defines."""
    if isinstance(resource, VirtualService):
        yield from _of_virtual_service(resource, registry)
    elif isinstance(resource, DestinationRule):
        yield from _of_destination_rule(resource, registry)
    elif isinstance(resource, Gateway):
        yield from _of_selector(resource, resource.spec.selector, ("spec", "selector"), registry, everywhere=True)
    elif isinstance(resource, Sidecar):
        yield from _of_selector(resource, resource.selector_labels, ("spec", "workloadSelector"), registry)
    elif isinstance(resource, _SELECTING) and resource.spec.selector is not None:
        labels = resource.spec.selector.match_labels
        yield from _of_selector(resource, labels, ("spec", "selector"), registry)


def _not_found(path: Path, what: str, name: str) -> Problem:
    return Problem("IST0101", path, f'Referenced {what} not found: "{name}"')


def _of_virtual_service(item: VirtualService, registry: Registry) -> Iterator[Problem]:
    for index, name in enumerate(item.spec.gateways):
        full = name if "/" in name else f"{item.namespace}/{name}"
        if name == MESH_GATEWAY:
            continue
        if full not in registry.gateways:
            yield _not_found(("spec", "gateways", index), "gateway", name)
        else:
            yield from _of_gateway_hosts(item, registry.gateways[full], name)
    for index, route in enumerate(item.spec.http):
        if route.delegate is not None:
            name = f"{route.delegate.namespace or item.namespace}/{route.delegate.name}"
            if name not in registry.view.delegates:
                yield _not_found(("spec", "http", index, "delegate"), "delegate", name)
        for path, destination in _destinations(("spec", "http", index), route):
            yield from _of_destination(path, destination, item, registry)
        yield from _of_weights(("spec", "http", index), route.route, "request")
    targets = [(("spec", "tls", index), rule.route) for index, rule in enumerate(item.spec.tls)]
    targets += [(("spec", "tcp", index), rule.route) for index, rule in enumerate(item.spec.tcp)]
    for place, used in targets:
        for number, target in enumerate(used):
            if target.destination is not None:
                yield from _of_destination((*place, "route", number, "destination"), target.destination, item, registry)
        yield from _of_weights(place, used, "connection")


def _of_weights(path: Path, targets: Sequence[RouteDestination], what: str) -> Iterator[Problem]:
    for number, target in enumerate(targets if len(targets) > 1 else ()):
        if target.weight == 0:
            place: Path = (*path, "route", number, "weight")
            yield Problem("WV0302", place, f"weight 0: no {what} goes to this destination")


def _of_gateway_hosts(item: VirtualService, gateway: Gateway, name: str) -> Iterator[Problem]:
    """IST0132: hosts that the gateway does not expose to this namespace."""
    exposed = [_exposed(host, gateway.namespace) for server in gateway.spec.servers for host in server.hosts]
    usable = [host for namespace, host in exposed if namespace in ("*", item.namespace)]
    missing = [host for host in item.spec.hosts if not any(hosts.matches(one, host) for one in usable)]
    if missing:
        listed = " ".join(missing)
        owner = f"{item.namespace}/{item.name}"
        words = f"one or more host [{listed}] defined in VirtualService {owner} not found in Gateway {name}."
        yield Problem("IST0132", ("spec", "hosts", item.spec.hosts.index(missing[0])), words)


def _exposed(host: str, namespace: str) -> tuple[str, str]:
    scope, slash, name = host.rpartition("/")
    return (namespace if scope == "." else scope if slash else "*", name)


def _destinations(path: Path, route: HTTPRoute) -> Iterator[tuple[Path, Destination]]:
    for index, target in enumerate(route.route):
        if target.destination is not None:
            yield (*path, "route", index, "destination"), target.destination
    if route.mirror is not None:
        yield (*path, "mirror"), route.mirror
    for index, mirror in enumerate(route.mirrors):
        if mirror.destination is not None:
            yield (*path, "mirrors", index, "destination"), mirror.destination


def _of_destination(
    path: Path, destination: Destination, item: VirtualService, registry: Registry
) -> Iterator[Problem]:
    host = registry.full(destination.host, item.namespace)
    known = registry.service_host(host)
    if known is None:
        yield _not_found((*path, "host"), "host", destination.host)
        return
    if destination.subset and destination.subset not in registry.subsets.get(host, frozenset()):
        yield _not_found(
            (*path, "subset"), "host+subset in destinationrule", f"{destination.host}+{destination.subset}"
        )
    ports = [port.number for port in registry.view.services[known].ports]
    if destination.port is not None and ports and destination.port.number not in ports:
        yield _not_found((*path, "port", "number"), "host:port", f"{destination.host}:{destination.port.number}")
    if destination.port is None and len(ports) > 1:
        words = f'This VirtualService routes to a service "{destination.host}" that exposes multiple ports {ports}. '
        words += "Specifying a port in the destination is required to disambiguate."
        yield Problem("IST0112", path, words)


def _of_destination_rule(item: DestinationRule, registry: Registry) -> Iterator[Problem]:
    host = registry.full(item.spec.host, item.namespace)
    known = registry.service_host(host)
    if known is None:
        yield Problem("WV0303", ("spec", "host"), f"no service has the host {host}: the rule is for nothing")
        return
    service = registry.view.services[known]
    workloads = [registry.view.workloads[key] for key in service.workloads]
    for index, subset in enumerate(item.spec.subsets):
        labels = [workload.labels for workload in (*workloads, *service.endpoints)]
        if workloads and not any(subset.labels.items() <= one.items() for one in labels):
            path: Path = ("spec", "subsets", index, "labels")
            yield _no_workloads(path, subset.labels)
    yield from _of_unverified_tls(item)
    yield from _of_peer_policy(item, service, registry)


def _of_unverified_tls(item: DestinationRule) -> Iterator[Problem]:
    policy = item.spec.traffic_policy
    if policy is None:
        return
    where = f"DestinationRule {item.name} in namespace {item.namespace} has TLS mode set to"
    missing = f"but no caCertificates are set to validate server identity for host: {item.spec.host}"
    if policy.tls is not None and policy.tls.mode in ("SIMPLE", "MUTUAL") and not policy.tls.ca_certificates:
        yield Problem("IST0128", ("spec", "trafficPolicy", "tls"), f"{where} {policy.tls.mode} {missing}")
    for index, setting in enumerate(policy.port_level_settings):
        tls, number = setting.tls, setting.port.number if setting.port else 0
        if tls is not None and tls.mode in ("SIMPLE", "MUTUAL") and not tls.ca_certificates:
            path: Path = ("spec", "trafficPolicy", "portLevelSettings", index, "tls")
            yield Problem("IST0129", path, f"{where} {tls.mode} {missing} at port {number}")


def _of_peer_policy(item: DestinationRule, service: MeshService, registry: Registry) -> Iterator[Problem]:
    """IST0113: clients are told to use another transport than a workload accepts."""
    policy = item.spec.traffic_policy
    if policy is None:
        return
    by_port = {
        setting.port.number: setting.tls for setting in policy.port_level_settings if setting.port and setting.tls
    }
    for port in service.ports:
        tls = by_port.get(port.number, policy.tls)
        refused = {"DISABLE": "STRICT", "SIMPLE": "STRICT", "ISTIO_MUTUAL": "DISABLE"}.get(tls.mode if tls else "")
        for workload in (registry.view.workloads[key] for key in service.workloads):
            if refused and mtls_mode(registry.view, workload, endpoint_port(workload, port)) == refused:
                words = (
                    f"A DestinationRule and Policy are in conflict with regards to mTLS for host {service.hostname}. "
                )
                words += f'The DestinationRule "{item.namespace}/{item.name}" specifies that mTLS must be '
                words += f"{'true' if refused == 'DISABLE' else 'false'} but the policy in force for workload "
                words += f'"{workload.namespace}/{workload.name}" specifies {refused}.'
                yield Problem("IST0113", ("spec", "trafficPolicy"), words)
                return


def _of_selector(
    item: Resource, labels: Mapping[str, str], path: Path, registry: Registry, *, everywhere: bool = False
) -> Iterator[Problem]:
    """A selector that picks no workload; a gateway's looks in all namespaces, others in their own.

    Configuration without any workload is a part of a mesh whose workloads are elsewhere: nothing is said.
    """
    known = registry.view.workloads.values()
    candidates = [workload for workload in known if everywhere or workload.namespace == item.namespace]
    if known and labels and not any(labels.items() <= workload.labels.items() for workload in candidates):
        if isinstance(item, Gateway):
            text = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
            yield _not_found(path, "selector", text)
        else:
            yield _no_workloads(path, labels)


def _no_workloads(path: Path, labels: Mapping[str, str]) -> Problem:
    text = ",".join(f"{key}={value}" for key, value in sorted(labels.items()))
    return Problem("IST0127", path, f"No matching workloads for this resource with the following labels: {text}")
