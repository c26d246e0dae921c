"""Critical paths and self times: by hand, by a plain walk over objects, and by what must always hold."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import MS, T0, chained, random_trace, random_traces, span

from windvane.kit.errors import BadInputError
from windvane.tracing.analysis import critical, tree, whatif
from windvane.tracing.analysis.spans import Spans, of_spans
from windvane.tracing.model import Span

seeds = st.integers(0, 2**32)


def path_of(spans: list[Span]) -> list[tuple[str, float, float]]:
    """The path as span number, begin and end in milliseconds."""
    built = tree.Tree.of(of_spans(spans))
    return [
        (str(int(built.spans.span_id(one.row), 16)), (one.start_ns - T0) / MS, (one.end_ns - T0) / MS)
        for one in critical.sections(built, critical.walk(built))
    ]


def test_one_child_splits_its_parent() -> None:
    assert path_of([span(1, 0, 0, 10), span(2, 1, 2, 5)]) == [("1", 0, 2), ("2", 2, 7), ("1", 7, 10)]


def test_the_last_to_finish_counts_and_what_ran_beside_it_does_not() -> None:
    spans = [span(1, 0, 0, 10), span(2, 1, 1, 5), span(3, 1, 4, 5)]
    assert path_of(spans) == [("1", 0, 4), ("3", 4, 9), ("1", 9, 10)]


def test_calls_that_follow_each_other_without_a_gap_are_all_on_the_path() -> None:
    spans = [span(1, 0, 0, 10), span(2, 1, 0, 5), span(3, 1, 5, 5)]
    assert path_of(spans) == [("2", 0, 5), ("3", 5, 10)]


def test_what_sticks_out_is_cut_off_and_what_lies_outside_is_nobodys_wait() -> None:
    spans = [span(1, 0, 10, 10), span(2, 1, 15, 50), span(3, 1, 30, 5), span(4, 2, 18, 90), span(5, 1, 0, 12)]
    assert path_of(spans) == [("5", 10, 12), ("1", 12, 15), ("2", 15, 18), ("4", 18, 20)]


@pytest.mark.parametrize(
    ("spans", "path"),
    [
        ([(1, 0, 1, 100), (2, 1, 10, 40), (3, 1, 20, 40)], [("1", 1, 20), ("3", 20, 60), ("1", 60, 101)]),
        ([(1, 0, 1, 29), (2, 1, 15, 20), (3, 2, 10, 15)], [("1", 1, 15), ("3", 15, 25), ("2", 25, 30)]),
        ([(1, 0, 10, 20), (2, 1, 5, 30)], [("2", 10, 30)]),
        ([(1, 0, 10, 20), (2, 1, 1, 4)], [("1", 10, 30)]),
    ],
    ids=["side by side", "cut at both ends", "longer than its parent", "before its parent"],
)
def test_times_and_paths_that_jaegers_page_is_tested_with(
    spans: list[tuple[int, int, int, int]], path: list[tuple[str, float, float]]
) -> None:
    assert path_of([span(*one) for one in spans]) == path


def test_a_consumer_holds_up_no_producer() -> None:
    spans = [span(1, 0, 0, 10, kind="Producer"), span(2, 1, 1, 9, kind="Consumer"), span(3, 2, 2, 3)]
    assert path_of(spans) == [("1", 0, 10)]


def test_a_server_span_with_its_clients_id_is_the_clients_child() -> None:
    shared = [
        span(1, 0, 0, 10, kind="Internal"),
        span(2, 1, 1, 8, "call", kind="Client"),
        span(2, 1, 2, 6, "serve", kind="Server"),
        span(3, 2, 3, 2, "query"),
    ]
    built = tree.Tree.of(of_spans(shared))
    names = [name.operation for name in built.spans.names]
    parents = {
        names[built.spans.columns.name[row]]: names[built.spans.columns.name[parent]] if parent >= 0 else ""
        for row, parent in enumerate(built.spans.parent.tolist())
    }
    assert parents == {"op": "", "call": "op", "serve": "call", "query": "serve"}


def test_a_span_without_a_parent_is_the_root_before_one_whose_parent_is_lost() -> None:
    spans = [span(1, 77, 0, 90), span(2, 0, 5, 10)]
    assert path_of(spans) == [("2", 5, 15)]


def test_a_trace_that_only_goes_in_circles_has_no_path() -> None:
    spans = [span(1, 2, 0, 5), span(2, 1, 1, 2), span(3, 3, 0, 4)]
    assert path_of(spans[:2]) == []
    assert path_of([spans[2]]) == [("3", 0, 4)]  # its own parent: a root whose parent is unknown


# The same by objects, one trace at a time: slow and plain.


def walk_slowly(spans: list[Span]) -> tuple[dict[str, int], dict[str, int]]:
    """Time on the path and self time, by span id."""
    unique = {(one.span_id, one.start_ns, one.duration_ns, one.kind, one.name): one for one in spans}
    ordered = sorted(unique.values(), key=lambda one: (one.start_ns, -one.duration_ns, one.span_id))
    by_id = {one.span_id: one for one in ordered}
    children: dict[str, list[Span]] = {}
    for one in ordered:
        if one.parent_id in by_id and one.parent_id != one.span_id:
            children.setdefault(one.parent_id, []).append(one)
    held = {span_id for kids in children.values() for span_id in (kid.span_id for kid in kids)}
    tops = [one for one in ordered if one.span_id not in held]
    own: dict[str, int] = {}
    alone: dict[str, int] = {}

    def visit(one: Span, low: int, high: int, on: bool) -> None:
        inner, outer = [], []
        for kid in children.get(one.span_id, []):
            kid_low, kid_high = max(kid.start_ns, low), min(kid.end_ns, high)
            fits = kid.start_ns >= low and kid.end_ns <= high
            detached = kid.kind == "Consumer" and one.kind == "Producer"
            if not detached and (fits or kid_low < kid_high):
                inner.append((kid, kid_low, kid_high))
            else:
                outer.append(kid)
        covered = {t for _, a, b in inner for t in range(a // MS, b // MS)}
        alone[one.span_id] = high - low - MS * len(covered)
        waited = set()
        until, rest = high, list(inner)
        while on and (done := [item for item in rest if item[2] <= until]):
            last = max(done, key=lambda item: (item[2], -ordered.index(item[0])))
            waited.add(last[0].span_id)
            until = last[1]
            rest = [i for i in rest if (i[2], -ordered.index(i[0])) < (last[2], -ordered.index(last[0]))]
        if on:
            own[one.span_id] = high - low - sum(b - a for kid, a, b in inner if kid.span_id in waited)
        for kid, kid_low, kid_high in inner:
            visit(kid, kid_low, kid_high, on and kid.span_id in waited)
        for kid in outer:
            visit(kid, kid.start_ns, kid.end_ns, False)

    roots = [one for one in tops if not one.parent_id] or tops
    for top in tops:
        visit(top, top.start_ns, top.end_ns, top is roots[0])
    return own, alone


@settings(max_examples=120, deadline=None)
@given(seeds)
def test_columns_say_what_a_walk_over_objects_says(seed: int) -> None:
    rng = random.Random(seed)
    spans = random_trace(rng, 1, rng.randrange(1, 25))
    built = tree.Tree.of(of_spans(spans))
    path = critical.walk(built)
    own, alone = walk_slowly(spans)
    ids = [built.spans.span_id(row) for row in range(len(built.spans))]
    assert {i: n for i, n in zip(ids, path.own.tolist(), strict=True) if n} == {i: n for i, n in own.items() if n}
    assert dict(zip(ids, tree.self_time(built).tolist(), strict=True)) == alone


@settings(max_examples=60, deadline=None)
@given(seeds)
def test_sections_cover_each_root_exactly_and_sums_agree(seed: int) -> None:
    built = tree.Tree.of(of_spans(random_traces(seed)))
    path = critical.walk(built)
    lengths = tree.durations(built)
    for trace, length in enumerate(lengths.tolist()):
        found = critical.sections(built, path, trace)
        assert sum(one.end_ns - one.start_ns for one in found) == length
        assert all(a.end_ns == b.start_ns for a, b in itertools.pairwise(found))
        rows = built.spans.columns.trace == trace
        assert int(path.own[rows].sum()) == length
    whole = critical.aggregate(built, path)
    for owners in (whole.services, whole.operations, whole.edges):
        assert sum(one.path_ns for one in owners) == whole.total_ns == int(lengths.sum())
        for name in critical.BANDS:
            assert sum(one.at[name].share for one in owners) == pytest.approx(1.0 if lengths.max() else 0.0, abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(seeds, seeds)
def test_the_order_of_arrival_does_not_matter(seed: int, order: int) -> None:
    spans = random_traces(seed)
    shuffled = sorted(spans, key=lambda one: (one.trace_id, random.Random(order).random()))
    first, second = (_facts(of_spans(one)) for one in (spans, shuffled))
    assert first == second


def _facts(spans: Spans) -> list[tuple[object, ...]]:
    built = tree.Tree.of(spans)
    path, own = critical.walk(built), tree.self_time(built)
    return sorted(
        (spans.trace_ids[int(spans.columns.trace[row])], spans.span_id(row), int(path.own[row]), int(own[row]))
        for row in range(len(spans))
    )


def test_who_owns_the_latency_differs_by_quantile() -> None:
    spans = []
    for trace in range(1, 101):
        slow = 400 if trace > 90 else 0  # the database is what makes slow traces slow
        spans += [
            span(1, 0, 0, 100 + trace / 10 + slow, "GET /", service="web", trace=trace),
            span(2, 1, 10, 20 + slow, "query", service="db", trace=trace),
        ]
    built = tree.Tree.of(of_spans(spans))
    found = critical.aggregate(built, critical.walk(built))
    db = next(one for one in found.services if one.label == ("db",))
    assert db.at["p50"].share == pytest.approx(20 / 105, rel=0.02)
    assert db.at["p95"].share == pytest.approx(420 / 509.5, rel=0.02)
    assert [one.label for one in found.edges] == [("", "web"), ("web", "db")]
    assert found.quantiles_ns["p50"] == pytest.approx(105.05 * MS)


# What if.


@settings(max_examples=60, deadline=None)
@given(seeds, st.floats(0, 1))
def test_retiming_changes_nothing_without_a_change_and_all_alike_with_one_everywhere(seed: int, factor: float) -> None:
    built = tree.Tree.of(of_spans(random_traces(seed)))
    everything = np.ones(len(built.spans), np.bool_)
    same = whatif.retimed(built, np.ones(len(built.spans)), everything)
    assert (same == built.length).all()
    scaled = whatif.retimed(built, np.full(len(built.spans), factor), everything)
    assert scaled == pytest.approx(built.length * factor, rel=1e-9, abs=1e-3)


@settings(max_examples=60, deadline=None)
@given(seeds, st.sampled_from("xyz"), st.floats(0.01, 0.99))
def test_faster_work_slows_nothing_and_gains_at_most_what_is_on_the_path(
    seed: int, service: str, faster: float
) -> None:
    built = tree.Tree.of(of_spans(random_traces(seed)))
    services = [name.service for name in built.spans.names]
    if service not in services:
        return
    chosen = np.array([name == service for name in services])[built.spans.columns.name]
    factor = np.where(chosen, 1 - faster, 1.0)
    after = whatif.retimed(built, factor, np.ones(len(chosen), np.bool_))
    assert (after <= built.length + 1e-3).all()
    path = critical.walk(built)
    owned = np.zeros(len(built.roots))
    np.add.at(owned, built.spans.columns.trace, np.where(chosen, path.own, 0))
    gain = built.length[built.roots] - after[built.roots]
    assert (gain <= owned * faster + 1e-3).all()


def test_a_gain_ends_where_another_call_becomes_the_longer_one() -> None:
    spans = [
        span(1, 0, 0, 100, service="web"),
        span(2, 1, 0, 80, service="slow"),
        span(3, 1, 0, 60, service="other"),
    ]
    built = tree.Tree.of(of_spans(spans))
    halved = whatif.project(built, "slow", "", 0.5)
    assert halved.before_ns["p95"] == 100 * MS
    assert halved.after_ns["p95"] == 80 * MS  # not 60: the other call takes 60, and 20 of own work follow
    assert whatif.project(built, "other", "", 0.5).after_ns["p95"] == 100 * MS


def test_calls_in_a_row_move_up() -> None:
    built = tree.Tree.of(of_spans(chained([10, 10, 10])))
    assert whatif.project(built, "db", "call", 0.5).after_ns["p50"] == pytest.approx(19 * MS)


@pytest.mark.parametrize(("service", "faster"), [("db", 0.0), ("db", 1.5), ("nobody", 0.3)])
def test_what_cannot_be_asked(service: str, faster: float) -> None:
    built = tree.Tree.of(of_spans(chained([10])))
    with pytest.raises(BadInputError):
        whatif.project(built, service, "", faster)
