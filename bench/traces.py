"""How long reading traces takes: by id, newest-first by service, by attribute (hit and miss), lists, dependencies.

Also what counting spans costs (`windvane.ingest.span_metrics`): processor time of one tick, in microseconds a span.

Spans are made inside the engine: 8 a trace, 40 services, 16 attributes, random ids, six hours.
Run as `python bench/traces.py [spans]`; prints medians in milliseconds beside the targets.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from machine import machine, measured

from windvane.ingest.span_metrics import SpanMetrics
from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.adjust import adjust
from windvane.tracing.assembly import read_traces
from windvane.tracing.completion import fields
from windvane.tracing.dependencies import calls_of_spans
from windvane.tracing.filters.parse import parse
from windvane.tracing.search import TraceQuery, find_trace_ids, find_traces, operations, services
from windvane.tracing.service_paths import service_paths
from windvane.tracing.summaries import summaries

HOURS = 6
END_NS = 1_790_000_000 * 10**9
START_NS = END_NS - HOURS * 3_600 * 10**9
BATCH = 500_000

_FILL = """
INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName,
    ResourceAttributes, ScopeName, SpanAttributes, Duration, StatusCode, AttributeTypes, Commit{tokens})
SELECT
    fromUnixTimestamp64Nano(toInt64({start} + trace * {step} + hop * 3000000)) AS Timestamp,
    lower(hex(sipHash128(trace))) AS TraceId,
    lower(hex(sipHash64(number))) AS SpanId,
    if(hop = 0, '', lower(hex(sipHash64(number - 1)))) AS ParentSpanId,
    concat('op-', toString(number % 7)) AS SpanName,
    if(hop % 2 = 0, 'Server', 'Client') AS SpanKind,
    concat('svc-', toString(service), '.shop') AS ServiceName,
    map('service.name', concat('svc-', toString(service), '.shop'), 'host.name', 'node-1') AS ResourceAttributes,
    'envoy' AS ScopeName,
    map('node_id', concat('sidecar~127.0.0.', toString(service), '~svc-v1.shop~shop.svc.cluster.local'),
        'component', 'proxy', 'http.method', 'GET', 'http.status_code', if(failed, '503', '200'),
        'http.url', concat('http://svc-', toString(service), ':9080/items/', toString(trace % 5000)),
        'upstream_cluster', concat('outbound|9080||svc-', toString(service), '.shop.svc.cluster.local'),
        'response_flags', if(failed, 'UF', '-'), 'guid:x-request-id', lower(hex(sipHash128(trace, 7))),
        'request_size', toString(number % 900), 'response_size', toString(number % 9000), 'http.protocol', 'HTTP/1.1',
        'peer.address', '127.0.0.1', 'user_agent', 'windvane-traffic', 'istio.mesh_id', 'cluster.local',
        'istio.namespace', 'shop', 'istio.canonical_service', concat('svc-', toString(service))) AS SpanAttributes,
    1000000 + sipHash64(number, 3) % 200000000 AS Duration,
    if(failed, 'Error', 'Unset') AS StatusCode,
    map('span.http.status_code', 'int') AS AttributeTypes, {commit} AS Commit{token_values}
FROM (SELECT number, intDiv(number, 8) AS trace, number % 8 AS hop, (trace * 3 + hop) % 40 AS service,
             sipHash64(number, 9) % 500 = 0 AS failed
      FROM numbers({first}, {count}))
SETTINGS max_insert_threads = 1
"""


@dataclass(frozen=True)
class Case:
    """One thing measured; `target_ms` is for 10 M spans."""

    name: str
    run: Callable[[], Any]
    target_ms: float | None = None


def fill(engine: Engine, spans: int) -> None:
    """Store `spans` spans in batches, then let merges of the engine finish."""
    columns = engine.query(
        "SELECT default_kind FROM system.columns"
        " WHERE database = currentDatabase() AND table = 'otel_traces' AND name = 'Tokens'"
    )["default_kind"].tolist()
    written = columns == [""]
    tokens = "arrayMap((k, v) -> concat(k, '=', v), mapKeys(m), mapValues(m))"
    step = HOURS * 3_600 * 10**9 * 8 // spans
    for first in range(0, spans, BATCH):
        values = (
            f", arrayConcat({tokens.replace('m)', 'SpanAttributes)')}, {tokens.replace('m)', 'ResourceAttributes)')})"
        )
        engine.command(
            _FILL.format(
                start=START_NS, step=step, first=first, count=min(BATCH, spans - first), commit=first // BATCH + 1,
                tokens=", Tokens" if written else "", token_values=values + " AS Tokens" if written else "",
            )
        )  # fmt: skip
    engine.command("OPTIMIZE TABLE otel_traces FINAL")


def cases(engine: Engine) -> list[Case]:
    """What users do, most frequent first."""
    [some] = engine.query("SELECT TraceId FROM otel_traces LIMIT 1 OFFSET 1000")["TraceId"].tolist()

    def query(**given: Any) -> TraceQuery:
        return TraceQuery(**{"start_ns": START_NS, "end_ns": END_NS, "limit": 20, **given})

    newest = find_trace_ids(engine, query())
    request = {"guid:x-request-id": _request_id(engine, some)}
    return [
        Case("trace by id", lambda: adjust(read_traces(engine, [some])[0]), 20),
        Case("newest of a service: ids", lambda: find_trace_ids(engine, query(service="svc-7.shop")), 50),
        Case("newest of a service: 20 whole traces", lambda: find_traces(engine, query(service="svc-7.shop"))),
        Case("newest of a service, short name", lambda: find_trace_ids(engine, query(service="svc-7"))),
        Case("newest of a service, last hour", lambda: find_trace_ids(
            engine, query(service="svc-7.shop", start_ns=END_NS - 3_600 * 10**9))),
        Case("newest of all", lambda: find_trace_ids(engine, query())),
        Case("errors of a service", lambda: find_trace_ids(
            engine, query(service="svc-7.shop", tags={"error": "true"}))),
        Case("slow ones of a service", lambda: find_trace_ids(
            engine, query(service="svc-7.shop", min_duration_ns=199_000_000))),
        Case("by attribute, one request", lambda: find_trace_ids(engine, query(tags=request)), 50),
        Case("by attribute, rare", lambda: find_trace_ids(engine, query(tags={"response_flags": "UF"})), 50),
        Case("by attribute, common", lambda: find_trace_ids(engine, query(tags={"http.method": "GET"})), 50),
        Case("by attribute, number", lambda: find_trace_ids(engine, query(tags={"http.status_code": "503"})), 50),
        Case("by attribute, miss", lambda: find_trace_ids(engine, query(tags={"http.method": "PUT"})), 50),
        Case("by attribute of a service", lambda: find_trace_ids(
            engine, query(service="svc-7.shop", tags={"response_flags": "UF"})), 50),
        Case("slowest", lambda: find_trace_ids(engine, query(sort="slowest"))),
        Case("oldest of a service", lambda: find_trace_ids(engine, query(service="svc-7.shop", sort="oldest"))),
        Case("regex, a few hits", lambda: find_trace_ids(engine, query(where=parse("http.url:/.*items.4242/")))),
        Case("range OR negation", lambda: find_trace_ids(
            engine, query(where=parse("http.status_code>=500 OR -http.method:GET")))),
        Case("summaries of 20", lambda: summaries(engine, newest)),
        Case("names and values", lambda: fields(engine, query(start_ns=END_NS - 3_600 * 10**9))),
        Case("paths of 1,000 traces", lambda: service_paths(engine, query(service="svc-7.shop", limit=1_000))),
        Case("dependencies, a day", lambda: calls_of_spans(engine, END_NS - 24 * 3_600 * 10**9, END_NS), 300),
        Case("dependencies, an hour that cuts buckets", lambda: calls_of_spans(
            engine, END_NS - 3_700 * 10**9, END_NS - 100 * 10**9)),
        Case("services", lambda: services(engine)),
        Case("operations of a service", lambda: operations(engine, "svc-7.shop")),
    ]  # fmt: skip


def _request_id(engine: Engine, trace_id: str) -> str:
    frame = engine.query(
        "SELECT SpanAttributes['guid:x-request-id'] AS R FROM otel_traces WHERE TraceId = {t:String} LIMIT 1",
        {"t": trace_id},
    )
    return str(frame["R"].iloc[0])


def counting(engine: Engine, commit: int) -> None:
    """What a tick costs at 10,000 spans a second, when the table holds the minutes before, too; without merges."""
    a_tick, warm, ticks = 150_000, 12, 5
    step = 8 * 10**9 // 10_000
    counter = SpanMetrics(engine, lambda: commit)
    counter.tick()
    costs = []
    for tick in range(warm + ticks):
        commit += 1
        values = {"start": END_NS, "step": step, "first": tick * a_tick, "count": a_tick, "commit": commit}
        engine.command(_FILL.format(**values, tokens="", token_values=""))
        engine.command("SYSTEM STOP MERGES otel_traces")
        began = time.process_time()
        counter.tick()
        costs.append((time.process_time() - began) / a_tick * 1e6)
        engine.command("SYSTEM START MERGES otel_traces")
    print(f"counting spans: {statistics.median(costs[warm:]):.2f} µs of processor time a span (at most 2 wanted)")
    began = time.process_time()
    calls_of_spans(engine, END_NS, END_NS + 10**12)
    cut = f"{1e3 * (time.process_time() - began):.0f} ms of processor time"
    print(f"dependencies of a window whose start cuts a bucket, 100 seconds of it read from spans: {cut}")


def main() -> None:
    print(machine())
    spans = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with tempfile.TemporaryDirectory() as directory:
        engine = EmbeddedEngine.open(Path(directory))
        migrate(engine, Retention(default=None))
        started = time.perf_counter()
        fill(engine, spans)
        size = engine.query(
            "SELECT sum(bytes_on_disk) AS B FROM system.parts"
            " WHERE active AND database = currentDatabase() AND table = 'otel_traces'"
        )["B"].iloc[0]
        print(f"{spans:,} spans in {time.perf_counter() - started:.0f} s, {size / spans:.0f} bytes a span on disk")
        commit, began = -(-spans // BATCH), time.process_time()
        SpanMetrics(engine, lambda: commit).tick()
        print(f"all of it counted: {(time.process_time() - began) / spans * 1e6:.2f} µs of processor time a span")
        for case in cases(engine):
            target = f"   target at 10 M: {case.target_ms:.0f}" if case.target_ms else ""
            print(f"{case.name:40s} {measured(case.run)}{target}", flush=True)
        counting(engine, commit)
        engine.close()


if __name__ == "__main__":
    main()
