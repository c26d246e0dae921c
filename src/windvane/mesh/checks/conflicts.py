"""Istio's analysis of resources that contradict each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from windvane.mesh import hosts
from windvane.mesh.build import MESH_GATEWAY, service_hosts
from windvane.mesh.checks.references import Registry
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models import Resource, Service, ServiceEntry, Sidecar, Telemetry, VirtualService


def conflicts(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """Findings about pairs of resources of one kind."""
    yield from _same_mesh_hosts(loaded, registry)
    yield from _same_service_hosts(loaded, registry)
    yield from _entry_protocols(loaded)
    yield from _overlapping(loaded, registry, Telemetry, ("IST0159", "IST0160"), "selector")
    yield from _overlapping(loaded, registry, Sidecar, ("IST0110", "IST0111"), "workloadSelector")


def _same_mesh_hosts(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """IST0109, for VirtualServices that sidecars of a common namespace see."""
    owners: dict[str, list[Loaded]] = defaultdict(list)
    for item in loaded:
        resource = item.resource
        if isinstance(resource, VirtualService) and MESH_GATEWAY in (resource.spec.gateways or (MESH_GATEWAY,)):
            for host in dict.fromkeys(resource.spec.hosts):
                owners[registry.full(host, resource.namespace)].append(item)
    for host, items in owners.items():
        scopes = [item for item in items if _is_shared(item, items)]
        names = ",".join(sorted(f"{item.resource.namespace}/{item.resource.name}" for item in scopes))
        for item in scopes:
            words = f"The VirtualServices {names} associated with mesh gateway define the same host {host} which can "
            words += "lead to undefined behavior. This can be fixed by merging the conflicting VirtualServices into "
            words += "a single resource."
            yield item.finding("IST0109", words, ("spec", "hosts"))


def _is_shared(item: Loaded, items: Sequence[Loaded]) -> bool:
    """Whether some namespace sees this VirtualService and another of the same host."""
    namespaces = {other.resource.namespace for other in items} | {"*"}
    return any(
        other is not item and any(_sees(item, namespace) and _sees(other, namespace) for namespace in namespaces)
        for other in items
    )


def _sees(item: Loaded, namespace: str) -> bool:
    assert isinstance(item.resource, VirtualService)
    return hosts.is_visible(item.resource.spec.export_to, item.resource.namespace, namespace)


def _same_service_hosts(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """WV0301: one of the two is not used."""
    owners: dict[str, list[Loaded]] = defaultdict(list)
    for item in loaded:
        if isinstance(item.resource, Service | ServiceEntry):
            for host in dict.fromkeys(service_hosts(item.resource, registry.domain)):
                owners[host].append(item)
    for host, items in owners.items():
        ranked = sorted(items, key=lambda item: (not isinstance(item.resource, Service), item.resource.age_key))
        for item in (item for item in ranked if item.resource.reference != ranked[0].resource.reference):
            words = f"host {host} is already defined by {ranked[0].resource.reference}, which is used"
            yield item.finding("WV0301", words, ("spec", "hosts"))


def _entry_protocols(loaded: Sequence[Loaded]) -> Iterator[Finding]:
    """IST0177: ServiceEntries that a namespace sees, for one host and port, with different protocols."""
    users: dict[tuple[str, int], list[tuple[Loaded, ServiceEntry, str]]] = defaultdict(list)
    for item in loaded:
        if isinstance(item.resource, ServiceEntry):
            for host in dict.fromkeys(item.resource.spec.hosts):
                for port in item.resource.spec.ports:
                    users[host, port.number].append((item, item.resource, port.protocol.upper()))
    for (host, number), entries in users.items():
        for item, entry, _ in entries:
            seen = [other for other in entries if _meet(entry, other[1])]
            protocols = sorted({protocol for _, _, protocol in seen})
            names = ", ".join(sorted({f"{one.namespace}/{one.name}" for _, one, _ in seen}))
            if len(protocols) > 1 and "," in names:
                words = f'Multiple ServiceEntries ({names}) define the same host "{host}" and port {number} '
                yield item.finding("IST0177", f"{words}with conflicting protocols ({', '.join(protocols)}).", ("spec",))


def _meet(one: ServiceEntry, other: ServiceEntry) -> bool:
    """Whether some namespace sees both."""
    known = {one.namespace, other.namespace, "*", *one.spec.export_to, *other.spec.export_to} - {".", "~"}
    return any(
        hosts.is_visible(one.spec.export_to, one.namespace, namespace)
        and hosts.is_visible(other.spec.export_to, other.namespace, namespace)
        for namespace in known
    )


def _overlapping(
    loaded: Sequence[Loaded], registry: Registry, kind: type[Resource], codes: tuple[str, str], field: str
) -> Iterator[Finding]:
    """Resources of a kind of which only one can be in force: several for a whole namespace, several for a workload."""
    plural = {"Telemetry": "Telemetries"}.get(kind.__name__, f"{kind.__name__}s")
    by_namespace: dict[str, list[Loaded]] = defaultdict(list)
    for item in loaded:
        if isinstance(item.resource, kind) and not _is_attached(item.resource):
            by_namespace[item.resource.namespace].append(item)
    for namespace, items in by_namespace.items():
        whole = [item for item in items if not _selected(item)]
        if len(whole) > 1:
            words = f'The {plural} [{_names(whole)}] in namespace "{namespace}" have no workload selector, which can '
            for item in whole:
                yield item.finding(codes[1], words + "lead to undefined behavior.", ("spec",))
        for workload in registry.view.workloads.values():
            picked = [item for item in items if _selected(item) and _selected(item).items() <= workload.labels.items()]
            if workload.namespace == namespace and len(picked) > 1:
                words = f'The {plural} [{_names(picked)}] in namespace "{namespace}" select the same workload pod '
                words += f'"{workload.name}", which can lead to undefined behavior.'
                for item in picked:
                    yield item.finding(codes[0], words, ("spec", field))


def _is_attached(resource: Resource) -> bool:
    return isinstance(resource, Telemetry) and bool(resource.spec.targets)


def _names(items: Sequence[Loaded]) -> str:
    return " ".join(sorted(item.resource.name for item in items))


def _selected(item: Loaded) -> dict[str, str]:
    if isinstance(item.resource, Sidecar):
        return item.resource.selector_labels
    assert isinstance(item.resource, Telemetry)
    return item.resource.spec.selector.match_labels if item.resource.spec.selector else {}
