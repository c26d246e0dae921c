"""Which patches of a mesh do nothing at any proxy, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from windvane.mesh.models.envoy_filter import EnvoyFilter, ProxyMatch
from windvane.xds.bootstrap import node_metadata
from windvane.xds.configuration import generated
from windvane.xds.envoy_filters.apply import patched_with_hits
from windvane.xds.envoy_filters.select import Context, Patch, is_of, patches_of, selected
from windvane.xds.proxy import Proxy
from windvane.xds.snapshot import Snapshot

MOST = 64
_OBJECTS = {
    "LISTENER": "listener",
    "FILTER_CHAIN": "filter chain",
    "LISTENER_FILTER": "listener filter",
    "NETWORK_FILTER": "network filter",
    "HTTP_FILTER": "HTTP filter",
    "ROUTE_CONFIGURATION": "route configuration",
    "VIRTUAL_HOST": "virtual host",
    "HTTP_ROUTE": "route",
    "CLUSTER": "cluster",
}
_WHOLE = ("MERGE", "ADD", "REMOVE")
_MEANT: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("LISTENER", "FILTER_CHAIN", "CLUSTER"), _WHOLE),
    "ROUTE_CONFIGURATION": ("MERGE",),
    "VIRTUAL_HOST": (*_WHOLE, "REPLACE"),
    "HTTP_ROUTE": (*_WHOLE, "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST"),
}
"""The operations that do something, where not all do."""


@dataclass(frozen=True, slots=True)
class Idle:
    """A patch that does nothing: its EnvoyFilter, its number there, and why."""

    owner: str
    index: int
    reason: str


def survey(snapshot: Snapshot) -> Iterator[Idle]:
    """The patches that do nothing; those that cannot be applied at all are not among them.

    Every proxy's configuration is made until each patch has done something. Where that would be too many, nothing is
    said: what `MOST` proxies do not show may be seen at another.
    """
    proxies = [proxy for key in sorted(snapshot.view.workloads) if (proxy := snapshot.proxy(key)) is not None]
    chosen = {proxy.key: selected(snapshot.view, proxy) for proxy in proxies}
    wanted = {patch for item in snapshot.view.envoy_filters for patch in patches_of(snapshot.view, item)}
    hits: set[Patch] = set()
    for looked_at, proxy in enumerate(each for each in proxies if chosen[each.key]):
        if hits >= wanted or looked_at == MOST:
            return
        hits |= patched_with_hits(proxy, snapshot, generated(proxy, snapshot))[1]
    for item in snapshot.view.envoy_filters:
        own = [proxy for proxy in proxies if item in chosen[proxy.key]]
        for patch in patches_of(snapshot.view, item):
            if patch not in hits:
                yield Idle(patch.owner, patch.index, _reason(item, patch, own, snapshot))


def _reason(item: EnvoyFilter, patch: Patch, proxies: list[Proxy], snapshot: Snapshot) -> str:
    if not proxies:
        return "no proxy is selected"
    match = patch.match.proxy
    of = [proxy for proxy in proxies if is_of(match, node_metadata(proxy, snapshot.view, snapshot.settings))]
    if not of:
        return _no_proxy(match)
    if not any(_has_side(proxy, patch.match.context) for proxy in of):
        return f"none of the {len(of)} selected proxies has a side {patch.match.context}"
    what = _OBJECTS[patch.apply_to]
    if patch.operation not in _MEANT.get(patch.apply_to, (patch.operation,)):
        return f"operation {patch.operation} does nothing to a {what}"
    if patch.operation in ("REPLACE", "REMOVE") and item.spec.config_patches[patch.index].match is None:
        return f"{patch.operation} does nothing without a match for the {what}"
    return f"no {what} of {len(of)} selected prox{'ies' if len(of) > 1 else 'y'} fits the match"


def _no_proxy(match: ProxyMatch | None) -> str:
    if match is not None and match.proxy_version:
        return "proxyVersion asks for a version of Istio, and proxies that Istio did not install have none"
    return "no selected proxy has this metadata"


def _has_side(proxy: Proxy, context: Context) -> bool:
    if context == "ANY":
        return True
    return (context == "GATEWAY") == (proxy.role == "router") and context != "WAYPOINT"
