"""How long "where is trace context lost" takes: an hour of a mesh, read from access logs and read from spans.

Requests are made inside the engine: 200 sidecars that each serve requests, each request makes one call; a tenth of the
sidecars forget the headers. The bound is a plain count over the columns that are read. Run as
`python bench/propagation.py [spans]` (default 2,000,000); prints medians of three runs in milliseconds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine import machine

from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.propagation.calls import read_calls
from windvane.tracing.propagation.judge import judge_calls
from windvane.tracing.propagation.report import propagation

START_NS = 1_790_000_000 * 10**9
HOUR_NS = 3_600 * 10**9
NODES = 200
BATCH = 250_000
WINDOW = (START_NS, START_NS + HOUR_NS)

_REQUESTS = """
(SELECT number, intDiv(number, 2) AS request, number % 2 = 0 AS served, request % {nodes} AS node,
    node % 10 = 0 AS forgets, {start} + intDiv(request * {hour}, {requests}) AS begin,
    20000000 + sipHash64(request) % 80000000 AS length,
    lower(hex(sipHash128(if(served OR NOT forgets, request, request + 1000000000)))) AS trace,
    lower(hex(sipHash128(if(served OR NOT forgets, request, request + 2000000000), 7))) AS guid,
    concat('sidecar~10.0.0.', toString(node), '~svc', toString(node), '-v1.shop~shop.svc.cluster.local') AS proxy,
    if(served, 'inbound|9080||', concat('outbound|9080||svc', toString((node + 1) % {nodes}),
        '.shop.svc.cluster.local')) AS cluster
 FROM numbers({first}, {count}))"""
_BEGIN = "fromUnixTimestamp64Nano(toInt64(begin + if(served, 0, 5000000)))"
_LENGTH = "toUInt64(if(served, length, length - 10000000))"
_SPANS = f"""
INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName,
    ResourceAttributes, ScopeName, SpanAttributes, Duration, StatusCode)
SELECT {_BEGIN}, trace, lower(hex(sipHash64(number))), if(served OR forgets, '', lower(hex(sipHash64(number - 1)))),
    'op', if(served, 'Server', 'Client'), concat('svc', toString(node), '.shop'), map('telemetry.sdk.name', 'envoy'),
    'envoy', map('node_id', proxy, 'component', 'proxy', 'http.method', 'GET', 'http.status_code', '200',
        'http.url', concat('http://svc:9080/items/', toString(number % 5000)), 'response_flags', '-',
        'guid:x-request-id', guid, 'request_size', toString(number % 900), 'upstream_cluster', cluster,
        'response_size', toString(number % 9000), 'http.protocol', 'HTTP/1.1', 'peer.address', '127.0.0.1',
        'user_agent', '-', 'istio.mesh_id', 'cluster.local'), {_LENGTH}, 'Unset'
FROM {_REQUESTS}"""
_LOGS = f"""
INSERT INTO envoy_access_logs (Timestamp, NodeId, Reporter, Kind, TraceId, RequestId, UpstreamCluster, DurationNs)
SELECT {_BEGIN}, proxy, if(served, 'destination', 'source'), 'http', trace, guid, cluster, {_LENGTH}
FROM {_REQUESTS}"""


def fill(engine: Engine, sql: str, table: str, rows: int) -> None:
    """Store an hour of requests, two rows each."""
    for first in range(0, rows, BATCH):
        engine.command(sql.format(nodes=NODES, start=START_NS, hour=HOUR_NS, requests=rows // 2, first=first,
                                  count=min(BATCH, rows - first)))  # fmt: skip
    engine.command(f"OPTIMIZE TABLE {table} FINAL")


def timed(run: Callable[[], Any]) -> float:
    """Median of three, milliseconds."""
    taken = []
    for _ in range(3):
        begin = time.perf_counter()
        run()
        taken.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(taken)


_BOUNDS = {
    "otel_traces": "SELECT sum(cityHash64(SpanAttributes['node_id'], SpanAttributes['guid:x-request-id'],"
    " SpanAttributes['upstream_cluster'], TraceId, Timestamp, Duration)) FROM otel_traces",
    "envoy_access_logs": "SELECT sum(cityHash64(NodeId, RequestId, UpstreamCluster, TraceId, Timestamp, DurationNs))"
    " FROM envoy_access_logs",
}  # fmt: skip


def measure(engine: Engine, source: str, table: str) -> None:
    """One line: the whole, its parts, the bound."""
    found = propagation(engine, WINDOW)
    lost = sum(one.verdict.lost for one in found.workloads)
    accused = sum(bool(one.verdict.lost) for one in found.workloads)
    whole = timed(lambda: propagation(engine, WINDOW))
    read = timed(lambda: read_calls(engine, WINDOW))
    calls = read_calls(engine, WINDOW)
    judge = timed(lambda: judge_calls(calls))
    bound = timed(lambda: engine.query(_BOUNDS[table]))
    print(
        f"{source}: {whole:.0f} ms (read {read:.0f}, judge {judge:.0f}; the columns read alone {bound:.0f});"
        f" {accused} of {len(found.workloads)} workloads lose {lost} of {found.calls} calls"
    )


def main() -> None:
    """Both sources in turn."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000_000
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        engine = EmbeddedEngine.open(Path(folder))
        migrate(engine, Retention(default=None))
        fill(engine, _SPANS, "otel_traces", rows)
        measure(engine, f"{rows:,} spans", "otel_traces")
        fill(engine, _LOGS, "envoy_access_logs", rows)
        measure(engine, f"the same with {rows:,} access-log entries", "envoy_access_logs")
        engine.close()


if __name__ == "__main__":
    main()
