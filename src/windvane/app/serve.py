"""The server: rooms joined, started in the order they need each other, stopped in the reverse.

Stopping loses nothing that was acknowledged or is on its way inside: listeners close first, then
what they received is committed, then the last access-log rows are counted, then the store closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import uvloop
from starlette.types import ASGIApp

from windvane.app import jaeger
from windvane.app.control import MeshControl
from windvane.app.monitoring import Monitoring
from windvane.app.settings import ServeSettings
from windvane.app.tenant import Common, Identity, Tenant, warm
from windvane.app.tenants import Tenants, TenantServices, dispatched
from windvane.app.web import WebListener
from windvane.ingest.agent import AgentListener
from windvane.ingest.grpc_server import GrpcServer
from windvane.kit.clock import Clock, SystemClock
from windvane.kit.errors import InternalError, WindvaneError
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.mesh.build import MeshIdentity
from windvane.store.tenants import DEFAULT_DATABASE
from windvane.xds.admission import admission_token
from windvane.xds.server import ControlPlane, ControlPlaneSettings
from windvane.xds.snapshot import MeshSettings

log = logging.getLogger(__name__)

_THREADS = 32


def run(settings: ServeSettings) -> None:
    """Serve until SIGINT or SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
    for noisy in ("watchfiles", "httpx"):
        logging.getLogger(noisy).setLevel(logging.WARNING)  # they tell of every event, every request
    settings = _absolute(settings)
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    os.chdir(settings.data)  # the engine keeps a cache of format schemas in the working directory
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_until_signal(settings))


def _absolute(settings: ServeSettings) -> ServeSettings:
    return replace(
        settings,
        data=settings.data.resolve(),
        mesh=tuple(path.resolve() for path in settings.mesh),
        placement=settings.placement.resolve() if settings.placement else None,
        monitoring=settings.monitoring.absolute(),
        sampling=settings.sampling.absolute(),
    )


async def _until_signal(settings: ServeSettings) -> None:
    # The usual pool has a few threads a core: loops that wait for queries would keep edits of the mesh from being read.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="work"))
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        server = await Server.start(settings, SystemClock(), stack)
        reloads: set[asyncio.Task[None]] = set()

        def reload() -> None:
            task = asyncio.create_task(_reload(server.monitoring))
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, reload)
        log.info("console and APIs on http://%s/", server.http)
        ended = asyncio.create_task(stop.wait())
        awaited: list[asyncio.Future[Any]] = [ended, server.failed]
        await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        if server.failed.done():
            server.failed.result()
        log.info("stopping")


async def _reload(monitoring: Monitoring) -> None:
    try:
        await monitoring.reload()
    except WindvaneError as error:
        log.error("the configuration stays as it was: %s", error)


@dataclass(slots=True)
class Server:
    """A running server: the address of its HTTP face, and a future that fails when one of its loops ends."""

    http: Address
    failed: asyncio.Future[None]
    monitoring: Monitoring

    @classmethod
    async def start(cls, settings: ServeSettings, clock: Clock, stack: contextlib.AsyncExitStack) -> Server:
        """Start all of it; `stack` takes what is to be undone, in order."""
        metrics = Metrics()
        loops = _Loops()
        control = _control(settings, clock, metrics)
        common = Common(settings, clock, loops.keep)
        own = Identity(DEFAULT_DATABASE, settings.retention, metrics, control, settings.monitoring)
        default = await Tenant.start(own, common, stack)
        tenants = Tenants(default, settings.tenants, common, metrics)
        stack.push_async_callback(tenants.close)
        await tenants.start()
        for wanted, told in ((settings.grpc, "OTLP and access logs"), (settings.jaeger_grpc, "Jaeger's spans")):
            if wanted is not None:
                server = GrpcServer(wanted, [TenantServices(tenants)])
                await server.start()
                stack.push_async_callback(server.stop)
                log.info("%s over gRPC on %s", told, Address(wanted.host, server.port))
        if control is not None:
            loops.keep(stack, control.run())
            if control.plane is not None:
                loops.keep(stack, control.plane.serve())
        http = await _listen(stack, dispatched(tenants, lambda tenant: tenant.faces), settings.http)
        seconds = {"otlp": settings.otlp_http, "zipkin": settings.zipkin, "jaeger": settings.jaeger_http}
        for name, also in seconds.items():
            if also is not None:
                address = await _listen(stack, _receivers(tenants, name), also)
                log.info("%s over HTTP on %s", name, address)
        for datagrams in settings.jaeger_udp:
            agent = AgentListener(default.spans, datagrams)
            await agent.start()
            stack.push_async_callback(agent.stop)
            log.info("Jaeger's datagrams on %s", agent.address)
        if settings.tempo is not None:
            address = await _listen(stack, dispatched(tenants, lambda tenant: tenant.tempo), settings.tempo)
            log.info("Tempo's API on http://%s/", address)
        await _serve_jaeger(stack, tenants, settings)
        await _serve_sampling(stack, tenants, settings)
        warm(default.queries)
        stack.push_async_callback(tenants.end_tails)
        return cls(http, loops.failed, default.monitoring)


class _Loops:
    """Loops that must not end before they are told to."""

    def __init__(self) -> None:
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def keep(self, stack: contextlib.AsyncExitStack, loop: Coroutine[Any, Any, None]) -> None:
        """Run a loop until the stack unwinds; its own end before that is an error, kept in `failed`."""
        task = asyncio.create_task(loop)
        task.add_done_callback(self._ended)

        async def end() -> None:
            task.cancel()
            await asyncio.wait([task])

        stack.push_async_callback(end)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or self.failed.done():
            return
        error = task.exception()
        self.failed.set_exception(error or InternalError(f"{task.get_coro()} ended"))


def _control(settings: ServeSettings, clock: Clock, metrics: Metrics) -> MeshControl | None:
    if not settings.mesh:
        return None
    plane = None
    if settings.ads is not None:
        mesh = MeshSettings(
            ads=settings.ads,
            collector=settings.grpc or Address("127.0.0.1", 4317),
            ads_token=admission_token(settings.data),
        )
        plane = ControlPlane(ControlPlaneSettings(settings.data / "ca", mesh, settings.ads), clock, metrics)
    identity = MeshIdentity(trust_domain=settings.trust_domain)
    return MeshControl(settings.mesh, settings.placement, identity, clock, plane)


def _receivers(tenants: Tenants, name: str) -> ASGIApp:
    return dispatched(tenants, lambda tenant: tenant.receivers[name])


async def _serve_jaeger(stack: contextlib.AsyncExitStack, tenants: Tenants, settings: ServeSettings) -> None:
    if settings.jaeger_query is not None:
        address = await _listen(stack, jaeger.dispatched(tenants), settings.jaeger_query)
        log.info("Jaeger's query API on http://%s/", address)
    if settings.jaeger_grpc_query is not None:
        server = GrpcServer(settings.jaeger_grpc_query, [jaeger.QueryServices(tenants)])
        await server.start()
        stack.push_async_callback(server.stop)
        log.info("Jaeger's query API over gRPC on %s", Address(settings.jaeger_grpc_query.host, server.port))


async def _serve_sampling(stack: contextlib.AsyncExitStack, tenants: Tenants, settings: ServeSettings) -> None:
    if settings.sampling_http is not None:
        address = await _listen(stack, dispatched(tenants, lambda tenant: tenant.strategies), settings.sampling_http)
        log.info("sampling strategies on http://%s/sampling", address)
    if settings.sampling_grpc is not None:
        server = GrpcServer(settings.sampling_grpc, [tenants.default.strategies_service])
        await server.start()
        stack.push_async_callback(server.stop)
        log.info("sampling strategies over gRPC on %s", Address(settings.sampling_grpc.host, server.port))


async def _listen(stack: contextlib.AsyncExitStack, application: ASGIApp, wanted: Address) -> Address:
    listener = WebListener(application, wanted)
    listener.start()
    stack.push_async_callback(listener.stop)
    return listener.address
