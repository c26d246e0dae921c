"""How long what Jaeger's Monitor tab, dependency graph and search page ask takes, beside reading the same spans once.

The spans are those of `bench/traces.py`: six hours, 40 services. The bound of the same run is one pass over the
columns that every answer needs (service, kind, start, duration). Run as `python bench/jaeger.py [spans]`; prints
medians in milliseconds.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import machine, measured
from traces import END_NS, START_NS, fill

from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.archive import archive, read_kept
from windvane.tracing.assembly import read_traces
from windvane.tracing.dependencies import dependencies
from windvane.tracing.search import TraceQuery, find_trace_ids
from windvane.tracing.service_paths import service_paths
from windvane.tracing.span_rates import Measure, RateQuery, read_rates
from windvane.tracing.summaries import summaries

HOUR_MS = 3_600_000
_BOUND = (
    "SELECT uniqExact(ServiceName), countIf(SpanKind = 'Server'), sum(Duration), max(Timestamp) FROM otel_traces"
    " WHERE Timestamp >= fromUnixTimestamp64Nano(toInt64({start:Int64}))"
)


def cases(engine: Engine) -> dict[str, Callable[[], Any]]:
    """What the pages ask, by what it is called."""
    end_ms = END_NS // 10**6

    def rates(measure: Measure, services: int, step_ms: int, *, by_operation: bool = False) -> Callable[[], Any]:
        names = [f"svc-{number}.shop" for number in range(services)]
        query = RateQuery(
            names, end_ms - HOUR_MS, end_ms, step_ms, 600_000, by_operation=by_operation, measure=measure, quantile=0.95
        )
        return lambda: read_rates(engine, query)

    search = TraceQuery(START_NS, END_NS, "svc-7.shop")
    ids = find_trace_ids(engine, search)
    archive(engine, ids[0])
    return {
        "bound: the last hour's spans, once": lambda: engine.query(_BOUND, {"start": END_NS - HOUR_MS * 10**6}),
        "bound: all spans, once": lambda: engine.query(_BOUND, {"start": START_NS}),
        "Monitor: calls of a service, 720 points of an hour": rates("calls", 1, 5_000),
        "Monitor: p95 of a service, 720 points": rates("latencies", 1, 5_000),
        "Monitor: p95 of its operations, 60 points": rates("latencies", 1, 60_000, by_operation=True),
        "p95 of 40 services, 720 points": rates("latencies", 40, 5_000),
        "dependencies of an hour": lambda: dependencies(engine, END_NS - HOUR_MS * 10**6, END_NS),
        "dependencies of six hours": lambda: dependencies(engine, START_NS, END_NS),
        "paths through a service, 1,000 traces": lambda: service_paths(
            engine, TraceQuery(START_NS, END_NS, "svc-7.shop", limit=1_000)
        ),
        "100 summaries": lambda: summaries(engine, ids),
        "a trace by id, without the archive": lambda: read_traces(engine, ids[:1]),
        "a trace by id, with it": lambda: read_kept(engine, ids[:1]),
    }


def main() -> None:
    """Fill a store, then measure case by case."""
    print(machine())
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        engine = EmbeddedEngine.open(Path(directory))
        migrate(engine, Retention(default=None))
        fill(engine, spans)
        print(f"{spans:,} spans in six hours")
        for name, run in cases(engine).items():
            print(f"{name:<52} {measured(run)}", flush=True)
        engine.close()


if __name__ == "__main__":
    main()
