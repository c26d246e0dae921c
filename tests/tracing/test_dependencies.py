"""Dependencies of services in windows against plain sums: counted, not counted yet, in part; copies and access logs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import span_counts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from span_counts import SECOND, T0, span_weight
from telemetry_rows import store_entries, store_spans

from windvane.ingest.span_metrics import SpanMetrics
from windvane.kit.clock import ManualClock
from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing import dependencies as room
from windvane.tracing.analysis.exemplars import Naming
from windvane.tracing.dependencies import Calls, Edge, calls_of_spans, dependencies
from windvane.tracing.model import Span


@pytest.fixture(scope="module")
def store(data_directory: Path) -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine.open(data_directory, database="dependencies")
    migrate(engine, Retention(default=None))
    yield engine
    engine.command("DROP DATABASE dependencies")
    engine.close()


def clear(engine: Engine) -> None:
    for table in ("otel_traces", "samples", "series", "service_links"):
        engine.command(f"TRUNCATE TABLE {table}")


def expected(spans: Sequence[Span], start: int, end: int) -> dict[Edge, list[Span]]:
    """The called spans of each edge."""
    once = span_counts.distinct(spans)
    found: dict[Edge, list[Span]] = {}
    for parent, child in span_counts.pairs(once):
        kind = "messaging_system" if parent.kind == "Producer" or child.kind == "Consumer" else ""
        found.setdefault((parent.service, child.service, kind), []).append(child)
    for span in once:
        if name := span_counts.database(span):
            found.setdefault((span.service, name, "database"), []).append(span)
    within = {edge: [s for s in told if start <= s.start_ns <= end] for edge, told in found.items()}
    return {edge: told for edge, told in within.items() if told}


def check(found: Mapping[Edge, Calls], wanted: Mapping[Edge, Sequence[Span]]) -> None:
    assert set(found) == set(wanted)
    for edge, told in wanted.items():
        own = found[edge]
        failed = [s for s in told if s.status == "Error"]
        assert (own.calls, own.errors) == (len(told), len(failed))
        assert (own.weight, own.failed) == pytest.approx((sum(map(span_weight, told)), sum(map(span_weight, failed))))
        for quantile, value in zip((0.5, 0.95, 1.0), own.quantiles_ns((0.5, 0.95, 1.0)), strict=True):
            assert value == pytest.approx(_quantile(told, quantile), rel=0.011, abs=1)


def _quantile(told: Sequence[Span], quantile: float) -> float:
    rank, below = quantile * sum(map(span_weight, told)), 0.0
    for span in sorted(told, key=lambda s: s.duration_ns):
        below += span_weight(span)
        if below >= rank * (1 - 1e-9):
            return max(1, span.duration_ns)
    raise AssertionError


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    spans=span_counts.spans(),
    counted=st.integers(0, 30),
    start=st.sampled_from([0, 0, 100, 290, 300]),
    length=st.sampled_from([0, 200, 300, 700, 4_000]),
)
def test_windows_are_the_same_however_much_is_counted(
    store: EmbeddedEngine, spans: list[Span], counted: int, start: int, length: int
) -> None:
    clear(store)
    window = T0 + start * SECOND, T0 + (start + length) * SECOND - 1
    store_spans(store, spans[:counted], 1)
    store_spans(store, spans[counted:], 2)
    check(calls_of_spans(store, *window), expected(spans, *window))
    SpanMetrics(store, lambda: 1, clock=ManualClock(T0)).tick()
    check(calls_of_spans(store, *window), expected(spans, *window))
    SpanMetrics(store, lambda: 2, clock=ManualClock(T0)).tick()
    check(calls_of_spans(store, *window), expected(spans, *window))


def call(number: int, start: int = 0) -> list[Span]:
    trace = f"{number:032x}"
    client = Span(trace, "c" * 16, "", "call", "Client", "web.shop", T0 + start, 3_000)
    return [client, Span(trace, "d" * 16, "c" * 16, "serve", "Server", "bank.shop", T0 + start + 5, 1_000)]


HOUR = (T0 - 1_800 * SECOND, T0 + 1_800 * SECOND)


def calls(engine: Engine, window: tuple[int, int] = HOUR) -> dict[Edge, int]:
    return {edge: own.calls for edge, own in calls_of_spans(engine, *window).items()}


def test_whole_buckets_are_read_from_the_table(store: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    clear(store)
    assert T0 // SECOND % 300 == 200, "buckets begin 200 seconds before T0, 100 and 400 after"
    store_spans(store, [*call(1), *call(2, 380 * SECOND)], 1)
    SpanMetrics(store, lambda: 1, clock=ManualClock(T0)).tick()
    live: list[tuple[int, int]] = []
    monkeypatch.setattr(
        room, "_add_live", lambda engine, found, low, high: live.append((low, high)) if low <= high else None
    )
    assert calls(store) == {("web.shop", "bank.shop", ""): 2}
    assert calls(store, (T0 - 7, T0 + 390 * SECOND)) == {("web.shop", "bank.shop", ""): 2}, "nothing lies beyond"
    assert live == []
    calls(store, (T0 - 7, T0 + 350 * SECOND))
    assert live == [(T0 + 100 * SECOND, T0 + 350 * SECOND)], "the last bucket holds more than the window"


def test_spans_that_nobody_counts_are_found(store: EmbeddedEngine) -> None:
    clear(store)
    store_spans(store, call(1), 1)
    SpanMetrics(store, lambda: 1, clock=ManualClock(T0)).tick()
    store_spans(store, call(2))
    assert calls(store) == {("web.shop", "bank.shop", ""): 2}


def test_many_spans_are_joined_slice_by_slice(store: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    clear(store)
    store_spans(store, [span for number in range(9) for span in call(number, number * SECOND)])
    monkeypatch.setattr(room, "_SPANS_A_SLICE", 5)
    assert calls(store) == {("web.shop", "bank.shop", ""): 9}
    assert calls(store, (T0 + 2 * SECOND, T0 + 5 * SECOND)) == {("web.shop", "bank.shop", ""): 3}
    assert calls(store, (T0, T0 - 1)) == {}


def entry(cluster: str, **values: Any) -> dict[str, Any]:
    return {"Timestamp": T0, "Reporter": "source", "Kind": "http", "NodeId": "web.shop", "UpstreamCluster": cluster,
            "ResponseCode": 200, "DurationNs": 2_000_000, **values}  # fmt: skip


def naming() -> Naming:
    def labels(row: Mapping[str, Any]) -> dict[str, str]:
        (source, _, space), (name, _, other) = row["node"].partition("."), row["cluster"].partition(".")
        return {"source_canonical_service": source, "source_workload_namespace": space,
                "destination_service_name": name, "destination_service_namespace": other or "unknown"}  # fmt: skip

    return Naming({"node": "NodeId", "cluster": "UpstreamCluster"}, labels)


def test_access_logs_add_what_spans_do_not_show(engine: Engine) -> None:
    short = [replace(span, service=span.service.partition(".")[0]) for span in call(1)]
    store_spans(engine, [*short, *call(2)])
    store_entries(engine, [
        entry("bank.shop"), entry("bank.shop", ResponseCode=503), entry("mail.shop", GrpcStatus="14"),
        entry("PassthroughCluster"), entry("unknown"), entry("other.shop", Reporter="destination"),
        entry("late.shop", Timestamp=T0 + 7_200 * SECOND), entry("tcp.shop", Kind="tcp"),
    ])  # fmt: skip
    found = {(one.parent, one.child): one for one in dependencies(engine, *HOUR, naming())}
    assert set(found) == {("web", "bank"), ("web.shop", "bank.shop"), ("web.shop", "mail.shop"),
                          ("web.shop", "PassthroughCluster")}  # fmt: skip
    both, mail = found["web.shop", "bank.shop"], found["web.shop", "mail.shop"]
    assert both.spans is not None
    assert both.entries is not None
    assert (both.spans.calls, both.entries.calls, both.entries.errors, both.entries.error_share) == (1, 2, 1, 0.5)
    assert both.entries.quantiles_ns([0.5]) == pytest.approx([2_000_000], rel=0.011)
    assert (mail.spans, mail.entries and mail.entries.errors) == (None, 1)
    assert found["web", "bank"].entries is None
    assert [one.entries for one in dependencies(engine, *HOUR)] == [None, None]


def test_no_calls_have_no_quantiles() -> None:
    assert Calls().quantiles_ns([0.5]) == [0.0]
    assert not math.isnan(Calls().error_share)
