"""WV0514: a service of the mesh has rules of both APIs, of which only the older ones are in force."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from windvane.mesh import hosts
from windvane.mesh.build import MESH_GATEWAY
from windvane.mesh.checks.references import Registry
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.gateway_api.conditions import Key, key_of
from windvane.mesh.gateway_api.semantics import TranslatedRoutes
from windvane.mesh.models import VirtualService, gateway_api

_Sources = Mapping[Key, Loaded]


def conflicts(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """VirtualServices and routes for the same host that clients of one namespace see."""
    sources = {
        key_of(item.resource): item
        for item in loaded
        if isinstance(item.resource, VirtualService | gateway_api.HTTPRoute | gateway_api.GRPCRoute)
    }
    by_host: dict[str, list[VirtualService]] = defaultdict(list)
    for item in registry.view.virtual_services:
        if MESH_GATEWAY in item.spec.gateways and item.spec.http:
            for host in item.spec.hosts:
                by_host[host].append(item)
    for host, items in by_host.items():
        for place, item in enumerate(items):
            first = next((one for one in items[:place] if _is_other(one, item) and _meet(one, item)), None)
            if first is not None:
                yield from _told(host, first, item, sources)


def _is_other(one: VirtualService, item: VirtualService) -> bool:
    """Whether two are of different APIs; what a namespace's routes say for its own clients is meant to come first."""
    own = isinstance(one, TranslatedRoutes) and bool(one.spec.export_to)
    return one.semantics != item.semantics and not own


def _meet(one: VirtualService, item: VirtualService) -> bool:
    """Whether clients of some namespace see both."""
    scopes = {"*", one.namespace, item.namespace, *one.spec.export_to, *item.spec.export_to} - {".", "~"}
    return any(
        hosts.is_visible(one.spec.export_to, one.namespace, scope)
        and hosts.is_visible(item.spec.export_to, item.namespace, scope)
        for scope in scopes
    )


def _told(host: str, first: VirtualService, item: VirtualService, sources: _Sources) -> Iterator[Finding]:
    words = f"not in force for {host}: {_name(first)} is for it as well, and comes first"
    for key in _keys(item):
        if key in sources:
            path = ("spec", "hosts" if key.kind == "VirtualService" else "parentRefs")
            yield sources[key].finding("WV0514", words, path)


def _keys(item: VirtualService) -> list[Key]:
    """The resources that rules come from."""
    if isinstance(item, TranslatedRoutes):
        return list(dict.fromkeys(origin.route for origin in item.origins))
    return [key_of(item)]


def _name(item: VirtualService) -> str:
    key = _keys(item)[0]
    return f"{key.kind} {key.namespace}/{key.name}"
