"""One tenant: its database and the rooms that work on it, started in the order they need each other.

Every part that holds data of a tenant is made here, once a tenant; so no room knows of tenants, and
what two of them store cannot meet.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import grpc
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from windvane.analytics.outlook import Made
from windvane.api import (
    console,
    jaeger,
    kiali,
    otlp,
    prometheus,
    prometheus_admin,
    prometheus_facts,
    prometheus_federate,
    prometheus_http,
    prometheus_points,
    prometheus_read,
    prometheus_rules,
    prometheus_targets,
    remote_write,
    span_receivers,
    tempo,
)
from windvane.api.app import build_app, health_routes
from windvane.api.jaeger import sampling as strategies
from windvane.api.openapi import openapi_routes
from windvane.api.prometheus_status import StatusInfo
from windvane.api.windvane import (
    analysis,
    analytics_capacity,
    analytics_detect,
    analytics_outlook,
    analytics_releases,
    analytics_seeing,
    analytics_slo,
    config_editing,
    config_history,
    config_resources,
    dashboards,
    graphs,
    incidents,
    logs,
    logs_import,
    logs_tail,
    objectives,
    propagation,
    releases,
    sampling,
    status,
    telemetry,
    traces,
)
from windvane.api.windvane.analysis_exemplars import istio_naming
from windvane.api.windvane.analytics_releases import range_asker
from windvane.app.badges import mesh_info
from windvane.app.control import MeshControl
from windvane.app.forecasts import Forecasts
from windvane.app.history import edit_settings, keep_history
from windvane.app.incidents import Incidents
from windvane.app.monitoring import Monitoring, MonitoringSettings
from windvane.app.objectives import Objectives
from windvane.app.release_shelf import StoreShelf
from windvane.app.releases import Outside, keep_releases, release_settings
from windvane.app.sampling import Sampling
from windvane.app.settings import ServeSettings
from windvane.app.status import proxies_source, status_source
from windvane.history.book import Book
from windvane.ingest import access_log_import, als, metric_commit
from windvane.ingest import otlp as otlp_ingest
from windvane.ingest.access_log_import import AccessLogImport
from windvane.ingest.accounting import Accounting
from windvane.ingest.grpc_server import otlp_services
from windvane.ingest.istio_metrics import Directory, IstioMetrics, IstioMetricsSettings
from windvane.ingest.metric_commit import MetricStore
from windvane.ingest.otlp import OtlpReceiver
from windvane.ingest.otlp_metrics import OtlpMetrics
from windvane.ingest.remote_write import RemoteWriteReceiver, RemoteWriteSettings
from windvane.ingest.series_book import SeriesBook
from windvane.ingest.series_rules import SeriesBudget
from windvane.ingest.span_metrics import SpanMetrics
from windvane.ingest.spans import SpanReceiver, span_services
from windvane.kit.clock import Clock
from windvane.kit.metrics import Metrics
from windvane.promql.engine import QueryEngine
from windvane.promql.rollup.build import RollupBuilder
from windvane.promql.rollup.build import run as rollup_loop
from windvane.rollout.keeper import Keeper
from windvane.store.commit import GroupCommit, Kind
from windvane.store.delete import SeriesDeletion
from windvane.store.embedded import EmbeddedEngine, EmbeddedSettings
from windvane.store.metric_facts import MetadataWriter
from windvane.store.migrate import Retention, migrate
from windvane.store.series import SampleWriter
from windvane.store.snapshot import snapshot
from windvane.topology.traffic import asker
from windvane.tracing.logs.tail import Tail


@dataclass(frozen=True, slots=True)
class Common:
    """What the tenants of a server share; the mesh is the default tenant's alone."""

    settings: ServeSettings
    clock: Clock
    keep: Callable[[contextlib.AsyncExitStack, Coroutine[Any, Any, None]], None]
    """Runs a loop until the stack unwinds; the server ends when the loop does."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What is one tenant's own: where its data are and how long; `control` and `monitoring` are
    the default tenant's alone."""

    database: str
    retention: Retention
    metrics: Metrics
    control: MeshControl | None = None
    monitoring: MonitoringSettings = field(default_factory=MonitoringSettings)


@dataclass(frozen=True, slots=True)
class Tenant:
    """A running tenant: what answers for it over HTTP and gRPC."""

    engine: EmbeddedEngine
    faces: Starlette
    """Every HTTP face, receivers included."""
    receivers: Mapping[str, Starlette]
    """The faces of `otlp`, `zipkin` and `jaeger` alone, for their second addresses."""
    tempo: Starlette
    """Tempo's API alone, for its own address."""
    services: Sequence[grpc.GenericRpcHandler]
    spans: SpanReceiver
    """For datagrams, which name no tenant."""
    jaeger: Starlette
    """Jaeger's query faces alone, for an address of their own."""
    jaeger_services: Sequence[grpc.GenericRpcHandler]
    strategies: Starlette
    """Sampling strategies alone, for their own address."""
    strategies_service: grpc.GenericRpcHandler
    queries: QueryEngine
    monitoring: Monitoring
    tail: Tail
    """Its streams end before the listeners wait for what is being answered."""

    @classmethod
    async def start(cls, own: Identity, common: Common, stack: contextlib.AsyncExitStack) -> Tenant:
        """Open the database (made when new) and start its loops; `stack` takes what is to be undone."""
        rooms = await _Rooms.start(own, common, stack)
        told = (rooms.sampling.strategy, rooms.sampling.answered)
        strategies_service = strategies.service(*told)
        receivers = {
            "otlp": otlp.routes(rooms.receiver),
            "zipkin": span_receivers.zipkin_routes(rooms.spans),
            "jaeger": span_receivers.jaeger_routes(rooms.spans),
        }
        return cls(
            rooms.engine,
            rooms.faces(receivers.values()),
            {name: build_app([routes]) for name, routes in receivers.items()},
            build_app([tempo.routes(rooms.engine, common.clock, prefix="")]),
            [*otlp_services(rooms.receiver), *span_services(rooms.spans), rooms.logs, strategies_service],
            rooms.spans,
            jaeger.application(rooms.traces, common.settings.monitoring.external_url),
            jaeger.query_services(rooms.traces),
            build_app([strategies.routes(*told)]),
            strategies_service,
            rooms.queries,
            rooms.monitoring,
            rooms.tail,
        )


@dataclass(frozen=True)
class _Rooms:
    """The rooms over one database."""

    common: Common
    own: Identity
    engine: EmbeddedEngine
    accounting: Accounting
    receiver: OtlpReceiver
    spans: SpanReceiver
    writes: RemoteWriteReceiver
    logs: als.AccessLogService
    queries: QueryEngine
    monitoring: Monitoring
    sampling: Sampling
    tail: Tail
    imports: AccessLogImport
    incidents: Incidents
    objectives: Objectives
    forecasts: Forecasts | None
    keeper: Keeper | None

    @classmethod
    async def start(cls, own: Identity, common: Common, stack: contextlib.AsyncExitStack) -> _Rooms:
        settings, clock = common.settings, common.clock
        engine = await asyncio.to_thread(_open_store, settings, own)
        stack.push_async_callback(asyncio.to_thread, engine.close)
        nobody = Directory()
        istio = IstioMetrics(
            engine,
            own.control.directory if own.control else lambda: nobody,
            settings=IstioMetricsSettings(interval=settings.metrics_interval),
            clock=clock,
            metrics=own.metrics,
        )
        stack.push_async_callback(asyncio.to_thread, istio.tick)
        commit = GroupCommit(engine, _kinds(), clock=clock, metrics=own.metrics)
        counted = None
        if settings.span_metrics is not None:
            counted = SpanMetrics(
                engine, lambda: commit.settled, settings=settings.span_metrics, clock=clock, metrics=own.metrics
            )
            stack.push_async_callback(asyncio.to_thread, counted.tick)
        await stack.enter_async_context(commit)
        accounting = Accounting(own.metrics)
        logs = als.AccessLogService(commit, accounting, clock=clock)
        stack.push_async_callback(logs.close)
        common.keep(stack, istio.run())
        if counted is not None:
            common.keep(stack, counted.run())
        rollups = RollupBuilder(engine, clock, own.retention.of("metrics"))
        common.keep(stack, rollup_loop(rollups, clock))
        limits = settings.otlp_metrics.limits
        book = SeriesBook(SeriesBudget(engine, limits.series, clock), limits)
        store = MetricStore(commit, book, MetadataWriter(engine, clock))
        writes = RemoteWriteReceiver(store, accounting, clock=clock, settings=RemoteWriteSettings(limits=limits))
        receiver = OtlpReceiver(
            commit, accounting, metrics=OtlpMetrics(engine, store, clock=clock, settings=settings.otlp_metrics)
        )
        spans = SpanReceiver(receiver, accounting, clock=clock)
        stack.push_async_callback(spans.close)
        queries = QueryEngine(engine, settings.queries)
        stack.push_async_callback(asyncio.to_thread, queries.close)
        queries.start()
        monitoring = Monitoring.over(
            own.monitoring, engine, queries, accounting=accounting, clock=clock, metrics=own.metrics
        )
        await monitoring.start(stack, common.keep)
        sampled = await asyncio.to_thread(
            partial(
                Sampling,
                settings.sampling,
                engine,
                clock=clock,
                metrics=own.metrics,
                counted=[counted.counted] if counted else [],
            )
        )
        sampled.start(stack, common.keep)
        if own.control is not None:
            await keep_history(own.control, engine, clock, stack, common.keep)
        keeper = None
        if own.control is not None and settings.releases:
            outside = Outside(SampleWriter(engine), monitoring.notifier, settings.monitoring.external_url, clock)
            keeper = keep_releases(own.control, StoreShelf(engine), range_asker(queries), outside, clock)
            common.keep(stack, keeper.run())
            common.keep(stack, outside.run(keeper))
        watched = Incidents(settings, engine, range_asker(queries), clock)
        watched.start(monitoring.notifier, stack, common.keep)
        kept = Objectives(own.monitoring.slos, own.control, monitoring.rules, clock)
        await kept.start(stack, common.keep)
        ahead = None
        if settings.forecast and settings.watch:
            ahead = Forecasts(range_asker(queries), SampleWriter(engine), clock, own.metrics)
            common.keep(stack, ahead.run())
        tail, imports = Tail(engine, clock), AccessLogImport(commit, accounting)
        return cls(
            common, own, engine, accounting, receiver, spans, writes, logs, queries, monitoring, sampled, tail, imports,
            watched, kept, ahead, keeper,
        )  # fmt: skip

    def faces(self, receivers: Iterable[list[BaseRoute]]) -> Starlette:
        """All faces on one address, the console last: it answers every path that is left."""
        engine, clock = self.engine, self.common.clock
        control, retention = self.own.control, self.own.retention
        nobody = Directory()
        naming = istio_naming(control.directory if control else lambda: nobody)
        own = [
            *dashboards.routes(),
            *telemetry.routes(engine, asker(self.queries), clock),
            *traces.routes(engine, clock),
            *logs.routes(engine, clock),
            *logs_tail.routes(self.tail),
            *logs_import.routes(self.imports),
            *graphs.routes(engine, clock, naming),
            *analysis.routes(engine, clock, naming),
            *propagation.routes(engine, clock),
            *releases.routes(
                self.keeper, range_asker(self.queries), clock, release_settings(self.common.settings, control)
            ),
            *analytics_releases.routes(range_asker(self.queries), clock),
            *analytics_seeing.routes(range_asker(self.queries), clock, engine, Book(engine)),
            *analytics_capacity.routes(range_asker(self.queries), clock, lambda: self.objectives.kept.objectives),
            *analytics_outlook.routes(self._ahead),
            *analytics_detect.routes(range_asker(self.queries), clock),
            *analytics_slo.routes(range_asker(self.queries), clock),
            *incidents.routes(
                self.incidents.desk, self.incidents.watching, clock, self.common.settings.monitoring.external_url
            ),
            *objectives.routes(self.objectives.kept, self.monitoring.rules.alerts, range_asker(self.queries), clock),
            *sampling.routes(engine, clock, self.sampling.state),
            *config_history.routes(Book(engine), clock),
            *config_resources.routes(lambda: control),
            *config_editing.routes(control, edit_settings(self.common.settings, control), clock),
            *status.routes(
                status_source(engine, retention, self.accounting, control, clock),
                proxies_source(control.plane if control else None),
            ),
        ]
        return build_app(
            [
                health_routes(self.own.metrics, self._missing),
                remote_write.routes(self.writes),
                *receivers,  # before Prometheus's, which answers every other path under /api/v1
                *self._prometheus(),
                jaeger.shared_routes(self.traces),
                tempo.routes(engine, clock),
                kiali.routes(engine, asker(self.queries), clock, lambda: mesh_info(control.view) if control else None),
                own,
                openapi_routes(own),
                console.routes(),
            ]
        )

    def _ahead(self) -> tuple[Made, str] | None:
        return None if self.forecasts is None else (self.forecasts.made, self.forecasts.error)

    @property
    def traces(self) -> jaeger.JaegerQueries:
        """What Jaeger's faces ask."""
        return jaeger.JaegerQueries(self.engine, self.common.clock)

    def _prometheus(self) -> list[list[BaseRoute]]:
        """Prometheus's API."""
        engine, clock, settings = self.engine, self.common.clock, self.common.settings
        monitoring = self.monitoring
        kept = self.own.retention.of("metrics")
        info = StatusInfo(
            started_ms=clock.now_ns() // 1_000_000,
            retention="none" if kept is None else f"{kept:g}s",
            scrape_interval=f"{settings.metrics_interval:g}s",
            directory=str(settings.data),
            config=monitoring.config_text,
            config_loaded_ms=monitoring.config_loaded,
            flags=settings.flags(),
        )
        admin = prometheus_admin.AdminSettings(settings.admin_api, settings.data / "snapshots")
        return [
            prometheus.routes(self.queries, clock, info),
            prometheus_facts.routes(engine, clock),
            prometheus_rules.routes(monitoring.rules, monitoring.alertmanagers, self.incidents.desk.alerts),
            prometheus_targets.routes(monitoring.scraper, monitoring.reload),
            prometheus_federate.routes(engine, clock, monitoring.external_labels),
            prometheus_read.routes(engine, monitoring.external_labels),
            prometheus_admin.routes(
                SeriesDeletion(engine, clock), clock, admin, lambda folder: snapshot(engine, folder)
            ),
            prometheus_http.fallback(),
        ]

    def _missing(self) -> str | None:
        if self.own.control is not None and not self.own.control.loaded.is_set():
            return "the mesh's files are not read yet"
        return None


def _kinds() -> list[Kind]:
    return [*otlp_ingest.kinds(), als.kind(), access_log_import.kind(), *metric_commit.kinds()]


def _open_store(settings: ServeSettings, own: Identity) -> EmbeddedEngine:
    engine = EmbeddedEngine.open(
        settings.data / "store", own.database, settings=EmbeddedSettings(memory_bytes=settings.memory)
    )
    migrate(engine, own.retention)
    return engine


def warm(queries: QueryEngine) -> None:
    """Load the kernels of queries and of their answers beside everything else."""

    def load() -> None:
        queries.warm()
        prometheus_points.warm()

    threading.Thread(target=load, daemon=True, name="warm-promql").start()
