"""A server of the console's metrics pages in a thread: real store, queries, rules and scraping, on a free port."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from console_browser import in_thread
from mesh_samples import mesh_series, write_mesh

from windvane.api import console, prometheus, prometheus_facts, prometheus_rules, prometheus_targets
from windvane.api.app import build_app, health_routes
from windvane.api.prometheus import StatusInfo
from windvane.api.windvane import config_history, dashboards
from windvane.app.monitoring import Monitoring, MonitoringSettings
from windvane.app.web import WebListener
from windvane.history.book import Book
from windvane.ingest.accounting import Accounting
from windvane.kit.clock import SystemClock
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.promql.engine import QueryEngine
from windvane.promql.warm import warm
from windvane.store.api import Engine
from windvane.store.metric_facts import write_exemplars
from windvane.store.series import SampleWriter

TRACE = "0af7651916cd43dd8448eb211c80319c"

RULES = """
groups:
  - name: mesh
    interval: 1s
    rules:
      - record: service:requests:rate1m
        expr: sum by (destination_service_name) (rate(istio_requests_total[1m]))
      - alert: ServiceFails
        expr: >-
          sum by (destination_service_name) (rate(istio_requests_total{response_code="503"}[1m]))
          / sum by (destination_service_name) (rate(istio_requests_total[1m])) > 0.01
        labels: {severity: critical}
        annotations: {summary: "{{ $labels.destination_service_name }} fails"}
      - alert: NothingComesIn
        expr: absent(istio_requests_total)
      - alert: CannotBeAsked
        expr: up / on () count by (reporter) (istio_requests_total)
"""

CONFIG = """
rule_files: [rules.yaml]
scrape_configs:
  - job_name: windvane
    scrape_interval: 1s
    scrape_timeout: 1s
    static_configs: [{{targets: ["{up}"]}}]
  - job_name: gone
    scrape_interval: 1s
    scrape_timeout: 1s
    static_configs: [{{targets: ["{down}"], labels: {{team: mesh}}}}]
"""


@contextmanager
def serving(engine: Engine, folder: Path, unused: int) -> Iterator[str]:
    """The URL of a server with twenty minutes of a mesh's samples, which go on for ten more."""
    warm()  # kernels that are not in the cache yet would be compiled while the first pages wait
    now_ms = int(time.time()) * 1000
    write_mesh(engine, now_ms + 600_000, minutes=30)
    _write_exemplar(engine, now_ms - 300_000)
    with in_thread(lambda stack: _start(engine, folder, unused, stack)) as url:
        yield url


async def _start(engine: Engine, folder: Path, unused: int, stack: contextlib.AsyncExitStack) -> str:
    clock, metrics = SystemClock(), Metrics()
    queries = QueryEngine(engine)
    config = folder / "prometheus.yml"
    monitoring = Monitoring.over(
        MonitoringSettings(prometheus_config=config),
        engine,
        queries,
        accounting=Accounting(metrics),
        clock=clock,
        metrics=metrics,
    )
    listener = WebListener(
        build_app(
            [
                health_routes(metrics, lambda: None),
                prometheus_facts.routes(engine, clock),
                prometheus_rules.routes(monitoring.rules),
                prometheus_targets.routes(monitoring.scraper),
                prometheus.routes(queries, clock, StatusInfo(started_ms=0)),
                dashboards.routes(),
                config_history.routes(Book(engine), clock),
                console.routes(),
            ]
        ),
        Address("127.0.0.1", 0),
    )
    listener.start()
    stack.push_async_callback(listener.stop)
    (folder / "rules.yaml").write_text(RULES)
    config.write_text(CONFIG.format(up=f"127.0.0.1:{listener.address.port}", down=f"127.0.0.1:{unused}"))
    await monitoring.start(stack, _keep)
    return f"http://127.0.0.1:{listener.address.port}"


def _keep(stack: contextlib.AsyncExitStack, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)

    async def end() -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    stack.push_async_callback(end)


def _write_exemplar(engine: Engine, time_ms: int) -> None:
    """One request of a traced call, on a bucket of the duration histogram."""
    bucket = next(
        labels for labels, _ in mesh_series() if labels["__name__"] == "istio_request_duration_milliseconds_bucket"
    )
    times = np.array([time_ms], dtype=np.int64)
    ids = SampleWriter(engine).ids([bucket], times)
    write_exemplars(engine, ids, times, np.array([42.0]), [{"trace_id": TRACE}])
