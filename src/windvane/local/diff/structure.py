"""How Envoy's configuration itself differs, by workload: listeners, routes, clusters and endpoints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from windvane.local.diff.configured import flat
from windvane.local.placement import imagined_placements
from windvane.mesh.view import MeshView
from windvane.xds.configuration import configuration
from windvane.xds.resources import CDS, EDS, LDS, RDS, Bundle, Resource
from windvane.xds.snapshot import MeshSettings, Snapshot

TYPES = {"listeners": LDS, "routes": RDS, "clusters": CDS, "endpoints": EDS}
_MOST_FIELDS = 50
_SPELLED = (".decorator.operation", ".grpc_timeout_header_max")
"""What spells something else once more: a route's match as the name of spans, its timeout as the longest of gRPC."""


@dataclass(frozen=True, slots=True)
class Changed:
    """A resource that is `added`, `removed` or `changed`, for all workloads that it is so for.

    `fields` are paths with the values before and after, `more` how many are not listed.
    """

    kind: str
    name: str
    what: Literal["added", "removed", "changed"]
    workloads: tuple[str, ...]
    fields: tuple[tuple[str, str, str], ...] = ()
    more: int = 0


@dataclass(frozen=True, slots=True)
class Structure:
    """All changed resources, and workloads that only one configuration has."""

    resources: tuple[Changed, ...]
    added: tuple[str, ...]
    removed: tuple[str, ...]


def structure(old: MeshView, new: MeshView) -> Structure:
    """What every proxy would be sent under both; addresses are the same for a workload of both."""
    placements = imagined_placements(old, new)
    before, after = (Snapshot(view, at, MeshSettings()) for view, at in zip((old, new), placements, strict=True))
    common = sorted(placements[0].places.keys() & placements[1].places.keys())
    found: dict[tuple[str, str, bytes, bytes], list[str]] = {}
    resources: dict[bytes, Resource] = {}
    for key in common:
        for kind, one, other in _pairs(before, after, key):
            digests = [each.digest if each else b"" for each in (one, other)]
            resources |= {each.digest: each for each in (one, other) if each}
            name = (one or other or Resource("", (), b"")).name
            found.setdefault((kind, name, digests[0], digests[1]), []).append(key)
    changed = (
        _changed(kind, name, resources.get(b), resources.get(a), keys) for (kind, name, b, a), keys in found.items()
    )
    merged: dict[Changed, list[str]] = {}
    for each in changed:
        merged.setdefault(replace(each, workloads=()), []).extend(each.workloads)
    only = (set(placements[1].places) - set(common), set(placements[0].places) - set(common))
    resources_changed = tuple(replace(each, workloads=tuple(sorted(keys))) for each, keys in merged.items())
    return Structure(resources_changed, tuple(sorted(only[0])), tuple(sorted(only[1])))


def _pairs(before: Snapshot, after: Snapshot, key: str) -> Iterator[tuple[str, Resource | None, Resource | None]]:
    """Resources of a proxy that differ."""
    sides = [before.proxy(key), after.proxy(key)]
    made: list[Mapping[str, Bundle]] = [
        configuration(proxy, snapshot) if proxy else {} for proxy, snapshot in zip(sides, (before, after), strict=True)
    ]
    for kind, url in TYPES.items():
        one, other = (each.get(url, Bundle()) for each in made)
        for name in dict.fromkeys(each.name for bundle in (one, other) for each in bundle):
            pair = one.get(name), other.get(name)
            if (pair[0].digest if pair[0] else b"") != (pair[1].digest if pair[1] else b""):
                yield kind, *pair


def _changed(kind: str, name: str, one: Resource | None, other: Resource | None, keys: list[str]) -> Changed:
    if one is None or other is None:
        return Changed(kind, name, "added" if one is None else "removed", tuple(keys))
    before, after = (dict(flat(each.to_dict())) for each in (one, other))
    paths = [
        path
        for path in dict.fromkeys([*before, *after])
        if before.get(path) != after.get(path) and not path.endswith(_SPELLED)
    ]
    fields = tuple((path, before.get(path, ""), after.get(path, "")) for path in paths[:_MOST_FIELDS])
    return Changed(kind, name, "changed", tuple(keys), fields, max(0, len(paths) - _MOST_FIELDS))
