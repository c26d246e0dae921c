"""Everything one proxy gets, by type: the generators' results as bundles."""

from __future__ import annotations

from collections.abc import Callable, Collection

from windvane.xds.clusters import build, clusters, outbound_clusters, outbound_key
from windvane.xds.endpoints import assignment
from windvane.xds.envoy_filters.apply import patched
from windvane.xds.listeners import ListenerSpec, listener_specs, listeners
from windvane.xds.proxy import Proxy
from windvane.xds.resources import CDS, EDS, LDS, RDS, Bundle
from windvane.xds.route_tables import route_tables
from windvane.xds.scope import outbound_scope
from windvane.xds.snapshot import Snapshot
from windvane.xds.sni_dnat import passed_on_clusters


def configuration(proxy: Proxy, snapshot: Snapshot, types: Collection[str] = (CDS, EDS, LDS, RDS)) -> dict[str, Bundle]:
    """What a proxy should have of some types, by type URL."""
    return patched(proxy, snapshot, generated(proxy, snapshot, types))


def generated(proxy: Proxy, snapshot: Snapshot, types: Collection[str] = (CDS, EDS, LDS, RDS)) -> dict[str, Bundle]:
    """The same before EnvoyFilters."""
    return {each: _GENERATORS[each](proxy, snapshot) for each in types}


def listened(proxy: Proxy, snapshot: Snapshot) -> list[ListenerSpec]:
    """What a proxy listens on, without what an EnvoyFilter takes away."""
    return snapshot.derive(("listened", proxy.key), lambda: _listened(proxy, snapshot))


def _listened(proxy: Proxy, snapshot: Snapshot) -> list[ListenerSpec]:
    kept = configuration(proxy, snapshot, (LDS,))[LDS] if snapshot.view.envoy_filters else None
    return [spec for spec in listener_specs(proxy, snapshot) if kept is None or spec.name in kept]


def _clusters(proxy: Proxy, snapshot: Snapshot) -> Bundle:
    passed_on = passed_on_clusters(proxy, outbound_scope(proxy, snapshot))
    return Bundle([*clusters(proxy, snapshot), *(build(each.spec) for each in passed_on.values())])


def _endpoints(proxy: Proxy, snapshot: Snapshot) -> Bundle:
    scope = outbound_scope(proxy, snapshot)
    own = proxy.key if passed_on_clusters(proxy, scope) else ""
    return scope.derive(("endpoints", outbound_key(proxy, scope), own), lambda: _assignments(proxy, scope))


def _assignments(proxy: Proxy, snapshot: Snapshot) -> Bundle:
    found = outbound_clusters(proxy, snapshot) | passed_on_clusters(proxy, snapshot)
    return Bundle(assignment(name, each.endpoints) for name, each in found.items() if each.spec.discovery == "eds")


_GENERATORS: dict[str, Callable[[Proxy, Snapshot], Bundle]] = {
    CDS: _clusters,
    EDS: _endpoints,
    LDS: lambda proxy, snapshot: Bundle(listeners(proxy, snapshot)),
    RDS: route_tables,
}
