"""Metrics queries against plain loops over the same spans; what the engine counts is what counting by hand gives."""

from __future__ import annotations

import math
import random
from collections import defaultdict
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from telemetry_rows import store_spans
from traceql_queries import SECOND, T0, random_condition, random_spans

from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError, LimitError
from windvane.store.api import Engine
from windvane.tracing.model import Span
from windvane.tracing.traceql import cells
from windvane.tracing.traceql.cells import bucket_of
from windvane.tracing.traceql.metrics import MetricsRequest, TraceMetrics
from windvane.tracing.traceql.parse import parse
from windvane.tracing.traceql.search import TraceSearch
from windvane.tracing.traceql.series import Slots, label_text, log2_quantile
from windvane.tracing.traceql.syntax import Search

Shown = dict[tuple[tuple[str, str], ...], list[float]]


def evaluate(engine: Engine, text: str, slots: Slots, exemplars: int = 0) -> Any:
    query = parse(text)
    assert not isinstance(query, Search)
    return TraceMetrics(TraceSearch(engine, ManualClock(T0))).evaluate(query, MetricsRequest(slots, exemplars))


def shown(engine: Engine, text: str, slots: Slots) -> Shown:
    return {
        tuple((name, label_text(value)) for name, value in one.labels): one.values.tolist()
        for one in evaluate(engine, text, slots)
    }


def same(left: Shown, right: Shown) -> bool:
    return left.keys() == right.keys() and all(
        np.allclose(left[key], right[key], equal_nan=True, rtol=1e-9) for key in left
    )


RANGE = Slots.of(T0 + 3 * SECOND, T0 + 58 * SECOND, 10 * SECOND)

SPANS = [
    Span(f"{n + 1:032x}", f"{n + 1:016x}", "", ["get", "post"][n % 2], "Server", ["cart", "pay"][n % 3 == 0],
         T0 + n * SECOND, n * 1_000_000, status=["Ok", "Error"][n % 5 == 0], attributes={"size": n, "even": n % 2 == 0})
    for n in range(60)
]  # fmt: skip


@pytest.fixture
def stored(engine: Engine) -> Engine:
    store_spans(engine, SPANS)
    return engine


def by_slot(wanted: Callable[[Span], bool], value: Callable[[Span], float]) -> list[list[float]]:
    """The values of the spans of each slot of RANGE."""
    found: list[list[float]] = [[] for _ in range(6)]
    for span in SPANS:
        place = math.ceil((span.start_ns - T0) / (10 * SECOND)) - 1
        if 0 <= place < 6 and wanted(span):
            found[place].append(value(span))
    return found


def test_slots_hold_their_end_and_not_their_start() -> None:
    assert (RANGE.count, RANGE.first_ns, RANGE.last_ns) == (6, T0 + 1, T0 + 60 * SECOND)
    assert [RANGE.slot(T0 + 1), RANGE.slot(T0 + 10 * SECOND), RANGE.slot(T0 + 10 * SECOND + 1)] == [0, 0, 1]
    assert RANGE.times_ms()[0] == (T0 + 10 * SECOND) // 10**6
    with pytest.raises(BadInputError, match="at most 11000"):
        Slots.of(T0, T0 + 3600 * SECOND, 1_000_000)


@pytest.mark.parametrize(
    ("function", "fold"),
    [
        ("rate()", lambda values: len(values) / 10),
        ("count_over_time()", len),
        ("sum_over_time(span.size)", sum),
        ("min_over_time(span.size)", min),
        ("max_over_time(span.size)", max),
        ("avg_over_time(span.size)", lambda values: sum(values) / len(values)),
    ],
)
@pytest.mark.parametrize("condition", ["status = ok", "status = ok && !(event.x = 1)"])  # by the engine, by hand
def test_functions_of_each_slot(stored: Engine, function: str, fold: Callable[[Any], float], condition: str) -> None:
    found = shown(stored, f"{{ {condition} }} | {function} by (name, resource.service.name)", RANGE)
    for name in ("get", "post"):
        for service in ("cart", "pay"):
            wanted = by_slot(
                lambda one, n=name, s=service: one.status == "Ok" and one.name == n and one.service == s,
                lambda one: float(one.attributes["size"]),
            )
            values = [fold(values) if values else (0 if "size" not in function else math.nan) for values in wanted]
            assert np.allclose(
                found.pop((("name", name), ("resource.service.name", service))), values, equal_nan=True
            ), (name, service)
    assert not found


@pytest.mark.parametrize("condition", ["", "!(event.x = 1)"])
def test_buckets_are_powers_of_two(stored: Engine, condition: str) -> None:
    found = shown(stored, f"{{ {condition} }} | histogram_over_time(duration)", RANGE)
    wanted: dict[float, list[float]] = defaultdict(lambda: [0.0] * 6)
    for place, values in enumerate(by_slot(lambda _: True, lambda one: one.duration_ns)):
        for value in values:
            if value >= 2:
                wanted[2 ** math.ceil(math.log2(value)) / 1e9][place] += 1
    assert {float(labels[-1][1]): values for labels, values in found.items()} == dict(wanted)

    quantiles = shown(stored, f"{{ {condition} }} | quantile_over_time(duration, .5, 1)", RANGE)
    last = sorted((bound, values[5]) for bound, values in wanted.items() if values[5])
    assert quantiles[(("p", "0.5"),)][5] == pytest.approx(log2_quantile(0.5, last))
    assert quantiles[(("p", "1"),)][5] == pytest.approx(last[-1][0])


def test_every_bucket_of_the_engine_is_the_one_counted_by_hand(engine: Engine) -> None:
    values = [v for k in range(1, 53) for v in ((1 << k) - 1, 1 << k, (1 << k) + 1)]
    store_spans(engine, [replace(SPANS[0], span_id=f"{n + 1:016x}", start_ns=T0 + SECOND, duration_ns=v)
                         for n, v in enumerate(values)])  # fmt: skip
    fast = shown(engine, "{ } | histogram_over_time(duration)", Slots.of(T0, T0 + 10 * SECOND, None))
    counts: dict[float, int] = defaultdict(int)
    for value in values:
        if (bucket := bucket_of(value)) is not None:
            counts[2.0**bucket / 1e9] += 1
    assert {float(labels[0][1]): value[0] for labels, value in fast.items()} == pytest.approx(counts)


@given(st.integers(2, 1 << 60))
def test_a_bucket_is_the_next_power_of_two(value: int) -> None:
    bucket = bucket_of(value)
    assert bucket is not None
    assert 1 << (bucket - 1) < value <= 1 << bucket


def test_quantiles_grow_within_a_bucket_as_an_exponential() -> None:
    assert log2_quantile(0.5, []) == 0
    assert log2_quantile(0.5, [(8, 4)]) == pytest.approx(2**2.5)
    assert log2_quantile(1, [(4, 1), (8, 1)]) == 8
    assert log2_quantile(0, [(4, 1), (8, 1)]) == 4


@pytest.mark.parametrize("seed", range(2))
def test_the_engine_counts_as_by_hand(engine: Engine, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = random.Random(seed)
    store_spans(engine, random_spans(rng, traces=14))
    functions = ["rate()", "count_over_time()", "avg_over_time(span.a)", "max_over_time(duration)",
                 "histogram_over_time(duration)", "quantile_over_time(span.http.status_code, .9)",
                 "compare({ status = error })", "compare({ span.a = 1 && kind = server }, 2)"]  # fmt: skip
    groups = [".a", "span.b", "resource.zone", "resource.service.name", "name", "status", "kind", "instrumentation.lib"]
    slots = [RANGE, Slots.of(T0, T0 + 60 * SECOND, None)]
    for _ in range(12):
        function = rng.choice(functions)
        by = f" by ({', '.join(rng.sample(groups, rng.randint(1, 3)))})" if "compare" not in function else ""
        text, when = f"{{ {random_condition(rng)} }} | {function}{by}", rng.choice(slots)
        fast = shown(engine, text, when)
        with monkeypatch.context() as patch:
            patch.setattr("windvane.tracing.traceql.metrics.single_filter", lambda _: None)
            patch.setattr("windvane.tracing.traceql.comparing.single_filter", lambda _: None)
            assert same(shown(engine, text, when), fast), text


def test_structure_before_a_function(engine: Engine) -> None:
    root = replace(SPANS[1], start_ns=T0 + SECOND)
    child = replace(root, span_id="f" * 16, parent_id=root.span_id, service="pay", start_ns=T0 + 12 * SECOND)
    store_spans(engine, [root, child, replace(child, trace_id="e" * 32)])
    found = shown(engine, "{ resource.service.name = `cart` } > { } | count_over_time()", RANGE)
    assert found == {(("__name__", "count_over_time"),): [0, 1, 0, 0, 0, 0]}
    assert shown(engine, "{ } | count() > 1 | rate() by (trace:rootService)", RANGE).keys() == {
        (("rootServiceName", "cart"),)
    }


def test_groups_without_a_value(stored: Engine) -> None:
    found = shown(stored, "{ } | count_over_time() by (span.missing)", Slots.of(T0, T0 + 60 * SECOND, None))
    assert found == {(("span.missing", "<nil>"),): [60]}
    both = shown(stored, "{ } | count_over_time() by (span.missing, span.even)", Slots.of(T0, T0 + 60 * SECOND, None))
    assert both == {(("span.even", "true"),): [30], (("span.even", "false"),): [30]}


def test_second_stages_and_arithmetic(stored: Engine) -> None:
    when = Slots.of(T0, T0 + 60 * SECOND, None)
    count = "{ } | count_over_time() by (resource.service.name)"
    assert shown(stored, f"{count} | topk(1)", when) == {(("resource.service.name", "cart"),): [40]}
    assert shown(stored, f"{count} | bottomk(1)", when) == {(("resource.service.name", "pay"),): [20]}
    assert shown(stored, f"{count} >= 30", when) == {(("resource.service.name", "cart"),): [40]}
    errors = "{ status = error } | count_over_time() by (resource.service.name)"
    assert shown(stored, f"({errors}) / ({count}) * 100", when) == {
        (("resource.service.name", "cart"),): [20], (("resource.service.name", "pay"),): [20],
    }  # fmt: skip
    assert shown(stored, "1 - ({ } | rate()) / ({ } | rate())", when) == {(): [0]}
    nothing = shown(stored, "({ name = `none` } | rate() by (name)) / ({ } | rate() by (name))", when)
    assert nothing == {}


def test_exemplars_are_spans_of_their_points(stored: Engine) -> None:
    (series,) = evaluate(stored, "{ } | max_over_time(duration)", RANGE, exemplars=3)
    assert len(series.exemplars) == 3
    spans = {span.trace_id: span for span in SPANS}
    for one in series.exemplars:
        assert one.time_ns == spans[one.trace_id].start_ns
        assert one.value == pytest.approx(spans[one.trace_id].duration_ns / 1e9)
    (rate,) = evaluate(stored, "{ } | rate()", RANGE, exemplars=100)
    assert len(rate.exemplars) == 6
    assert [one.value for one in rate.exemplars] == rate.values.tolist()


def test_compare_tells_what_is_different(stored: Engine) -> None:
    when = Slots.of(T0, T0 + 60 * SECOND, None)
    found = shown(stored, "{ } | compare({ resource.service.name = `pay` }, 1)", when)
    assert found[(("__meta_type", "selection"), ("name", "get"))] == [10]
    assert found[(("__meta_type", "selection_total"), ("name", "<nil>"))] == [20]
    assert found[(("__meta_type", "baseline_total"), ("status", "<nil>"))] == [40]
    assert (("__meta_error", "__too_many_values__"), ("span.size", "<nil>")) in found
    middle = f"{T0 + 10 * SECOND}, {T0 + 20 * SECOND}"
    timed = shown(stored, f"{{ }} | compare({{ }}, 10, {middle})", when)
    assert timed[(("__meta_type", "selection_total"), ("name", "<nil>"))] == [10]


def test_too_many_series_are_refused(stored: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cells, "MAX_SERIES", 10)
    with pytest.raises(LimitError, match="more than 10 series"):
        evaluate(stored, "{ } | rate() by (span.size)", RANGE)
