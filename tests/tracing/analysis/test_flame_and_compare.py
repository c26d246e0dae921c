"""Flame graphs and the comparison of two traces."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from made_traces import MS, chained, random_traces, span

from windvane.tracing.analysis import critical, tree
from windvane.tracing.analysis.compare import Comparison, compare
from windvane.tracing.analysis.flame import Flame, below, flame, large
from windvane.tracing.analysis.spans import ERROR, of_spans
from windvane.tracing.model import Span


def nodes_of(spans: list[Span]) -> dict[tuple[str, ...], tuple[int, ...]]:
    """Numbers of every node by its way from the top."""
    built = tree.Tree.of(of_spans(spans))
    graph = flame(built)
    found = {}
    for node in range(len(graph.parent)):
        way, at = [], node
        while at >= 0:
            way.append(":".join(built.spans.names[int(graph.name[at])]))
            at = int(graph.parent[at])
        numbers = (graph.spans, graph.traces, graph.errors, graph.total, graph.own, graph.path)
        found[tuple(reversed(way))] = tuple(int(column[node]) for column in numbers)
    return found


def test_spans_of_the_same_way_are_one_node() -> None:
    two = [*chained([10, 20], status="Error"), *(_in_trace(one, 2) for one in chained([30]))]
    assert nodes_of(two) == {
        ("web:root",): (2, 2, 0, 65 * MS, 5 * MS, 5 * MS),
        ("web:root", "db:call"): (3, 2, 2, 60 * MS, 60 * MS, 60 * MS),
    }


def _in_trace(one: Span, trace: int) -> Span:
    return span(
        int(one.span_id, 16), int(one.parent_id or "0", 16), 0, one.duration_ns / MS, one.name,
        service=one.service, trace=trace,
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32))
def test_totals_are_those_of_the_spans_and_order_does_not_matter(seed: int) -> None:
    spans = random_traces(seed)
    built = tree.Tree.of(of_spans(spans))
    graph, path = flame(built), critical.walk(built)
    inside = graph.node >= 0
    assert graph.spans.sum() == inside.sum()
    assert graph.errors.sum() == ((built.spans.columns.status == ERROR) & inside).sum()
    assert graph.total.sum() == built.length[inside].sum()
    assert graph.own.sum() == tree.self_time(built)[inside].sum()
    assert graph.path.sum() == path.own.sum() == tree.durations(built).sum()
    assert (graph.traces <= graph.spans).all()
    assert nodes_of(spans) == nodes_of(sorted(spans, key=lambda one: (one.name, one.span_id, one.duration_ns)))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.floats(0, 1))
def test_leaving_out_small_nodes_leaves_no_orphan(seed: int, least: float) -> None:
    graph: Flame = flame(tree.Tree.of(of_spans(random_traces(seed))))
    kept = large(graph, least)
    assert all(kept[parent] for node, parent in enumerate(graph.parent.tolist()) if kept[node] and parent >= 0)
    tops = graph.parent < 0
    assert below(graph, graph.own)[tops].sum() == graph.own.sum()


def changes(a: list[Span], b: list[Span]) -> dict[tuple[str, str], str]:
    found = comparison(a, b)
    return {place.name: place.change for place in found.places}


def comparison(a: list[Span], b: list[Span]) -> Comparison:
    return compare(tree.Tree.of(of_spans([*a, *(_moved(one) for one in b)])))


def _moved(one: Span) -> Span:
    return Span(**{**{name: getattr(one, name) for name in Span.__slots__}, "trace_id": f"{2:032x}"})


def test_what_became_of_each_place() -> None:
    a = [
        span(1, 0, 0, 100, "root"),
        span(2, 1, 1, 10, "same"),
        span(3, 1, 20, 10, "slower"),
        span(4, 1, 40, 10, "gone"),
        span(5, 1, 60, 10, "failing"),
        span(6, 1, 80, 5, "more"),
    ]
    b = [
        span(11, 0, 5, 100, "root"),
        span(12, 11, 6, 10.5, "same"),
        span(13, 11, 20, 30, "slower"),
        span(14, 13, 21, 10, "new"),
        span(15, 11, 60, 10, "failing", status="Error"),
        span(16, 11, 80, 2, "more"),
        span(17, 11, 84, 3, "more"),
    ]
    assert {
        name.operation if hasattr(name, "operation") else name[1]: what for name, what in changes(a, b).items()
    } == {
        "root": "same",
        "same": "same",
        "slower": "slower",
        "gone": "removed",
        "failing": "failed",
        "more": "more",
        "new": "added",
    }
    assert set(changes(a, a).values()) == {"same"}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(0, 2**32))
def test_comparing_the_other_way_round_is_the_mirror(seed: int, other: int) -> None:
    a, b = random_traces(seed, 1), random_traces(other, 1)
    mirror = {"added": "removed", "slower": "faster", "more": "fewer", "failed": "recovered", "same": "same"}
    mirror |= {after: before for before, after in mirror.items()}
    there, back = (
        {(place.name, place.depth, place.a, place.b): place.change for place in comparison(*pair).places}
        for pair in ((a, b), (b, a))
    )
    swapped = {(name, depth, b_, a_): mirror[what] for (name, depth, a_, b_), what in there.items()}
    assert swapped == back
