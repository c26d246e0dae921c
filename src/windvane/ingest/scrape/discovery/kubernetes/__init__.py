"""Discovery of Kubernetes objects: list and watch, turned into target groups.

`reflect` keeps copies of collections, `meta` and `endpoints` describe objects, `connection` finds the
server; `KubernetesTargets` tells the groups of what has changed, and of what depends on it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from windvane.ingest.scrape.client import HttpClient
from windvane.ingest.scrape.discovery.base import Update
from windvane.ingest.scrape.discovery.kubernetes import meta
from windvane.ingest.scrape.discovery.kubernetes.connection import Connection, connection
from windvane.ingest.scrape.discovery.kubernetes.endpoints import endpoints_group, endpointslice_group
from windvane.ingest.scrape.discovery.kubernetes.meta import Find, Object
from windvane.ingest.scrape.discovery.kubernetes.reflect import Reflector
from windvane.ingest.scrape.discovery_config import KubernetesDiscovery
from windvane.ingest.scrape.targets import TargetGroup
from windvane.kit.clock import Clock

_GATHER = 0.05  # changes that arrive together are told together
_SPARE_USERS = 10_000

_COLLECTIONS = {
    "pod": ("/api/v1", "pods"),
    "service": ("/api/v1", "services"),
    "endpoints": ("/api/v1", "endpoints"),
    "node": ("/api/v1", "nodes"),
    "namespace": ("/api/v1", "namespaces"),
    "endpointslice": ("/apis/discovery.k8s.io/v1", "endpointslices"),
    "ingress": ("/apis/networking.k8s.io/v1", "ingresses"),
}
_CLUSTER_WIDE = {"node", "namespace"}
_SOURCES = {"service": "svc"}
_GROUPS: dict[str, Callable[[str, Object, Find], TargetGroup]] = {
    "node": meta.node_group,
    "pod": meta.pod_group,
    "service": meta.service_group,
    "ingress": meta.ingress_group,
    "endpoints": endpoints_group,
    "endpointslice": endpointslice_group,
}
_NEEDS = {"endpoints": ("service", "pod"), "endpointslice": ("service", "pod")}


class KubernetesTargets:
    """Targets of one role."""

    def __init__(self, config: KubernetesDiscovery, clock: Clock) -> None:
        self._config = config
        self._clock = clock
        self._reflectors: dict[str, list[Reflector]] = {}
        self._dirty: set[str] = set()
        self._users: dict[tuple[str, str], set[str]] = {}  # who looked at an object last time
        self._wake = asyncio.Event()

    async def run(self, update: Update) -> None:
        place = await asyncio.to_thread(connection, self._config)
        client = HttpClient(place.client)
        try:
            async with asyncio.TaskGroup() as tasks:
                for reflector in self._made(place, client):
                    tasks.create_task(reflector.run())
                await self._tell(update)
        finally:
            await client.close()

    def _made(self, place: Connection, client: HttpClient) -> list[Reflector]:
        role, attached = self._config.role, self._config.attach_metadata
        kinds = [role, *_NEEDS.get(role, ())]
        if attached.node and role in {"pod", "endpoints", "endpointslice"}:
            kinds.append("node")
        if attached.namespace and role != "node":
            kinds.append("namespace")
        for kind in kinds:
            self._reflectors[kind] = [
                Reflector(client, place.url + path, self._selectors(kind), partial(self._changed, kind), self._clock)
                for path in self._paths(kind, place.namespace)
            ]
        return [reflector for kind in kinds for reflector in self._reflectors[kind]]

    def _paths(self, kind: str, own_namespace: str) -> list[str]:
        base, plural = _COLLECTIONS[kind]
        wanted = self._config.namespaces
        names = [*wanted.names, *([own_namespace] if wanted.own_namespace and own_namespace else [])]
        if kind in _CLUSTER_WIDE or not names:
            return [f"{base}/{plural}"]
        return [f"{base}/namespaces/{name}/{plural}" for name in dict.fromkeys(names)]

    def _selectors(self, kind: str) -> dict[str, str]:
        for one in self._config.selectors:
            if one.role == kind:
                return {"labelSelector": one.label, "fieldSelector": one.field}
        return {}

    def _changed(self, kind: str, key: str) -> None:
        if key and kind == self._config.role:
            self._dirty.add(key)
        elif key:
            self._dirty |= self._users.get((kind, key), set())
        self._wake.set()

    async def _tell(self, update: Update) -> None:
        """Once every collection is listed, tell what is new, gathered a little."""
        while True:
            await self._wake.wait()
            await asyncio.sleep(_GATHER)
            self._wake.clear()
            if all(one.listed for several in self._reflectors.values() for one in several):
                self._forget()
                dirty, self._dirty = self._dirty, set()
                update([self._group(key) for key in sorted(dirty)])

    def _forget(self) -> None:
        """Objects come and go: learn anew who looks at what once most of it is past."""
        known = sum(len(one.objects) for several in self._reflectors.values() for one in several)
        if len(self._users) > 4 * known + _SPARE_USERS:
            self._users.clear()
            self._dirty |= {key for one in self._reflectors[self._config.role] for key in one.objects}

    def _group(self, key: str) -> TargetGroup:
        role = self._config.role
        source = f"{_SOURCES.get(role, role)}/{key}"
        thing = self._find(role, key)
        if thing is None:
            return TargetGroup(source)

        def looked_up(kind: str, other: str) -> Object | None:
            if kind not in self._reflectors or not other:
                return None
            self._users.setdefault((kind, other), set()).add(key)
            return self._find(kind, other)

        return _GROUPS[role](source, thing, looked_up)

    def _find(self, kind: str, key: str) -> Object | None:
        for reflector in self._reflectors[kind]:
            found = reflector.objects.get(key)
            if found is not None:
                return found
        return None
