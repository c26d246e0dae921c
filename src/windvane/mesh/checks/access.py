"""Rules of AuthorizationPolicies that cannot match what reaches the workloads they are for, and mTLS that is not used.

Ports here are those of workloads, as Istio's policies mean them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from windvane.mesh.attachment import governed
from windvane.mesh.checks.references import Registry
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models import AuthorizationPolicy, PeerAuthentication, PodOwner, Rule, Source
from windvane.mesh.models.security import MTLSMode
from windvane.mesh.protocols import named_protocol
from windvane.mesh.resolve import endpoint_port, mtls_mode
from windvane.mesh.selectable import chosen
from windvane.mesh.view import MeshView, MeshWorkload, ServicePort
from windvane.mesh.yaml_source import Path

_IDENTITY = ("principals", "namespaces", "service_accounts")
_NOT_IDENTITY = ("not_principals", "not_namespaces", "not_service_accounts")
_IDENTITY_KEYS = ("source.principal", "source.namespace")
_HTTP_OPERATION = ("methods", "not_methods", "paths", "not_paths", "hosts", "not_hosts")
_HTTP_SOURCE = ("request_principals", "not_request_principals")
_EFFECTS = {
    "ALLOW": "is never met, and what no other rule allows is refused",
    **dict.fromkeys(("CUSTOM", "AUDIT", "DENY"), "is left out, and the rule holds for every connection"),
}
"""What becomes of an attribute of HTTP where there is none."""
_ALIAS = "cluster.local"
"""A trust domain that Istio reads as the mesh's own."""


@dataclass(frozen=True, slots=True)
class _Served:
    """A port of a workload: whether it can carry HTTP, and the transport that it accepts."""

    number: int
    may_be_http: bool
    mode: MTLSMode


def access(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """WV0408 to WV0414."""
    policies = [item for item in loaded if isinstance(item.resource, AuthorizationPolicy | PeerAuthentication)]
    if not policies:
        return
    served = _served(registry.view, loaded)
    yield from _same_workloads(policies, registry.view)
    for item in policies:
        if isinstance(item.resource, PeerAuthentication):
            yield from _unserved_modes(item, item.resource, served, registry.view)
        elif isinstance(item.resource, AuthorizationPolicy):
            yield from _of_policy(item, item.resource, served, registry.view)


def _served(view: MeshView, loaded: Sequence[Loaded]) -> Mapping[str, list[_Served]]:
    """The known ports of workloads, by workload: those of Services first, then those that only the workload tells of.

    Where an edge proxy listens its Gateways say: it is not among them.
    """
    edges = [gateway.spec.selector for gateway in view.gateways if gateway.spec.selector]
    found: dict[str, dict[int, _Served]] = defaultdict(dict)
    for service in view.services.values():
        for workload in (view.workloads[key] for key in service.workloads):
            if not any(selector.items() <= workload.labels.items() for selector in edges):
                for port in service.ports:
                    number = endpoint_port(workload, port)
                    mode = mtls_mode(view, workload, number)
                    found[workload.key][number] = _Served(number, _may_be_http(port), mode)
    listening = _listening(loaded)
    for key, ports in found.items():
        workload = view.workloads[key]
        for number in {*workload.ports.values(), *listening.get(key, ())} - ports.keys():
            ports[number] = _Served(number, True, mtls_mode(view, workload, number))
    return {key: list(ports.values()) for key, ports in found.items()}


def _may_be_http(port: ServicePort) -> bool:
    """Whether a port carries HTTP, or does not say what: Istio then looks at the first bytes."""
    return port.is_http or (port.protocol == "tcp" and not named_protocol(port.name.partition("-")[0]))


def _listening(loaded: Sequence[Loaded]) -> Mapping[str, set[int]]:
    """The ports of containers, with or without a name, by workload."""
    owners = [item.resource for item in loaded if isinstance(item.resource, PodOwner)]
    return {
        f"{owner.name}.{owner.namespace}": {
            port.container_port for box in owner.pods.spec.containers for port in box.ports if port.container_port
        }
        for owner in owners
    }


def _same_workloads(policies: Sequence[Loaded], view: MeshView) -> Iterator[Finding]:
    """WV0408: of several for a namespace, or with selectors for one workload, the oldest is used."""
    peers = [(item, item.resource) for item in policies if isinstance(item.resource, PeerAuthentication)]
    peers.sort(key=lambda pair: pair[1].age_key)
    whole: dict[str, PeerAuthentication] = {}
    picked: dict[str, PeerAuthentication] = {}
    for item, policy in peers:
        selector = policy.spec.selector
        if selector is None or not selector.match_labels:
            first = whole.setdefault(policy.namespace, policy)
            if first is not policy:
                words = f"{first.reference} is for the whole namespace already, and older: it is used"
                yield item.finding("WV0408", words, ("spec",), "KIA0002")
            continue
        for workload in chosen(view, policy.namespace, selector.match_labels):
            first = picked.setdefault(workload.key, policy)
            if first is not policy:
                words = f"{first.reference} is for workload {workload.name} already, and older: it is used"
                yield item.finding("WV0408", words, ("spec", "selector"), "KIA0003")
                break


def _unserved_modes(
    item: Loaded, policy: PeerAuthentication, served: Mapping[str, list[_Served]], view: MeshView
) -> Iterator[Finding]:
    """WV0409."""
    selector = policy.spec.selector
    ports = _ports(chosen(view, policy.namespace, selector.match_labels), served) if selector else []
    for number in policy.spec.port_level_mtls:
        if ports and number not in {port.number for port in ports}:
            words = f"port {number} is none that the selected workloads serve ({_listed(ports)})"
            yield item.finding("WV0409", words, ("spec", "portLevelMtls", str(number)))


def _ports(workloads: Sequence[MeshWorkload], served: Mapping[str, list[_Served]]) -> list[_Served]:
    """Every port of workloads; none when those of one of them are not known."""
    found = [served.get(workload.key, []) for workload in workloads]
    return [port for ports in found for port in ports] if all(found) else []


def _listed(ports: Sequence[_Served]) -> str:
    return ", ".join(str(number) for number in sorted({port.number for port in ports}))


def _of_policy(
    item: Loaded, policy: AuthorizationPolicy, served: Mapping[str, list[_Served]], view: MeshView
) -> Iterator[Finding]:
    everywhere = policy.namespace == view.root_namespace
    ports = _ports(governed(view, policy.namespace, policy.spec, everywhere=everywhere), served)
    for number, rule in enumerate(policy.spec.rules):
        path: Path = ("spec", "rules", number)
        yield from _foreign_principals(item, path, rule, view.trust_domain)
        if ports:
            yield from _unserved_ports(item, path, rule, ports)
            yield from _on_ports(item, path, policy, rule, _asked(rule, ports))


def _asked(rule: Rule, ports: Sequence[_Served]) -> list[_Served]:
    """The ports that a rule can be about."""
    lists = [each.operation.ports if each.operation else () for each in rule.to]
    lists += [condition.values for condition in rule.when if condition.key == "destination.port"]
    if not lists or not all(lists):
        return list(ports)
    wanted = {text for values in lists for text in values}
    return [port for port in ports if str(port.number) in wanted]


def _on_ports(
    item: Loaded, path: Path, policy: AuthorizationPolicy, rule: Rule, ports: Sequence[_Served]
) -> Iterator[Finding]:
    """WV0410, WV0413 and WV0414, about the ports that a rule is for."""
    if not ports:
        return
    asks_who = _field(rule, path, _IDENTITY) or _condition(rule, path, _IDENTITY_KEYS)
    excepts = _field(rule, path, _NOT_IDENTITY)
    if asks_who and all(port.mode == "DISABLE" for port in ports):
        words = f"who calls is known by mutual TLS only, which port {_listed(ports)} does not use: this never matches"
        yield item.finding("WV0410", words, asks_who)
    elif asks_who and not excepts and policy.spec.action == "DENY" and any(port.mode == "PERMISSIVE" for port in ports):
        words = f"port {_listed(ports)} accepts plaintext, whose caller is not known: such requests are not denied"
        yield item.finding("WV0414", words, asks_who)
    asks_http = _field(rule, path, _HTTP_SOURCE) or _operation(rule, path) or _condition(rule, path, ("request.",))
    if asks_http and not any(port.may_be_http for port in ports):
        effect = _EFFECTS.get(policy.spec.action, "is never met")
        words = f"this is an attribute of HTTP, and port {_listed(ports)} carries none: it {effect}"
        yield item.finding("WV0413", words, asks_http)


def _sources(rule: Rule, path: Path) -> list[tuple[Path, Source]]:
    return [((*path, "from", index, "source"), each.source) for index, each in enumerate(rule.from_) if each.source]


def _field(rule: Rule, path: Path, names: Sequence[str]) -> Path:
    """Where all sources of a rule ask for one of these attributes: the place of the first; empty otherwise."""
    sources = _sources(rule, path)
    found = [next((name for name in names if getattr(source, name)), "") for _, source in sources]
    return (*sources[0][0], found[0]) if found and all(found) else ()


def _operation(rule: Rule, path: Path) -> Path:
    """The same for operations and what of them is of HTTP."""
    operations = [each.operation for each in rule.to]
    found = [next((name for name in _HTTP_OPERATION if getattr(one, name, ())), "") for one in operations]
    return (*path, "to", 0, "operation", found[0]) if found and all(found) else ()


def _condition(rule: Rule, path: Path, starts: tuple[str, ...]) -> Path:
    """The first condition of a rule for an attribute that begins so and that must have a value."""
    for index, condition in enumerate(rule.when):
        if condition.key.startswith(starts) and condition.values:
            return (*path, "when", index)
    return ()


def _foreign_principals(item: Loaded, path: Path, rule: Rule, trust_domain: str) -> Iterator[Finding]:
    """WV0411."""
    for place, source in _sources(rule, path):
        for index, principal in enumerate(source.principals):
            domain, slash, rest = principal.partition("/")
            if slash and rest.startswith("ns/") and "*" not in domain and domain not in (trust_domain, _ALIAS):
                words = f"{principal!r} is of trust domain {domain}, and this mesh is {trust_domain}"
                yield item.finding("WV0411", words, (*place, "principals", index))


def _unserved_ports(item: Loaded, path: Path, rule: Rule, ports: Sequence[_Served]) -> Iterator[Finding]:
    """WV0412."""
    known = {str(port.number) for port in ports}
    lists = [
        ((*path, "to", index, "operation", "ports"), each.operation.ports)
        for index, each in enumerate(rule.to)
        if each.operation
    ]
    lists += [
        ((*path, "when", index, "values"), condition.values)
        for index, condition in enumerate(rule.when)
        if condition.key == "destination.port"
    ]
    for place, values in lists:
        for index, text in enumerate(values):
            # Istio's own proxies listen on ports of their own as well.
            if text not in known and not (len(text) == 5 and text.startswith("150")):
                words = f"port {text} is none that the selected workloads serve ({_listed(ports)})"
                yield item.finding("WV0412", words, (*place, index))
