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
import threading
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

import uvloop
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from windvane.api import console, jaeger, kiali, otlp, prometheus
from windvane.api.app import build_app, health_routes
from windvane.api.openapi import openapi_routes
from windvane.api.windvane import status, telemetry
from windvane.app.badges import mesh_info
from windvane.app.control import MeshControl
from windvane.app.settings import ServeSettings
from windvane.app.status import proxies_source, status_source
from windvane.app.web import WebListener
from windvane.ingest import als
from windvane.ingest import otlp as otlp_ingest
from windvane.ingest.accounting import Accounting
from windvane.ingest.grpc_server import GrpcServer, otlp_services
from windvane.ingest.istio_metrics import Directory, IstioMetrics, IstioMetricsSettings
from windvane.ingest.otlp import OtlpReceiver
from windvane.kit.clock import Clock, SystemClock
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.mesh.build import MeshIdentity
from windvane.promql.engine import QueryEngine
from windvane.store.commit import GroupCommit
from windvane.store.embedded import EmbeddedEngine, EmbeddedSettings
from windvane.store.migrate import migrate
from windvane.topology.traffic import asker
from windvane.xds.admission import admission_token
from windvane.xds.server import ControlPlane, ControlPlaneSettings
from windvane.xds.snapshot import MeshSettings

log = logging.getLogger(__name__)


def run(settings: ServeSettings) -> None:
    """Serve until SIGINT or SIGTERM."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", stream=sys.stderr)
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
    )


async def _until_signal(settings: ServeSettings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        server = await Server.start(settings, SystemClock(), stack)
        log.info("console and APIs on http://%s/", server.http)
        ended = asyncio.create_task(stop.wait())
        await asyncio.wait([ended, *server.loops], return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        for loop in server.loops:
            if loop.done():
                loop.result()  # a loop that ended has failed: say why
        log.info("stopping")


@dataclass(slots=True)
class Server:
    """A running server: the address of its HTTP face and the loops that must not end."""

    http: Address
    loops: list[asyncio.Task[None]]

    @classmethod
    async def start(cls, settings: ServeSettings, clock: Clock, stack: contextlib.AsyncExitStack) -> Server:
        """Start all of it; `stack` takes what is to be undone, in order."""
        metrics = Metrics()
        accounting = Accounting(metrics)
        loops: list[asyncio.Task[None]] = []
        engine = await asyncio.to_thread(_open_store, settings)
        stack.push_async_callback(asyncio.to_thread, engine.close)
        control = _control(settings, clock, metrics)
        nobody = Directory()
        istio = IstioMetrics(
            engine,
            control.directory if control else lambda: nobody,
            settings=IstioMetricsSettings(interval=settings.metrics_interval),
            clock=clock,
            metrics=metrics,
        )
        stack.push_async_callback(asyncio.to_thread, istio.tick)
        commit = GroupCommit(engine, [*otlp_ingest.kinds(), als.kind()], clock=clock, metrics=metrics)
        await stack.enter_async_context(commit)
        receiver = OtlpReceiver(commit, accounting)
        await _start_grpc(settings, stack, receiver, als.AccessLogService(commit, accounting, clock=clock))
        _keep(stack, loops, istio.run())
        if control is not None:
            _keep(stack, loops, control.run())
            if control.plane is not None:
                _keep(stack, loops, control.plane.serve())
        faces = _Faces(settings, engine, QueryEngine(engine), clock, metrics, accounting, control)
        http = await _listen(stack, faces.everything(otlp.routes(receiver)), settings.http)
        if settings.otlp_http is not None:
            await _listen(stack, build_app([otlp.routes(receiver)]), settings.otlp_http)
        threading.Thread(target=faces.queries.warm, daemon=True, name="warm-promql").start()
        return cls(http, loops)


def _open_store(settings: ServeSettings) -> EmbeddedEngine:
    engine = EmbeddedEngine.open(settings.data / "store", settings=EmbeddedSettings(memory_bytes=settings.memory))
    migrate(engine, settings.retention)
    return engine


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


async def _start_grpc(
    settings: ServeSettings, stack: contextlib.AsyncExitStack, receiver: OtlpReceiver, logs: als.AccessLogService
) -> None:
    if settings.grpc is None:
        return
    server = GrpcServer(settings.grpc, [*otlp_services(receiver), logs])
    await server.start()
    stack.push_async_callback(logs.close)
    stack.push_async_callback(server.stop)


def _keep(stack: contextlib.AsyncExitStack, loops: list[asyncio.Task[None]], loop: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(loop)
    loops.append(task)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(end)


async def _listen(stack: contextlib.AsyncExitStack, application: Starlette, wanted: Address) -> Address:
    listener = WebListener(application, wanted)
    listener.start()
    stack.push_async_callback(listener.stop)
    return listener.address


@dataclass(frozen=True)
class _Faces:
    """The HTTP faces over one store."""

    settings: ServeSettings
    engine: EmbeddedEngine
    queries: QueryEngine
    clock: Clock
    metrics: Metrics
    accounting: Accounting
    control: MeshControl | None

    def everything(self, receivers: list[BaseRoute]) -> Starlette:
        """All faces on one address, the console last: it answers every path that is left."""
        engine, clock, control, settings = self.engine, self.clock, self.control, self.settings
        kept = settings.retention.of("metrics")
        info = prometheus.StatusInfo(
            started_ms=clock.now_ns() // 1_000_000,
            retention="none" if kept is None else f"{kept:g}s",
            scrape_interval=f"{settings.metrics_interval:g}s",
            directory=str(settings.data),
        )
        own = [
            *telemetry.routes(engine, asker(self.queries), clock),
            *status.routes(
                status_source(engine, settings.retention, self.accounting, control, clock),
                proxies_source(control.plane if control else None),
            ),
        ]
        return build_app(
            [
                health_routes(self.metrics, self._missing),
                prometheus.routes(self.queries, clock, info),
                jaeger.routes(engine, clock),
                kiali.routes(engine, asker(self.queries), clock, lambda: mesh_info(control.view) if control else None),
                own,
                openapi_routes(own),
                receivers,
                console.routes(),
            ]
        )

    def _missing(self) -> str | None:
        if self.control is not None and not self.control.loaded.is_set():
            return "the mesh's files are not read yet"
        return None
