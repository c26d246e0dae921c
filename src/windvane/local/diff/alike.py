"""Requests whose whole way is sent the same by two configurations: they need not be asked of any Envoy.

Envoys that were sent the same do the same. What counts is what the request meets: the listeners, virtual hosts,
clusters and endpoints of who asks, and all that lets requests into the workloads that it can reach.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from windvane.kit.errors import WindvaneError
from windvane.local.placement import imagined_placements
from windvane.local.trial.asking import Asked, clusters_in, covering, onwards, plain, whole
from windvane.mesh.view import MeshView
from windvane.xds.proxy import Proxy
from windvane.xds.resources import CDS, EDS, LDS, RDS, Resource
from windvane.xds.snapshot import MeshSettings, Snapshot

if TYPE_CHECKING:
    from windvane.local.diff.distinct import Distinct


def told_apart(views: Sequence[MeshView], requests: Sequence[Distinct]) -> tuple[list[Distinct], list[Distinct]]:
    """Those that may be treated differently, and those that cannot be; an unclear one is of the first."""
    placements = imagined_placements(*views)
    snapshots = [Snapshot(view, at, MeshSettings()) for view, at in zip(views, placements, strict=True)]
    apart: list[Distinct] = []
    alike: list[Distinct] = []
    for each in requests:
        try:
            ways = [list(_way(snapshot, each)) for snapshot in snapshots]
        except WindvaneError:  # what cannot be asked is told as an answer
            ways = []
        (alike if ways and ways[0] == ways[1] else apart).append(each)
    return apart, alike


def _way(snapshot: Snapshot, request: Distinct) -> Iterator[Any]:
    """All that a request meets, in an order that is the same for equal configurations."""
    proxy, asked = snapshot.proxy(request.client), request.asked
    if proxy is None:
        return
    listeners = _listeners_out(proxy, snapshot, asked)
    yield from (each.digest for each in listeners)
    hosts = covering(proxy, snapshot, asked.authority) if asked.kind != "tcp" else []
    yield hosts
    named = [*hosts, *map(plain, listeners)]
    yield from _clusters(proxy, snapshot, dict.fromkeys(name for each in named for name in clusters_in(each)))
    for key in onwards(proxy, snapshot, asked):
        yield key
        other = snapshot.proxy(key)
        if other is not None:
            yield snapshot.derive(("lets in", key), lambda other=other: tuple(_lets_in(other, snapshot)))  # type: ignore[misc]


def _listeners_out(proxy: Proxy, snapshot: Snapshot, asked: Asked) -> list[Resource]:
    """Listeners that the request may leave by: of those for one service each, only that of its host."""
    every = whole(proxy, snapshot)[LDS]
    if proxy.role == "router":
        return list(every)
    return [
        each
        for each in every
        if not each.name.startswith(("outbound|", "inbound")) or each.name.rpartition("|")[2].startswith(asked.host)
    ]


def _clusters(proxy: Proxy, snapshot: Snapshot, names: dict[str, None]) -> Iterator[Hashable]:
    made = whole(proxy, snapshot)
    for name in names:
        for kind in (CDS, EDS):
            found = made[kind].get(name)
            yield name, found.digest if found else b""
    # The tables of services' own listeners say the same as the hosts above, and are not looked at.


def _lets_in(proxy: Proxy, snapshot: Snapshot) -> Iterator[Hashable]:
    """What decides about requests that reach a workload; of a gateway everything, for it sends them on."""
    made = whole(proxy, snapshot)
    if proxy.role == "router":
        yield from (made[kind].version for kind in (LDS, RDS, CDS, EDS))
        return
    names: dict[str, None] = {}
    for each in made[LDS]:
        if "inbound" in each.name:
            yield each.digest
            names.update(dict.fromkeys(clusters_in(plain(each))))
    names.update(dict.fromkeys(each.name for each in made[CDS] if each.name.startswith("inbound")))
    yield from _clusters(proxy, snapshot, names)
