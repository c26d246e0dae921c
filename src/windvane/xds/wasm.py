"""WasmPlugins as Envoy's Wasm filters, between the filters that refuse requests (Istio's phases)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import orjson
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener.v3 import Filter
from envoy_data_plane.envoy.extensions.filters.http.wasm.v3 import Wasm
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.filters.network.wasm.v3 import Wasm as NetworkWasm
from envoy_data_plane.envoy.extensions.wasm import v3 as wasm
from envoy_data_plane.google.protobuf import StringValue

from windvane.mesh.attachment import is_for
from windvane.mesh.models.wasm import PluginPhase, WasmPlugin
from windvane.xds.encoding import any_of
from windvane.xds.proxy import Proxy
from windvane.xds.snapshot import Snapshot

Side = Literal["inbound", "outbound", "gateway"]
PHASES: tuple[PluginPhase, ...] = ("AUTHN", "AUTHZ", "STATS", "UNSPECIFIED_PHASE")
_RUNTIME = "envoy.wasm.runtime.v8"
_MODES = {
    "inbound": ("UNDEFINED", "SERVER", "CLIENT_AND_SERVER"),
    "outbound": ("UNDEFINED", "CLIENT", "CLIENT_AND_SERVER"),
    "gateway": ("UNDEFINED", "CLIENT", "CLIENT_AND_SERVER"),
}
_FAILURES = {
    "FAIL_CLOSE": wasm.FailurePolicy.FAIL_CLOSED,
    "FAIL_OPEN": wasm.FailurePolicy.FAIL_OPEN,
    "FAIL_RELOAD": wasm.FailurePolicy.FAIL_RELOAD,
}


@dataclass(frozen=True, slots=True)
class Plugin:
    """A module in force: `configuration` is JSON text or "", `host_variables` are names of the proxy's own."""

    name: str
    phase: PluginPhase
    file: str
    root_id: str
    configuration: str
    failure: str
    variables: tuple[tuple[str, str], ...]
    host_variables: tuple[str, ...]
    of_connections: bool


def plugins(proxy: Proxy, snapshot: Snapshot, side: Side, port: int) -> tuple[Plugin, ...]:
    """The plugins of a listener, in their order: by priority, the highest first, then by name. A port of 0 is all."""
    found = [item for item in _of_proxy(proxy, snapshot) if _matches(item, side, port)]
    return tuple(map(_plugin, found))


def _of_proxy(proxy: Proxy, snapshot: Snapshot) -> list[WasmPlugin]:
    view = snapshot.view
    if not view.wasm_plugins:
        return []
    spaces = (view.root_namespace, proxy.namespace)
    found = [
        item
        for item in view.wasm_plugins
        if item.spec.file
        and (item.spec.targets or item.namespace in spaces)
        and is_for(view, item.namespace, item.spec, proxy.workload)
    ]
    return sorted(found, key=lambda item: (-(item.spec.priority or 0), item.namespace, item.name))


def _matches(item: WasmPlugin, side: Side, port: int) -> bool:
    if not item.spec.match:
        return True
    return any(
        match.mode in _MODES[side] and (not match.ports or any(each.number == port for each in match.ports))
        for match in item.spec.match
    )


def _plugin(item: WasmPlugin) -> Plugin:
    spec, variables = item.spec, item.spec.vm_config.env if item.spec.vm_config else ()
    return Plugin(
        name=f"{item.namespace}.{item.name}",
        phase=spec.phase,
        file=spec.file,
        root_id=spec.plugin_name,
        configuration=orjson.dumps(spec.plugin_config).decode() if spec.plugin_config else "",
        failure=spec.fail_strategy,
        variables=tuple((each.name, each.value) for each in variables if each.value_from == "INLINE"),
        host_variables=tuple(each.name for each in variables if each.value_from == "HOST"),
        of_connections=spec.type == "NETWORK",
    )


def http_filters(found: Sequence[Plugin], *phases: PluginPhase) -> Iterator[HttpFilter]:
    """The filters of requests of these phases."""
    for phase in phases:
        yield from (_http(each) for each in found if each.phase == phase and not each.of_connections)


def network_filters(found: Sequence[Plugin], *phases: PluginPhase) -> Iterator[Filter]:
    """The filters of connections of these phases."""
    for phase in phases:
        yield from (_network(each) for each in found if each.phase == phase and each.of_connections)


@lru_cache(maxsize=1024)
def _http(plugin: Plugin) -> HttpFilter:
    return HttpFilter(name=plugin.name, typed_config=any_of(Wasm(config=_config(plugin))))


@lru_cache(maxsize=1024)
def _network(plugin: Plugin) -> Filter:
    return Filter(name=plugin.name, typed_config=any_of(NetworkWasm(config=_config(plugin))))


def _config(plugin: Plugin) -> wasm.PluginConfig:
    environment = wasm.EnvironmentVariables(
        host_env_keys=list(plugin.host_variables), key_values=dict(plugin.variables)
    )
    code = core.AsyncDataSource(local=core.DataSource(filename=plugin.file))
    return wasm.PluginConfig(
        name=plugin.name,
        root_id=plugin.root_id,
        vm_config=wasm.VmConfig(runtime=_RUNTIME, code=code, environment_variables=environment),
        configuration=any_of(StringValue(value=plugin.configuration)) if plugin.configuration else None,
        failure_policy=_FAILURES[plugin.failure],
    )
