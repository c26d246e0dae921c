"""Where failures begin, calls that repeat, retry storms, slower operations; reading spans from the store."""

from __future__ import annotations

import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import MS, T0, chained, random_traces, span
from telemetry_rows import store_entries, store_spans

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.analysis import critical, failures, load, outliers, repeats, storms
from windvane.tracing.analysis.spans import Name, Spans, of_spans
from windvane.tracing.analysis.tree import Tree
from windvane.tracing.model import Span

WINDOW = (T0 - 10**9, T0 + 10**12)


def tree_of(spans: list[Span]) -> Tree:
    return Tree.of(of_spans(spans))


def roots_of(spans: list[Span]) -> dict[str, tuple[int, int]]:
    return {one.name.operation: (one.traces, one.reached) for one in failures.error_roots(tree_of(spans))}


def test_the_deepest_failing_span_is_where_it_begins() -> None:
    failed = {"status": "Error"}
    spans = [
        span(1, 0, 0, 10, "gateway", **failed),
        span(2, 1, 1, 8, "checkout", **failed),
        span(3, 2, 2, 6, "silent"),
        span(4, 3, 3, 2, "payment", **failed),
        span(5, 2, 5, 1, "fine", status="Ok"),
    ]
    [found] = failures.error_roots(tree_of(spans))
    assert (found.name.operation, found.traces, found.reached, found.example_span) == ("payment", 1, 1, f"{4:016x}")
    assert [name.operation for name in found.chain] == ["payment", "silent", "checkout", "gateway"]


def test_a_failure_that_was_handled_explains_nothing_above() -> None:
    failed = {"status": "Error"}
    spans = [
        span(1, 0, 0, 10, "root", **failed),
        span(2, 1, 1, 8, "handled", status="Ok"),
        span(3, 2, 2, 2, "tried", **failed),
    ]
    assert roots_of(spans) == {"root": (1, 1), "tried": (1, 0)}
    late = [span(1, 0, 0, 10, "root"), span(2, 1, 50, 1, "after", **failed)]
    assert roots_of(late) == {"after": (1, 0)}
    assert roots_of([span(1, 0, 0, 1)]) == {}


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32))
def test_every_failing_trace_has_a_beginning(seed: int) -> None:
    built = tree_of(random_traces(seed))
    rows, _ = failures.origins(built)
    inside = np.zeros(len(built.spans), np.bool_)
    for level in built.levels:
        inside[level] = True
    failing = inside & (built.spans.columns.status == 2)
    assert set(built.spans.columns.trace[rows].tolist()) == set(built.spans.columns.trace[failing].tolist())


def repeated(spans: list[Span], least: int = 5) -> list[repeats.Repeat]:
    built = tree_of(spans)
    return repeats.n_plus_one(built, critical.walk(built), least)


def test_many_similar_calls_in_a_row() -> None:
    spans = [span(1, 0, 0, 100, "GET /cart", service="web")]
    spans += [span(n, 1, n * 4, 3, f"SELECT {n}", service="db") for n in range(2, 14)]
    [found] = repeated(spans)
    assert (found.caller, found.called) == (Name("web", "GET /cart"), Name("db", "SELECT *"))
    assert (found.calls, found.most, found.traces) == (12, 12, 1)
    assert (found.time_ns, found.path_ns) == (36 * MS, 36 * MS)
    assert found.example_span == f"{1:016x}"
    assert repeated(spans, 13) == []


def test_calls_at_once_are_a_fan_out() -> None:
    at_once = [span(1, 0, 0, 100), *(span(n, 1, 1, 50, "get") for n in range(2, 20))]
    assert repeated(at_once) == []


@pytest.mark.parametrize(
    ("operation", "shown"),
    [
        ("GET /users/123/orders/9f1c2d3e-0000-4000-8000-0123456789ab", "GET /users/*/orders/*"),
        ("ratings.shop:9080/*", "ratings.shop:*/*"),
        ("facade", "facade"),
        ("deadbeef", "deadbeef"),
        ("key 5f3a9c0012ab", "key *"),
    ],
)
def test_names_without_what_varies(operation: str, shown: str) -> None:
    assert repeats.similar(operation) == shown


def test_calls_tried_again_after_failures() -> None:
    calm = chained([3, 3, 3])
    spans = [
        one if number in (0, 3) else span(number + 1, 1, 1 + 4 * (number - 1), 3, "call", service="db", status="Error")
        for number, one in enumerate(calm)
    ]
    built = tree_of(spans)
    [found] = repeats.retried(built, critical.walk(built))
    assert (found.called, found.most) == (Name("db", "call"), 3)
    assert repeats.retried(tree_of(calm), critical.walk(tree_of(calm))) == []
    with pytest.raises(BadInputError):
        repeats.n_plus_one(built, critical.walk(built), 1)


def entry(request: str, cluster: str, attempts: int, code: int = 503, at: int = 0) -> dict[str, object]:
    return {
        "Timestamp": T0 + at, "Reporter": "source", "Kind": "http", "RequestId": request, "TraceId": "a" * 32,
        "UpstreamCluster": cluster, "RouteName": "r", "UpstreamAttempts": attempts, "ResponseCode": code,
    }  # fmt: skip


def test_attempts_multiply_on_the_way(engine: Engine) -> None:
    entries = [
        entry("one", "a", 3),
        *(entry("one", "b", 3) for _ in range(3)),
        *(entry("one", "c", 3) for _ in "9" * 9),
    ]
    entries += [entry(f"calm{n}", "c", 1, 200) for n in range(5)]
    entries += [{**entry("one", "c", 3), "Reporter": "destination"}, {**entry("one", "c", 3), "Timestamp": 10**18}]
    store_entries(engine, entries)
    found = storms.storms(engine, WINDOW)
    assert [(one.cluster, one.most, one.requests, one.stormy, one.retried) for one in found] == [
        ("c", 27, 6, 1, 1),
        ("b", 9, 1, 1, 1),
    ]
    assert [(hop.cluster, hop.entries, hop.attempts, hop.failed) for hop in found[0].way] == [
        ("a", 1, 3, 1),
        ("b", 3, 9, 3),
        ("c", 9, 27, 9),
    ]
    assert (found[0].request_id, found[0].trace_id) == ("one", "a" * 32)
    assert storms.storms(engine, (0, 1)) == []


def timed(rng: random.Random, first: int, count: int, factor: float = 1.0, start: float = 0.0) -> list[Span]:
    return [
        span(1, 0, start, rng.lognormvariate(2, 0.3) * (factor if rng.random() < 0.1 else 1), "GET", trace=first + n)
        for n in range(count)
    ]


def test_an_operation_that_became_slower(engine: Engine) -> None:
    rng = random.Random(2)
    store_spans(engine, [*timed(rng, 1, 300), *timed(rng, 1_000, 40)])
    usual = outliers.baseline(engine, WINDOW)
    assert usual[Name("svc", "GET")].spans == 340
    assert usual[Name("svc", "GET")].median_ns == pytest.approx(7.39 * MS, rel=0.1)
    [found] = outliers.slow(of_spans(timed(rng, 5_000, 200, factor=8.0)), usual)
    assert found.slow >= 10
    assert found.times > 8
    assert found.example_ns / found.usual.median_ns == pytest.approx(found.times)
    assert outliers.baseline(engine, (0, 1)) == {}


def test_no_operation_is_slower_more_often_than_stated() -> None:
    rng = np.random.default_rng(3)
    false = 0
    for _ in range(200):
        before, after = np.sort(rng.lognormal(15, 1, 150)), rng.lognormal(15, 1, 120)
        usual = outliers.Usual(150, float(np.median(before)), float(np.floor(before[int(0.99 * 150)])), 0.05)
        spans = of_spans([span(1, 0, 0, length / MS, trace=n + 1) for n, length in enumerate(after)])
        false += bool(outliers.slow(spans, {spans.names[0]: usual}))
    assert false <= 20  # 10 are expected at most; more than 20 happen once in a thousand such tests


# Reading.


def facts(spans: Spans) -> list[tuple[object, ...]]:
    columns = spans.columns
    return sorted(
        (spans.trace_ids[int(columns.trace[row])], spans.span_id(row), int(columns.start[row]),
         int(columns.duration[row]), int(columns.kind[row]), int(columns.status[row]),
         spans.names[int(columns.name[row])], spans.span_id(int(spans.parent[row])) if spans.parent[row] >= 0 else "")
        for row in range(len(spans))
    )  # fmt: skip


def test_the_store_gives_what_objects_give(engine: Engine) -> None:
    spans = random_traces(5, 12)
    spans.append(span(1, 0, 0, 5, "marked", trace=77, attributes={"error": "true"}))
    spans.append(span(1, 0, 0, 5, "marked", trace=78 << 64, attributes={"error": True}))
    store_spans(engine, spans)
    ids = list(dict.fromkeys(one.trace_id for one in spans))
    expected = facts(of_spans(spans))
    assert facts(load.read_spans(engine, [*ids, f"{999:032x}", ids[0]])) == expected
    assert facts(load.read_spans(engine, ids, WINDOW)) == expected
    assert len(load.read_spans(engine, ids[:1])) < len(expected)


def test_nothing_to_read(engine: Engine) -> None:
    for ids in ([], ["0" * 32]):
        empty = load.read_spans(engine, ids)
        built = Tree.of(empty)
        path = critical.walk(built)
        assert len(empty) == 0
        assert critical.aggregate(built, path).traces == 0
        assert failures.error_roots(built) == []
        assert repeats.n_plus_one(built, path) == []
        assert outliers.slow(empty, {}) == []
    with pytest.raises(BadInputError, match="trace id"):
        load.read_spans(engine, ["xyz"])
    with pytest.raises(BadInputError, match="trace id"):
        load.read_spans(engine, ["x" * 32])


def test_ids_that_differ_only_in_one_half_are_different_traces() -> None:
    ids = [f"{high:016x}{low:016x}" for high in range(20) for low in range(20)]
    keys, mixer = load.trace_keys(ids)
    assert len(set(keys.tolist())) == 400
    assert mixer % 2 == 1


def test_spans_that_are_years_apart_are_in_order_too() -> None:
    near = random_traces(4, 3)
    far = [span(1, 0, 0, 1, trace=2**127 + n) for n in range(300)]
    ages = [replace(one, start_ns=n * 10**16) for n, one in enumerate(far)]
    columns = of_spans([*near, *ages]).columns
    order = np.lexsort((columns.kind, columns.id, -columns.duration, columns.start, columns.trace))
    assert (order == np.arange(len(order))).all()
