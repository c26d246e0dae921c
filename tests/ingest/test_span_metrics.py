"""Metrics of spans against plain sums over the same spans: any split, order, restart; copies, late spans, crashes."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
import span_counts
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from span_counts import SECOND, T0, Totals
from telemetry_rows import store_spans

from windvane.ingest.span_metrics import SpanMetrics, SpanMetricsSettings, SpanNames
from windvane.kit.clock import ManualClock
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.model import Span

_TABLES = ("otel_traces", "samples", "series", "service_links", "span_news", "span_calls")


@pytest.fixture(scope="module")
def store(data_directory: Path) -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine.open(data_directory, database="span_metrics")
    migrate(engine, Retention(default=None))
    yield engine
    engine.command("DROP DATABASE span_metrics")
    engine.close()


@pytest.fixture
def empty(store: EmbeddedEngine) -> EmbeddedEngine:
    clear(store)
    return store


def clear(engine: EmbeddedEngine) -> None:
    for table in _TABLES:
        engine.command(f"TRUNCATE TABLE {table}")


class Counter:
    """A counter of spans whose commits and clock are in hand."""

    def __init__(self, engine: EmbeddedEngine, names: SpanNames = SpanNames.TEMPO, **options: float) -> None:
        self.engine = engine
        self.clock = ManualClock(T0)
        self.commit = 0
        self.settings = SpanMetricsSettings(names, **options)  # type: ignore[arg-type]
        self.restart()

    def restart(self) -> None:
        self.metrics = SpanMetrics(self.engine, lambda: self.commit, settings=self.settings, clock=self.clock)

    def store(self, spans: Sequence[Span]) -> None:
        self.commit += 1
        store_spans(self.engine, spans, self.commit)

    def tick(self) -> None:
        self.clock.advance(15)
        self.metrics.tick()


def newest(engine: EmbeddedEngine) -> Totals:
    """Each series' newest value."""
    frame = engine.query(
        "SELECT Name, L, argMax(Value, Time) AS V FROM samples INNER JOIN"
        " (SELECT Id, any(Name) AS Name, any(Labels) AS L FROM series GROUP BY Id) AS s USING Id"
        " WHERE startsWith(Name, 'traces_') GROUP BY Name, L"
    )
    return {
        (name, tuple(sorted(labels.items()))): value
        for name, labels, value in zip(*(frame[column].tolist() for column in frame.columns), strict=True)
    }


def check(found: Totals, expected: Totals) -> None:
    assert {key for key, value in expected.items() if value} <= set(found)
    wanted = {key: expected.get(key, 0.0) for key in found}
    assert found == pytest.approx(wanted, rel=1e-9)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    spans=span_counts.spans(),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    restarts=st.sets(st.integers(0, 5)),
)
def test_any_split_order_and_restart_counts_the_same(
    store: EmbeddedEngine, spans: list[Span], cuts: list[int], restarts: set[int]
) -> None:
    clear(store)
    spans = [s for s in spans if s.attributes != {"peer.service": "bank"}]
    counter = Counter(store)
    places = sorted({0, *cuts, len(spans)})
    for number, (first, last) in enumerate(itertools.pairwise(places)):
        batch = spans[first:last]
        counter.store(batch[: len(batch) // 2])
        counter.store(batch[len(batch) // 2 :])
        counter.tick()
        if number in restarts:
            counter.restart()
    counter.tick()
    check(newest(store), span_counts.metrics(spans))


def call(number: int, *, server: bool = True, start: int = 0, **attributes: str) -> list[Span]:
    """A client's span and, perhaps, its server's."""
    trace = f"{number:032x}"
    client = Span(trace, "c" * 16, "a" * 16, "call", "Client", "web", T0 + start, 3 * SECOND, attributes=attributes)
    answer = Span(trace, "d" * 16, "c" * 16, "serve", "Server", "bank", T0 + start + 5, SECOND)
    return [client, answer] if server else [client]


def edges(engine: EmbeddedEngine) -> dict[tuple[str, ...], float]:
    totals = newest(engine)
    return {
        tuple(dict(labels).get(name, "") for name in ("client", "server", "connection_type")): value
        for (name, labels), value in totals.items()
        if name == "traces_service_graph_request_total"
    }


def test_a_client_that_nobody_answers_in_time_asks_a_virtual_node(empty: EmbeddedEngine) -> None:
    counter = Counter(empty)
    first, second, third = (call(number, **{"peer.service": "bank"}) for number in range(3))
    counter.store([*first[:1], *second[:1], *second[:1]])
    counter.tick()
    assert edges(empty) == {}, "the server's span may be on its way"
    counter.store([*first[1:], *third[:1]])
    counter.restart()
    counter.tick()
    assert edges(empty) == {("web", "bank", ""): 1, ("web", "bank", "virtual_node"): 1}
    counter.store([*second, *third[1:]])
    counter.tick()
    counter.tick()
    assert edges(empty) == {("web", "bank", ""): 3, ("web", "bank", "virtual_node"): 1}, "what comes later counts too"
    assert newest(empty)["traces_service_graph_request_client_seconds_sum",
                         (("client", "web"), ("connection_type", "virtual_node"), ("server", "bank"))] == 3  # fmt: skip


def test_spans_of_commits_that_are_not_settled_wait(empty: EmbeddedEngine) -> None:
    counter = Counter(empty)
    store_spans(empty, call(1), 2)
    counter.tick()
    assert edges(empty) == {}
    counter.commit = 2
    store_spans(empty, call(2), 1)
    counter.tick()
    assert edges(empty) == {("web", "bank", ""): 2}


def test_a_crash_between_links_and_totals_counts_nothing_twice(
    empty: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = Counter(empty)
    counter.store(call(1))
    counter.tick()
    counter.store(call(2))
    with monkeypatch.context() as patch:
        patch.setattr("windvane.ingest.running_totals.RunningTotals.write", _fail)
        with pytest.raises(OSError, match="no space"):
            counter.tick()
    counter.store(call(3))
    counter.tick()
    assert edges(empty) == {("web", "bank", ""): 3}
    links = empty.query("SELECT Parent, Child, sum(Calls) AS n FROM service_links WHERE Calls > 0 GROUP BY ALL")
    assert links.values.tolist() == [["web", "bank", 3]]


def _fail(*_: object) -> int:
    raise OSError("no space")


def test_many_spans_are_counted_piece_by_piece(empty: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("windvane.ingest.span_metrics._PIECE", 3)
    counter = Counter(empty)
    for number in range(7):
        counter.store(call(number))
    counter.tick()
    assert edges(empty) == {("web", "bank", ""): 7}


def test_label_sets_beyond_the_bound_become_one(empty: EmbeddedEngine) -> None:
    counter = Counter(empty, series=1)
    for number in range(3):
        counter.store([Span(f"{number:032x}", "a" * 16, "", f"op{number}", "Internal", "web", T0, SECOND)])
        counter.tick()
        counter.restart()
    totals = [(dict(labels), value) for (name, labels), value in newest(empty).items() if name.endswith("calls_total")]
    calls = {own.get("span_name", ""): (value, own.get("otel_metric_overflow")) for own, value in totals}
    assert calls == {"op0": (1, None), "": (2, "true")}


def test_series_as_jaeger_reads_them(empty: EmbeddedEngine) -> None:
    counter = Counter(empty, SpanNames.BOTH)
    counter.store(call(1))
    counter.tick()
    labels = {"service_name": "bank", "span_name": "serve", "span_kind": "SPAN_KIND_SERVER",
              "status_code": "STATUS_CODE_UNSET"}  # fmt: skip
    found = newest(empty)
    name = "traces_span_metrics_duration_milliseconds"
    assert found["traces_span_metrics_calls_total", tuple(sorted(labels.items()))] == 1
    assert found[f"{name}_sum", tuple(sorted(labels.items()))] == 1_000
    buckets = {bound: found[f"{name}_bucket", tuple(sorted({**labels, "le": bound}.items()))]
               for bound in ("2", "800", "1000", "1400", "15000", "+Inf")}  # fmt: skip
    assert buckets == {"2": 0, "800": 0, "1000": 1, "1400": 1, "15000": 1, "+Inf": 1}
    assert ("traces_spanmetrics_calls_total", ()) not in found
    assert any(name == "traces_spanmetrics_calls_total" for name, _ in found)
