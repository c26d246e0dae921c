"""Istio's analysis of resources that contradict or shadow each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from windvane.mesh import hosts
from windvane.mesh.build import MESH_GATEWAY, service_hosts
from windvane.mesh.checks.references import Registry
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models import (
    Gateway,
    HTTPRoute,
    Resource,
    Service,
    ServiceEntry,
    Sidecar,
    StringMatch,
    TCPRoute,
    Telemetry,
    TLSRoute,
    VirtualService,
)
from windvane.mesh.models.virtual_service import HTTPMatchRequest


def conflicts(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """Findings about pairs of resources, and about rules of one that an earlier rule takes everything from."""
    yield from _same_mesh_hosts(loaded, registry)
    yield from _same_service_hosts(loaded, registry)
    yield from _same_gateway_servers(loaded)
    yield from _overlapping(loaded, registry, Telemetry, ("IST0159", "IST0160"), "selector")
    yield from _overlapping(loaded, registry, Sidecar, ("IST0110", "IST0111"), "workloadSelector")
    for item in loaded:
        if isinstance(item.resource, VirtualService):
            spec = item.resource.spec
            for field, rules in (("http", spec.http), ("tls", spec.tls), ("tcp", spec.tcp)):
                yield from _shadowed_rules(item, field, rules)


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


def _same_gateway_servers(loaded: Sequence[Loaded]) -> Iterator[Finding]:
    """IST0145."""
    servers: dict[tuple[object, int, str], list[Loaded]] = defaultdict(list)
    for item in loaded:
        if isinstance(item.resource, Gateway):
            selector = tuple(sorted(item.resource.spec.selector.items()))
            for server in item.resource.spec.servers:
                for host in server.hosts:
                    servers[selector, server.port.number if server.port else 0, host].append(item)
    for (_, port, host), items in servers.items():
        others = list(dict.fromkeys(f"{item.resource.namespace}/{item.resource.name}" for item in items))
        if len(others) < 2:
            continue
        for item in items:
            assert isinstance(item.resource, Gateway)
            own = f"{item.resource.namespace}/{item.resource.name}"
            selector_text = ",".join(f"{key}={value}" for key, value in sorted(item.resource.spec.selector.items()))
            names = ",".join(name for name in others if name != own)
            words = f"Conflict with gateways {names} (workload selector {selector_text}, port {port}, hosts {host})."
            yield item.finding("IST0145", words, ("spec", "servers"))


def _overlapping(
    loaded: Sequence[Loaded], registry: Registry, kind: type[Resource], codes: tuple[str, str], field: str
) -> Iterator[Finding]:
    """Resources of a kind of which only one can be in force: several for a whole namespace, several for a workload."""
    plural = {"Telemetry": "Telemetries"}.get(kind.__name__, f"{kind.__name__}s")
    by_namespace: dict[str, list[Loaded]] = defaultdict(list)
    for item in loaded:
        if isinstance(item.resource, kind):
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


def _names(items: Sequence[Loaded]) -> str:
    return " ".join(sorted(item.resource.name for item in items))


def _selected(item: Loaded) -> dict[str, str]:
    if isinstance(item.resource, Sidecar):
        return item.resource.selector_labels
    assert isinstance(item.resource, Telemetry)
    return item.resource.spec.selector.match_labels if item.resource.spec.selector else {}


def _shadowed_rules(item: Loaded, field: str, rules: Sequence[HTTPRoute | TLSRoute | TCPRoute]) -> Iterator[Finding]:
    """IST0130 and IST0131: matches that repeat an earlier one, rules after one that takes everything."""
    seen: dict[str, int] = {}
    catch_all: int | None = None
    for number, route in enumerate(rules):
        if catch_all is not None:
            words = f"VirtualService rule #{number} not used (rule #{catch_all} before it matches everything)."
            yield item.finding("IST0130", words, ("spec", field, number))
            continue
        repeats = 0
        for index, match in enumerate(route.match):
            text = match.model_dump_json(exclude={"name"}, exclude_defaults=True)
            if text in seen:
                repeats += 1
                words = f"VirtualService rule #{number} match #{index} is not used "
                words += f"(duplicate/overlapping match in rule #{seen[text]})."
                yield item.finding("IST0131", words, ("spec", field, number, "match", index))
            seen.setdefault(text, number)
        if route.match and repeats == len(route.match):
            words = f"VirtualService rule #{number} not used (all matches are used by earlier rules)."
            yield item.finding("IST0130", words, ("spec", field, number))
        if not route.match or any(isinstance(it, HTTPMatchRequest) and _takes_everything(it) for it in route.match):
            catch_all = number


def _takes_everything(match: HTTPMatchRequest) -> bool:
    rest = match.model_copy(update={"uri": None, "name": "", "stat_prefix": "", "ignore_uri_case": False})
    return rest == HTTPMatchRequest() and match.uri in (None, StringMatch(prefix="/"), StringMatch(regex=".*"))
