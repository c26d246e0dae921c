"""How long log lines take: search by word, by field, for nothing; the newest; counts by time; patterns; reading lines.

Lines are made inside the engine: 40 services, six hours, bodies of an application with numbers, durations and random
ids, two attributes each. Run as `python bench/logs.py [lines]`; prints medians, the same search without the index as
the bound of the run, bytes a line, and how many lines of Istio's text format one core reads a second.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from machine import machine, measured

from windvane.signals.envoy_text import LineReader, default_formats
from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.filters.parse import parse
from windvane.tracing.logs.completion import fields
from windvane.tracing.logs.histogram import histogram
from windvane.tracing.logs.patterns import patterns
from windvane.tracing.logs.search import WITHIN, LineQuery, conditions, find
from windvane.tracing.logs.sources import chosen

HOURS = 6
END_NS = 1_790_000_000 * 10**9
START_NS = END_NS - HOURS * 3_600 * 10**9
BATCH = 250_000

_FILL = """
INSERT INTO otel_logs (Timestamp, ServiceName, SeverityText, SeverityNumber, Body, ResourceAttributes,
    LogAttributes, TraceId)
SELECT
    fromUnixTimestamp64Nano(toInt64({start} + number * {step})),
    concat('svc-', toString(number % 40)),
    if(failed, 'ERROR', 'INFO'), if(failed, 17, 9),
    multiIf(
        number % 1000003 = 77, 'the flux capacitor is out of order',
        failed, concat('upstream connect error for order ', toString(number % 50000), ': timeout after ',
            toString(sipHash64(number, 1) % 900), 'ms'),
        number % 3 = 0, concat('GET /api/orders/', toString(number % 50000), ' 200 in ',
            toString(sipHash64(number, 1) % 900), 'ms'),
        number % 3 = 1, concat('payment of user ', toString(sipHash64(number, 2) % 100000), ' accepted, id ',
            lower(hex(sipHash64(number, 4)))),
        concat('cache ', ['hit', 'miss', 'evict'][1 + number % 3], ' for key session:', toString(number % 9000))),
    map('service.name', concat('svc-', toString(number % 40)), 'k8s.namespace.name', 'shop'),
    map('thread', toString(number % 16), 'logger', concat('shop.', ['cart', 'pay', 'api'][1 + number % 3])),
    if(number % 2 = 0, lower(hex(sipHash128(intDiv(number, 8)))), '')
FROM (SELECT number, sipHash64(number, 9) % 100 = 0 AS failed FROM numbers({first}, {count}))
SETTINGS max_insert_threads = 1, exclude_materialize_skip_indexes_on_insert = 'words, tokens'
"""

LINE = (
    b'[2026-11-25T21:26:18.409Z] "GET /status/%d HTTP/1.1" 200 - via_upstream - "-" 0 135 4 3 "-" "curl/7.73.0" '
    b'"84961386-6d84-929d-98bd-c5aee93b5c88" "httpbin:8000" "127.0.0.1:80" outbound|8000||httpbin.foo.svc.cluster.local'
    b" 127.0.0.1:41854 10.44.1.27:80 10.44.1.23:37652 - default"
)

CASES = {
    "newest 100 of all": "",
    "newest 100 of a service": "service:svc-7",
    "a rare word": "capacitor",
    "a rare phrase": '"flux capacitor"',
    "a common word": "timeout",
    "part of a common word": "imeou",
    "a word that is nowhere": "kwyjibo",
    "a number within": "49777",
    "severity": "severity>=error",
    "an attribute": "logger:shop.pay",
    "an attribute that is nowhere": "logger:shop.none",
    "a regular expression": "/order 4977\\d/",
}


def fill(engine: Engine, lines: int) -> float:
    """Store the lines, let merges finish, and say how many seconds the inserts took."""
    begun = time.perf_counter()
    step = HOURS * 3_600 * 10**9 // lines
    for first in range(0, lines, BATCH):
        engine.command(_FILL.format(start=START_NS, step=step, first=first, count=min(BATCH, lines - first)))
    seconds = time.perf_counter() - begun
    engine.command("OPTIMIZE TABLE otel_logs FINAL")
    return seconds


def report(engine: Engine, lines: int) -> None:
    """Print a row a question."""
    logs = chosen("log")
    for name, text in CASES.items():
        query = LineQuery(START_NS, END_NS, logs, parse(text))
        print(f"  {name:32}{measured(lambda query=query: find(engine, query))}")
    whole = LineQuery(START_NS, END_NS, logs)
    rare = LineQuery(START_NS, END_NS, logs, parse("timeout"))
    print(f"  {'counts by time, all':32}{measured(lambda: histogram(engine, whole, 360 * 10**9, 'severity'))}")
    print(f"  {'counts by time, a common word':32}{measured(lambda: histogram(engine, rare, 360 * 10**9, 'severity'))}")
    print(f"  {'completion':32}{measured(lambda: fields(engine, whole))}")
    print(f"  {'the same word by a scan (bound)':32}{measured(lambda: _scan(engine, 'capacitor'))}")
    begun = time.perf_counter()
    found = patterns(engine, whole)
    print(f"  patterns of {found.read:,} lines: {time.perf_counter() - begun:.2f} s, {len(found.patterns)} of them")
    size = engine.query(
        "SELECT sum(bytes_on_disk) AS b, sum(secondary_indices_compressed_bytes) AS i FROM system.parts"
        " WHERE database = currentDatabase() AND table = 'otel_logs' AND active"
    )
    print(f"  bytes a line {size['b'][0] / lines:.1f}, of them indexes {size['i'][0] / lines:.1f}")


def _scan(engine: Engine, word: str) -> object:
    where = conditions(chosen("log")[0], LineQuery(START_NS, END_NS, where=parse(word)))
    return engine.query(
        f"SELECT count() AS n FROM otel_logs WHERE {where} AND {WITHIN} SETTINGS use_skip_indexes = 0,"
        " query_plan_direct_read_from_text_index = 0, use_query_condition_cache = 0",
        {**where.params, "low": START_NS, "high": END_NS},
    )


def read_lines(count: int = 200_000) -> float:
    """Lines of Istio's text format that are read in a second."""
    reader = LineReader(default_formats())
    lines = [LINE % (n % 500) for n in range(count)]
    begun = time.perf_counter()
    for line in lines:
        assert isinstance(reader.read(line), dict)
    return count / (time.perf_counter() - begun)


def main() -> None:
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 5_000_000
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        engine = EmbeddedEngine.open(Path(folder) / "store")
        try:
            migrate(engine, Retention(default=None))
            print(f"{lines:,} lines, made and stored at {lines / fill(engine, lines):,.0f} a second (without merges)")
            report(engine, lines)
        finally:
            engine.close()
    print(f"  Istio's text format: {read_lines():,.0f} lines a second read by one core")


if __name__ == "__main__":
    main()
