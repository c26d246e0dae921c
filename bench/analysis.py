"""How long answers from many traces take: reading spans as columns, then each analysis.

Traces are made inside the engine: 50 spans each (a tree of three calls a span), 40 services, 15 attributes a span. The
bound is reading the same traces as objects, as the trace page does: a tenth of them, in turn with columns.
Run as `python bench/analysis.py [traces]`; prints medians in milliseconds.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine

from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.analysis import attributes, cohorts, critical, failures, outliers, repeats, whatif
from windvane.tracing.analysis.flame import flame
from windvane.tracing.analysis.load import read_spans
from windvane.tracing.analysis.tree import Tree
from windvane.tracing.assembly import read_traces

SPANS = 50
START_NS = 1_790_000_000 * 10**9
STEP_NS = 100_000_000
WINDOW = (START_NS, START_NS + 10**13)
BATCH = 5_000
ROUNDS = 5

_FILL = """
INSERT INTO otel_traces (Timestamp, TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName,
    ResourceAttributes, ScopeName, SpanAttributes, Duration, StatusCode)
SELECT
    fromUnixTimestamp64Nano(toInt64({start} + trace * {step} + whole * {begins}[hop + 1])),
    lower(hex(sipHash128(trace))),
    lower(hex(sipHash64(number))),
    if(hop = 0, '', lower(hex(sipHash64(trace * {spans} + intDiv(hop - 1, 3))))),
    concat('op-', toString(hop % 5)), if(hop % 2 = 0, 'Server', 'Client'), concat('svc-', toString(hop % 40)),
    map('service.name', concat('svc-', toString(hop % 40)), 'host.name', concat('node-', toString(trace % 7))),
    'envoy',
    map('node_id', concat('sidecar~127.0.0.', toString(hop), '~svc-v1.shop~shop.svc.cluster.local'),
        'component', 'proxy', 'http.method', 'GET', 'http.status_code', if(failed, '503', '200'),
        'http.url', concat('http://svc:9080/items/', toString(trace % 5000)), 'response_flags', if(failed, 'UF', '-'),
        'guid:x-request-id', lower(hex(sipHash128(trace, 7))), 'request_size', toString(number % 900),
        'response_size', toString(number % 9000), 'http.protocol', 'HTTP/1.1', 'peer.address', '127.0.0.1',
        'user_agent', 'windvane-traffic', 'istio.mesh_id', 'cluster.local'),
    toUInt64(whole * {lengths}[hop + 1]), if(failed, 'Error', 'Unset')
FROM (SELECT number, intDiv(number, {spans}) AS trace, number % {spans} AS hop,
             20000000 + sipHash64(trace) % 400000000 AS whole, sipHash64(number, 9) % 500 = 0 AS failed
      FROM numbers({first}, {count}))
SETTINGS max_insert_threads = 1
"""


def fill(engine: Engine, traces: int) -> list[str]:
    """Store traces; their ids."""
    begins, lengths = [0.0], [1.0]
    for hop in range(1, SPANS):
        above, child = (hop - 1) // 3, (hop - 1) % 3
        lengths.append(lengths[above] * 0.28)
        begins.append(begins[above] + lengths[above] * (0.05 + 0.3 * child))
    for first in range(0, traces * SPANS, BATCH * SPANS):
        count = min(BATCH * SPANS, traces * SPANS - first)
        engine.command(_FILL.format(start=START_NS, step=STEP_NS, spans=SPANS, begins=begins, lengths=lengths,
                                    first=first, count=count))  # fmt: skip
    engine.command("OPTIMIZE TABLE otel_traces FINAL")
    return [str(one) for one in engine.query("SELECT DISTINCT TraceId FROM otel_traces")["TraceId"].tolist()]


def timed(*runs: Callable[[], Any]) -> list[float]:
    """Medians in milliseconds of runs that take turns."""
    taken: list[list[float]] = [[] for _ in runs]
    for _ in range(ROUNDS):
        for times, run in zip(taken, runs, strict=True):
            started = time.perf_counter()
            run()
            times.append((time.perf_counter() - started) * 1_000)
    return [statistics.median(times) for times in taken]


def analyses(engine: Engine, ids: list[str]) -> dict[str, Callable[[], Any]]:
    """Each on spans that were read, but for the last, which counts attributes in the engine."""
    tree = Tree.of(read_spans(engine, ids, WINDOW))
    path = critical.walk(tree)
    selected = np.arange(len(tree.spans.trace_ids)) % 3 == 0
    first = [one for one, chosen in zip(tree.spans.trace_ids, selected, strict=True) if chosen]
    second = [one for one, chosen in zip(tree.spans.trace_ids, selected, strict=True) if not chosen]
    usual = outliers.baseline(engine, WINDOW)
    return {
        "clip spans to their parents": lambda: Tree.of(tree.spans),
        "critical path of every trace": lambda: critical.walk(tree),
        "who owns the latency": lambda: critical.aggregate(tree, path),
        "one what-if": lambda: whatif.project(tree, tree.spans.names[1].service, "", 0.3),
        "flame graph": lambda: flame(tree, path),
        "where failures begin": lambda: failures.error_roots(tree),
        "calls that repeat": lambda: repeats.n_plus_one(tree, path),
        "slower than usual": lambda: outliers.slow(tree.spans, usual),
        "cohorts: structure and latency": lambda: cohorts.diff(tree, selected),
        "cohorts: count attributes": lambda: attributes.count(engine, first, second, 10, WINDOW),
    }


def main() -> None:
    print(machine())
    traces = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    with tempfile.TemporaryDirectory() as directory:
        engine = EmbeddedEngine.open(Path(directory))
        migrate(engine, Retention(default=None))
        ids = fill(engine, traces)
        few = ids[: max(1, traces // 10)]
        objects, columns = timed(lambda: read_traces(engine, few, WINDOW), lambda: read_spans(engine, few, WINDOW))
        print(f"{len(few):,} traces of {SPANS} spans read as objects: {objects:.0f} ms, as columns: {columns:.0f} ms,"
              f" {objects / columns:.1f} times faster")  # fmt: skip
        [whole] = timed(lambda: critical.walk(Tree.of(read_spans(engine, ids, WINDOW))))
        print(f"{len(ids):,} traces: read, and the critical path of each: {whole:.0f} ms"
              f" (a span in {whole / len(ids) / SPANS * 1e3:.2f} us; as objects, reading alone:"
              f" {objects / len(few) / SPANS * 1e3:.1f})")  # fmt: skip
        [read] = timed(lambda: read_spans(engine, ids, WINDOW))
        print(f"{'read':32s} {read:8.0f} ms")
        for name, run in analyses(engine, ids).items():
            print(f"{name:32s} {timed(run)[0]:8.0f} ms", flush=True)
        engine.close()


if __name__ == "__main__":
    main()
