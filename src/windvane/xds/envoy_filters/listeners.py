"""Patches of listeners, their filter chains and filters.

Istio's sidecars have one listener for everything that comes in and one for what goes out; here each port has its own.
`virtualInbound` and `virtualOutbound` therefore mean every listener of that side, and a port is the workload's or
service's own, as it is in Istio.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Protocol

from envoy_data_plane.envoy.config.listener.v3 import Filter, FilterChain, Listener
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpFilter,
)

from windvane.mesh.models.envoy_filter import FilterMatch
from windvane.xds.encoding import any_of
from windvane.xds.envoy_filters.clusters import merge_socket
from windvane.xds.envoy_filters.merge import merge, merge_any
from windvane.xds.envoy_filters.order import operate
from windvane.xds.envoy_filters.routes import patch_routes
from windvane.xds.envoy_filters.select import Context, Patch, Patches

MANAGER = "envoy.filters.network.http_connection_manager"
_OLD_MANAGER = "envoy.http_connection_manager"
_VIRTUAL = {"virtualInbound": "SIDECAR_INBOUND", "virtualOutbound": "SIDECAR_OUTBOUND"}


def patched_listener(message: Listener, context: Context, patches: Patches, hits: set[Patch]) -> Listener | None:
    """A listener after its patches; None when one removes it."""
    one = _Listener(message, context, patches, hits)
    return message if one.patch() else None


def added_listeners(context: Context, patches: Patches, hits: set[Patch]) -> list[Listener]:
    """The listeners that patches add to a side of a proxy."""
    found = [patch for patch in patches.of("LISTENER") if patch.operation == "ADD" and patch.is_added_to(context)]
    hits.update(found)
    return [copy.deepcopy(patch.value) for patch in found if isinstance(patch.value, Listener)]


def port_of(name: str) -> int:
    """The port of a workload, service or gateway that a listener is for; 0 for one that is for all."""
    number = name.split("|")[1] if "|" in name else ""
    return int(number) if number.isdecimal() else 0


class _Named(Protocol):
    name: str


class _Listener:
    """One listener while it is patched."""

    def __init__(self, message: Listener, context: Context, patches: Patches, hits: set[Patch]) -> None:
        self._message, self._context, self._patches, self._hits = message, context, patches, hits

    def patch(self) -> bool:
        """Apply everything; False when the listener is gone."""
        for patch in self._fitting(self._patches.of("LISTENER"), ("MERGE", "REMOVE")):
            self._hits.add(patch)
            if patch.operation == "REMOVE":
                return False
            assert isinstance(patch.value, Listener)
            merge(self._message, patch.value)
        self._listener_filters()
        chains = [chain for chain in self._message.filter_chains if self._chain(chain)]
        default = self._message.default_filter_chain
        if default is not None and not self._chain(default):
            self._message.default_filter_chain = None
        for patch in self._fitting(self._patches.of("FILTER_CHAIN"), ("ADD",)):
            self._hits.add(patch)
            assert isinstance(patch.value, FilterChain)
            chains.append(copy.deepcopy(patch.value))
        self._message.filter_chains = chains
        return True

    def _fitting(self, patches: Sequence[Patch], operations: Sequence[str] = ()) -> list[Patch]:
        """Patches for this listener."""
        return [
            patch
            for patch in patches
            if patch.is_for(self._context)
            and (not operations or patch.operation in operations)
            and self._matches_listener(patch)
        ]

    def _matches_listener(self, patch: Patch) -> bool:
        match = patch.listener
        if match is None:
            return True
        name_fits = match.name in ("", self._message.name) or _VIRTUAL.get(match.name) == self._context
        return name_fits and match.port_number in (0, port_of(self._message.name))

    def _listener_filters(self) -> None:
        for patch in self._fitting(self._patches.of("LISTENER_FILTER")):
            wanted = patch.listener.listener_filter if patch.listener is not None else ""
            self._message.listener_filters, applied = operate(
                self._message.listener_filters, patch, _has_name(wanted), named=bool(wanted)
            )
            if applied:
                self._hits.add(patch)

    def _chain(self, chain: FilterChain) -> bool:
        """A filter chain after its patches; False when one removes it."""
        for patch in self._in_chain(chain, self._patches.of("FILTER_CHAIN"), ("MERGE", "REMOVE")):
            self._hits.add(patch)
            if patch.operation == "REMOVE":
                return False
            assert isinstance(patch.value, FilterChain)
            wanted = patch.value.transport_socket
            if wanted is None or not merge_socket(chain.transport_socket, wanted):
                merge(chain, patch.value)
        found = self._in_chain(chain, self._patches.of("NETWORK_FILTER"))
        for patch in found:
            match = _filter_match(patch)
            chain.filters, applied = operate(
                chain.filters, patch, _has_name(match.name if match else ""), named=match is not None
            )
            if applied:
                self._hits.add(patch)
        for one in chain.filters:
            self._filter(chain, one, [patch for patch in found if patch.operation == "MERGE"])
        return bool(chain.filters)

    def _in_chain(self, chain: FilterChain, patches: Sequence[Patch], operations: Sequence[str] = ()) -> list[Patch]:
        return [patch for patch in self._fitting(patches, operations) if self._matches_chain(chain, patch)]

    def _matches_chain(self, chain: FilterChain, patch: Patch) -> bool:
        match = patch.listener.filter_chain if patch.listener is not None else None
        if match is None:
            return True
        own = chain.filter_chain_match
        wanted = match.application_protocols.split(",") if match.application_protocols else []
        return (
            match.name in ("", chain.name)
            and (not match.sni or (own is not None and match.sni in own.server_names))
            and (
                not match.transport_protocol or (own is not None and own.transport_protocol == match.transport_protocol)
            )
            and (not wanted or (own is not None and set(wanted) <= set(own.application_protocols)))
            and match.destination_port in (0, port_of(self._message.name))
        )

    def _filter(self, chain: FilterChain, one: Filter, patches: Sequence[Patch]) -> None:
        for patch in patches:
            match = _filter_match(patch)
            if match is None or _is_named(one, match.name):
                assert isinstance(patch.value, Filter)
                self._merge_filter(one, patch.value, patch)
        if one.name == MANAGER and one.typed_config is not None:
            manager = HttpConnectionManager.parse(one.typed_config.value)
            self._requests(chain, manager)
            if manager.route_config is not None:
                patch_routes(manager.route_config, self._context, self._patches, self._hits)
            one.typed_config = any_of(manager)

    def _merge_filter(self, one: Filter | HttpFilter, value: Filter | HttpFilter, patch: Patch) -> None:
        """Merge a filter's configuration and take over its name, as Istio does; what has no configuration stays."""
        if one.typed_config is None:
            return
        if value.typed_config is not None:
            merged = merge_any(one.typed_config, value.typed_config)
            if merged is None:
                return
            one.typed_config = merged
        one.name = value.name or one.name
        self._hits.add(patch)

    def _requests(self, chain: FilterChain, manager: HttpConnectionManager) -> None:
        found = []
        for patch in self._in_chain(chain, self._patches.of("HTTP_FILTER")):
            match = _filter_match(patch)
            if match is None or match.name in (MANAGER, _OLD_MANAGER):
                found.append(patch)
        for patch in found:
            name = _sub_filter(patch)
            manager.http_filters, applied = operate(manager.http_filters, patch, _has_name(name), named=bool(name))
            if applied:
                self._hits.add(patch)
        for one in manager.http_filters:
            for patch in found:
                if patch.operation == "MERGE" and _sub_filter(patch) in ("", one.name):
                    assert isinstance(patch.value, HttpFilter)
                    self._merge_filter(one, patch.value, patch)


def _filter_match(patch: Patch) -> FilterMatch | None:
    chain = patch.listener.filter_chain if patch.listener is not None else None
    return chain.filter if chain is not None else None


def _sub_filter(patch: Patch) -> str:
    match = _filter_match(patch)
    return match.sub_filter.name if match is not None and match.sub_filter is not None else ""


def _is_named(one: Filter, name: str) -> bool:
    return one.name == (MANAGER if name == _OLD_MANAGER else name)


def _has_name(name: str) -> Callable[[_Named], bool]:
    wanted = MANAGER if name == _OLD_MANAGER else name
    return lambda one: one.name == wanted
