"""The patches of a proxy applied to what the generators made for it."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial

import betterproto2
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from envoy_data_plane.envoy.config.listener.v3 import Listener
from envoy_data_plane.envoy.config.route.v3 import RouteConfiguration
from envoy_data_plane.google import protobuf

from windvane.xds.clusters import inbound_ports
from windvane.xds.envoy_filters.clusters import patched_cluster
from windvane.xds.envoy_filters.listeners import added_listeners, patched_listener
from windvane.xds.envoy_filters.routes import patch_routes
from windvane.xds.envoy_filters.select import Context, Patch, Patches, patches_for
from windvane.xds.proxy import Proxy
from windvane.xds.resources import CDS, LDS, RDS, Bundle, Resource, pack
from windvane.xds.snapshot import Snapshot

_NOTHING: frozenset[Patch] = frozenset()


@dataclass(frozen=True, slots=True)
class Patched:
    """A resource after patches (None when it was removed), and those that did something to it."""

    resource: Resource | None
    hits: frozenset[Patch]


def patched(proxy: Proxy, snapshot: Snapshot, made: Mapping[str, Bundle]) -> dict[str, Bundle]:
    """A proxy's configuration after its EnvoyFilters; as it is where there are none."""
    return patched_with_hits(proxy, snapshot, made)[0]


def patched_with_hits(
    proxy: Proxy, snapshot: Snapshot, made: Mapping[str, Bundle]
) -> tuple[dict[str, Bundle], frozenset[Patch]]:
    """The same, and every patch that changed anything."""
    patches = patches_for(proxy, snapshot)
    if patches is None:
        return dict(made), _NOTHING
    one = _Proxy(proxy, snapshot, patches)
    patching = {CDS: one.clusters, LDS: one.listeners, RDS: one.tables}
    after = {kind: Bundle(patching[kind](bundle)) if kind in patching else bundle for kind, bundle in made.items()}
    return after, frozenset(one.hits)


class _Proxy:
    """One proxy while its configuration is patched. What comes of a resource is remembered by its content."""

    def __init__(self, proxy: Proxy, snapshot: Snapshot, patches: Patches) -> None:
        self._proxy, self._snapshot, self._patches = proxy, snapshot, patches
        self._sides: tuple[Context, ...] = (
            ("GATEWAY",) if proxy.role == "router" else ("SIDECAR_OUTBOUND", "SIDECAR_INBOUND")
        )
        self.hits: set[Patch] = set()

    def clusters(self, resources: Iterable[Resource]) -> list[Resource]:
        patches = self._patches.of("CLUSTER")
        if not patches:
            return list(resources)

        def patch(raw: bytes, name: str, hits: set[Patch]) -> betterproto2.Message | None:
            return patched_cluster(Cluster.parse(raw), self._side(name), patches, self._services(name), hits)

        kept = self._all(resources, "CLUSTER", patch)
        found = [
            each for each in patches if each.operation == "ADD" and any(each.is_added_to(side) for side in self._sides)
        ]
        self.hits.update(found)
        return kept + [pack(each.value.name, each.value) for each in found if isinstance(each.value, Cluster)]

    def listeners(self, resources: Iterable[Resource]) -> list[Resource]:
        def patch(raw: bytes, name: str, hits: set[Patch]) -> betterproto2.Message | None:
            return patched_listener(Listener.parse(raw), self._side(name), self._patches, hits)

        kept = self._all(resources, "LISTENER", patch)
        added = {each.name: each for side in self._sides for each in added_listeners(side, self._patches, self.hits)}
        return kept + [pack(name, each) for name, each in added.items()]

    def tables(self, resources: Iterable[Resource]) -> list[Resource]:
        def patch(raw: bytes, _: str, hits: set[Patch]) -> betterproto2.Message | None:
            table = RouteConfiguration.parse(raw)
            patch_routes(table, self._sides[0], self._patches, hits)
            return table

        return self._all(resources, "ROUTE", patch)

    def _all(
        self,
        resources: Iterable[Resource],
        kind: str,
        patch: Callable[[bytes, str, set[Patch]], betterproto2.Message | None],
    ) -> list[Resource]:
        kept = []
        for resource in resources:
            key = ("patched", kind, resource.digest, self._sides, self._services(resource.name), self._key)
            done = self._snapshot.derive(key, partial(_patched, resource, patch))
            self.hits.update(done.hits)
            if done.resource is not None:
                kept.append(done.resource)
        return kept

    @property
    def _key(self) -> tuple[Patch, ...]:
        return tuple(patch for patches in self._patches.by_object.values() for patch in patches)

    def _side(self, name: str) -> Context:
        return "SIDECAR_INBOUND" if name.startswith("inbound|") else self._sides[0]

    def _services(self, name: str) -> tuple[str, ...]:
        """The host of the service that leads to an inbound cluster."""
        if not name.startswith("inbound|"):
            return ()
        served = inbound_ports(self._proxy, self._snapshot).get(int(name.split("|")[1]))
        return (served[0].hostname,) if served else ()


def _patched(resource: Resource, patch: Callable[[bytes, str, set[Patch]], betterproto2.Message | None]) -> Patched:
    """A resource that no patch touched stays what it is, byte for byte."""
    hits: set[Patch] = set()
    with warnings.catch_warnings(action="ignore"):  # of fields that Envoy calls deprecated
        after = patch(protobuf.Any.parse(resource.body).value, resource.name, hits)
    if not hits:
        return Patched(resource, _NOTHING)
    return Patched(pack(_name(after, resource.name), after) if after is not None else None, frozenset(hits))


def _name(message: betterproto2.Message, before: str) -> str:
    return str(getattr(message, "name", "")) or before
