"""Everything one proxy gets, by type: the generators' results as bundles."""

from __future__ import annotations

from windvane.xds.clusters import build, clusters, outbound_clusters, outbound_key
from windvane.xds.endpoints import assignment
from windvane.xds.envoy_filters.apply import patched
from windvane.xds.listeners import ListenerSpec, listener_specs, listeners
from windvane.xds.proxy import Proxy
from windvane.xds.resources import CDS, EDS, LDS, RDS, Bundle, Resource
from windvane.xds.route_tables import route_tables
from windvane.xds.scope import outbound_scope
from windvane.xds.snapshot import Snapshot
from windvane.xds.sni_dnat import passed_on_clusters


def configuration(proxy: Proxy, snapshot: Snapshot) -> dict[str, Bundle]:
    """CDS, EDS, LDS and RDS of a proxy, by type URL."""
    return patched(proxy, snapshot, generated(proxy, snapshot))


def generated(proxy: Proxy, snapshot: Snapshot) -> dict[str, Bundle]:
    """The same before EnvoyFilters."""
    scope = outbound_scope(proxy, snapshot)
    own = proxy.key if passed_on_clusters(proxy, scope) else ""
    endpoints = scope.derive(("endpoints", outbound_key(proxy, scope), own), lambda: _endpoints(proxy, scope))
    return {
        CDS: Bundle([*clusters(proxy, snapshot), *_passed_on(proxy, scope)]),
        EDS: endpoints,
        LDS: Bundle(listeners(proxy, snapshot)),
        RDS: Bundle(route_tables(proxy, snapshot)),
    }


def listened(proxy: Proxy, snapshot: Snapshot) -> list[ListenerSpec]:
    """What a proxy listens on, without what an EnvoyFilter takes away."""
    return snapshot.derive(("listened", proxy.key), lambda: _listened(proxy, snapshot))


def _listened(proxy: Proxy, snapshot: Snapshot) -> list[ListenerSpec]:
    kept = configuration(proxy, snapshot)[LDS] if snapshot.view.envoy_filters else None
    return [spec for spec in listener_specs(proxy, snapshot) if kept is None or spec.name in kept]


def _passed_on(proxy: Proxy, snapshot: Snapshot) -> list[Resource]:
    return [build(each.spec) for each in passed_on_clusters(proxy, snapshot).values()]


def _endpoints(proxy: Proxy, snapshot: Snapshot) -> Bundle:
    found = outbound_clusters(proxy, snapshot) | passed_on_clusters(proxy, snapshot)
    return Bundle(assignment(name, each.endpoints) for name, each in found.items() if each.spec.discovery == "eds")
