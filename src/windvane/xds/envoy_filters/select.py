"""Which patches are for a proxy, in the order in which they are applied."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import betterproto2

from windvane.mesh.attachment import is_attached
from windvane.mesh.envoy_values import MESSAGES, message_of
from windvane.mesh.models.envoy_filter import (
    ApplyTo,
    ClusterMatch,
    EnvoyConfigObjectMatch,
    EnvoyFilter,
    ListenerMatch,
    Operation,
    PatchContext,
    ProxyMatch,
    RouteConfigurationMatch,
)
from windvane.mesh.view import MeshView
from windvane.xds.bootstrap import node_metadata
from windvane.xds.proxy import Proxy
from windvane.xds.snapshot import Snapshot

Context = PatchContext
_INSERTING = ("INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST")
_ORDERED = ("HTTP_FILTER", "NETWORK_FILTER", "HTTP_ROUTE", "LISTENER_FILTER")
"""What has a place among others; anywhere else inserting is adding."""


@dataclass(frozen=True, eq=False, slots=True)
class Patch:
    """One patch: `owner` (`Kind namespace/name`) and `index` say which; `value` may be None for REMOVE."""

    owner: str
    index: int
    apply_to: ApplyTo
    operation: Operation
    match: EnvoyConfigObjectMatch
    value: betterproto2.Message | None

    @property
    def listener(self) -> ListenerMatch | None:
        return self.match.listener

    @property
    def routes(self) -> RouteConfigurationMatch | None:
        return self.match.route_configuration

    @property
    def cluster(self) -> ClusterMatch | None:
        return self.match.cluster

    def is_for(self, context: Context) -> bool:
        """Whether it is for that side of a proxy."""
        return self.match.context in ("ANY", context)

    def is_added_to(self, context: Context) -> bool:
        """Whether what it adds is for that side: where it does not say, not for inbound."""
        return self.is_for(context) and not (self.match.context == "ANY" and context == "SIDECAR_INBOUND")


@dataclass(frozen=True, eq=False, slots=True)
class Patches:
    """The patches for a proxy, by what they are applied to."""

    by_object: Mapping[str, tuple[Patch, ...]]

    def of(self, apply_to: ApplyTo) -> tuple[Patch, ...]:
        return self.by_object.get(apply_to, ())


def patches_for(proxy: Proxy, snapshot: Snapshot) -> Patches | None:
    """What a proxy's configuration is patched with; None for nothing."""
    if not snapshot.view.envoy_filters:
        return None
    return snapshot.derive(("envoy filters", proxy.key), lambda: _patches(proxy, snapshot))


def selected(view: MeshView, proxy: Proxy) -> list[EnvoyFilter]:
    """The EnvoyFilters for a proxy: by priority, of the root namespace first, then by age and name."""
    found = [item for item in view.envoy_filters if _is_for(view, item, proxy)]
    return sorted(found, key=lambda item: (item.spec.priority, item.namespace != view.root_namespace, item.age_key))


def _is_for(view: MeshView, item: EnvoyFilter, proxy: Proxy) -> bool:
    if item.spec.target_refs:
        return any(is_attached(view, item.namespace, target, proxy.workload) for target in item.spec.target_refs)
    if item.namespace not in (view.root_namespace, proxy.namespace):
        return False
    return item.selector_labels.items() <= dict(proxy.workload.labels).items()


def _patches(proxy: Proxy, snapshot: Snapshot) -> Patches | None:
    metadata = node_metadata(proxy, snapshot.view, snapshot.settings)
    found: dict[str, list[Patch]] = {}
    for item in selected(snapshot.view, proxy):
        for patch in patches_of(snapshot.view, item):
            if is_of(patch.match.proxy, metadata):
                found.setdefault(patch.apply_to, []).append(patch)
    return Patches({name: tuple(patches) for name, patches in found.items()}) if found else None


def patches_of(view: MeshView, item: EnvoyFilter) -> tuple[Patch, ...]:
    """The patches of an EnvoyFilter that can be applied: one with a value that Envoy does not know is left out."""
    return view.derive(("patches", item.reference), lambda: tuple(_of_filter(item)))


def _of_filter(item: EnvoyFilter) -> list[Patch]:
    made = []
    for index, each in enumerate(item.spec.config_patches):
        if each.patch is None or each.apply_to not in MESSAGES:
            continue
        operation: Operation = each.patch.operation
        if operation in _INSERTING and each.apply_to not in _ORDERED:
            operation = "ADD"
        value, _ = message_of(each.apply_to, each.patch.value)
        if value is None and operation != "REMOVE":
            continue
        match = each.match or EnvoyConfigObjectMatch()
        made.append(Patch(item.reference, index, each.apply_to, operation, match, value))
    return made


def is_of(match: ProxyMatch | None, metadata: Mapping[str, Any]) -> bool:
    """Whether a proxy is one that is asked for. One without an Istio version is of none, as in Istio."""
    if match is None:
        return True
    version = metadata.get("ISTIO_VERSION", "")
    if match.proxy_version and not (version and re.search(match.proxy_version, str(version))):
        return False
    return all(metadata.get(name) == value for name, value in match.metadata.items())
