"""Cohorts: planted differences are found, nothing is found where nothing is, over arrays and in the store."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
import pytest
from made_traces import span
from telemetry_rows import store_spans

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.analysis import attributes
from windvane.tracing.analysis.cohorts import Candidates, CohortDiff, Demand, Property, diff
from windvane.tracing.analysis.load import read_spans
from windvane.tracing.analysis.spans import of_spans
from windvane.tracing.analysis.tree import Tree
from windvane.tracing.model import Span


def shop(rng: random.Random, trace: int, *, version: str = "v1", planted: bool = False) -> list[Span]:
    """A trace of four services; a planted one calls the cache less, fails and waits more."""
    reviews = rng.uniform(10, 40) + (25 if planted else 0)
    spans = [
        span(1, 0, 0, reviews + 30, "GET /", service="web", trace=trace, attributes={"http.method": "GET"}),
        span(
            2, 1, 5, reviews, "reviews", service="reviews", trace=trace,
            status="Error" if planted and rng.random() < 0.6 else "Unset",
            attributes={"version": version, "zone": rng.choice("abc"), "user": rng.choice("uvwxyz")},
            resource={"pod": f"reviews-{version}"},
        ),
        span(3, 2, 6, 3, "ratings", service="ratings", trace=trace, attributes={"id": f"{rng.random()}"}),
    ]  # fmt: skip
    if rng.random() < (0.2 if planted else 0.8):
        spans.append(span(4, 2, 7, 1, "get", service="cache", trace=trace))
    return spans


def compared(
    selection: Sequence[list[Span]], baseline: Sequence[list[Span]], demand: Demand | None = None
) -> CohortDiff:
    spans = of_spans([one for trace in [*selection, *baseline] for one in trace])
    first = {trace[0].trace_id for trace in selection}
    return diff(Tree.of(spans), np.array([one in first for one in spans.trace_ids]), None, demand)


def test_planted_differences_are_found_with_their_size() -> None:
    rng = random.Random(3)
    bad = [shop(rng, trace, planted=True) for trace in range(1, 151)]
    good = [shop(rng, trace) for trace in range(201, 501)]
    found = compared(bad, good)
    shown = {one.property: one for one in found.differences}
    failing = shown[Property("failing", "reviews", "reviews")]
    assert failing.difference.low > 0.4
    assert failing.example == bad[0][0].trace_id or failing.selection > failing.baseline
    cache = shown[Property("edge", "reviews", "cache")]
    assert cache.difference.high < -0.4
    assert cache.ratio.high < 0.5
    assert Property("operation", "cache", "get") in cache.also or Property("operation", "cache", "get") in shown
    assert any(one.property.kind == "duration" for one in found.differences)
    slower = {(one.service, one.operation): one for one in found.latencies}
    assert slower["reviews", "reviews"].chance.low > 0.8
    assert slower["reviews", "reviews"].selection_ns["p50"] > slower["reviews", "reviews"].baseline_ns["p50"]
    assert ("ratings", "ratings") not in slower
    assert ("", "") in slower


def test_nothing_is_found_where_nothing_is_more_often_than_stated() -> None:
    rng = random.Random(11)
    demand = Demand(rate=0.1)
    false, rounds = 0, 120
    for number in range(rounds):
        traces = [shop(rng, 1_000 * number + trace) for trace in range(1, 101)]
        cut = rng.randrange(30, 70)
        found = compared(traces[:cut], traces[cut:], demand)
        false += bool(found.differences or found.latencies)
    # With nothing to find every finding is false, and a share of 0.1 of the rounds at most may have any:
    # more than 21 of 120 happen once in a hundred such tests.
    assert false <= 21


def test_with_much_to_find_few_findings_are_false() -> None:
    rng = np.random.default_rng(5)
    traces, planted, null = 400, 40, 160
    selected = np.arange(traces) < 200
    false = total = 0
    for _ in range(25):
        rates = np.concatenate([np.full(planted, 0.35), np.full(null, 0.2)])
        has = rng.random((planted + null, traces)) < np.where(selected, rates[:, None], 0.2)
        marks = rng.integers(0, 1 << 62, planted + null, np.uint64)
        group = Candidates(
            has[:, selected].sum(1), has[:, ~selected].sum(1), marks, np.zeros(planted + null, np.int64),
            lambda rows: [Property("attribute", str(row), "x") for row in rows],
        )  # fmt: skip
        one = [[span(1, 0, 0, 10, trace=number + 1)] for number in range(traces)]
        spans = of_spans([trace[0] for trace in one])
        found = diff(Tree.of(spans), selected, group, Demand(rate=0.1))
        keys = [int(one.property.key) for one in found.differences if one.property.kind == "attribute"]
        total += len(keys)
        false += sum(key >= planted for key in keys)
    assert total > 25 * planted * 0.4
    assert false / total < 0.13


def test_holm_finds_no_more_than_benjamini_and_hochberg() -> None:
    rng = random.Random(4)
    bad = [shop(rng, trace, planted=trace % 3 == 0) for trace in range(1, 80)]
    good = [shop(rng, trace) for trace in range(101, 180)]
    lenient, strict = (compared(bad, good, Demand(correction=how)) for how in ("benjamini-hochberg", "holm"))
    assert {one.property for one in strict.differences} <= {one.property for one in lenient.differences}
    assert lenient.comparisons == strict.comparisons


def test_a_trace_counts_once_and_support_is_asked_for() -> None:
    many = [[span(1, 0, 0, 10, trace=1), *(span(n, 1, 1, 1, "often", trace=1) for n in range(2, 100))]]
    few = [[span(1, 0, 0, 10 + trace, trace=trace)] for trace in range(2, 40)]
    assert not [one for one in compared(many, few).differences if one.property.value == "often"]


@pytest.mark.parametrize(
    "wrong", [{"rate": 0.0}, {"support": 0}, {"correction": "none"}, {"limit": 0}], ids=lambda one: next(iter(one))
)
def test_demands_that_cannot_be_met(wrong: dict[str, object]) -> None:
    with pytest.raises(BadInputError, match=next(iter(wrong))):
        Demand(**wrong)  # type: ignore[arg-type]


def test_an_empty_set_is_refused() -> None:
    with pytest.raises(BadInputError, match="selection has no traces"):
        compared([], [[span(1, 0, 0, 1)]])


def test_attributes_are_counted_in_the_store_as_by_hand(engine: Engine) -> None:
    rng = random.Random(9)
    new = [shop(rng, trace, version="v2") for trace in range(1, 41)]
    old = [shop(rng, trace) for trace in range(101, 171)]
    store_spans(engine, [one for trace in [*new, *old] for one in trace])
    first, second = ([trace[0].trace_id for trace in group] for group in (new, old))
    counted = attributes.count(engine, first, second, 5)
    labels = counted.label(range(len(counted.a)))
    shown = {(one.key, one.value): (int(a), int(b)) for one, a, b in zip(labels, counted.a, counted.b, strict=True)}
    by_hand: dict[tuple[str, str], tuple[int, int]] = {}
    for place, group in enumerate((new, old)):
        for trace in group:
            pairs = {(f"span.{k}", str(v)) for one in trace for k, v in one.attributes.items()}
            pairs |= {(f"resource.{k}", str(v)) for one in trace for k, v in one.resource.items()}
            for pair in pairs:
                before = by_hand.get(pair, (0, 0))
                by_hand[pair] = (before[0] + (place == 0), before[1] + (place == 1))
    assert shown == {pair: counts for pair, counts in by_hand.items() if sum(counts) >= 5}

    spans = read_spans(engine, [*first, *second])
    found = diff(Tree.of(spans), np.array([one in set(first) for one in spans.trace_ids]), counted)
    clearest = found.differences[0]
    # Which pod and which version: the same traces, so one finding with two names.
    assert {clearest.property, *clearest.also} in (
        {Property("attribute", "span.version", v), Property("attribute", "resource.pod", f"reviews-{v}")}
        for v in ("v1", "v2")
    )
    assert not any(one.property.key in ("span.zone", "span.user", "span.http.method") for one in found.differences)
    assert clearest.difference.value in (1.0, -1.0)
    assert all(abs(one.chance.value - 0.5) < 0.5 for one in found.latencies)
