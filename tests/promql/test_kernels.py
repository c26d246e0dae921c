"""Kernels against plain Python over the same windows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.promql import arrange, gather, kernels
from windvane.promql.value import STALE
from windvane.store.blocks import Block

Point = tuple[int, float]
finite = st.floats(-1e6, 1e6).map(lambda value: round(value, 3))
anything = finite | st.sampled_from([math.nan, math.inf, -math.inf, 0.0])
series = st.lists(st.tuples(st.integers(0, 100), anything), max_size=20, unique_by=lambda point: point[0]).map(sorted)
finite_series = st.lists(st.tuples(st.integers(0, 100), finite), max_size=20, unique_by=lambda point: point[0]).map(
    sorted
)
ends = st.lists(st.integers(-20, 140), min_size=1, max_size=5).map(sorted)
span = st.integers(1, 80)


def flat(many: Sequence[Sequence[Point]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    offsets = np.cumsum([0, *map(len, many)])
    points = [point for one in many for point in one]
    return offsets, np.array([t for t, _ in points], np.int64), np.array([v for _, v in points], np.float64)


def same(left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right or math.isclose(left, right, rel_tol=1e-9, abs_tol=1e-9)


def against(
    result: tuple[np.ndarray, np.ndarray],
    many: Sequence[Sequence[Point]],
    windows: tuple[Sequence[int], int],
    wanted: Callable[[list[Point], int], float | None],
) -> None:
    values, present = result
    for row, one in enumerate(many):
        for step, end in enumerate(windows[0]):
            expected = wanted([p for p in one if end - windows[1] < p[0] <= end], end)
            assert present[row, step] == (expected is not None)
            if expected is not None:
                assert same(values[row, step], expected), (one, end)


def numbers(points: list[Point]) -> list[float]:
    return [value for _, value in points]


def _sum(points: list[Point], _: int) -> float | None:
    values = numbers(points)
    if not values:
        return None
    special = [value for value in values if not math.isfinite(value)]
    return sum(special) if special else math.fsum(values)


def _mean(points: list[Point], end: int) -> float | None:
    total = _sum(points, end)
    return None if total is None else total / len(points)


def _maximum(points: list[Point], _: int) -> float | None:
    known = [value for value in numbers(points) if not math.isnan(value)]
    return (max(known) if known else math.nan) if points else None


def _last(points: list[Point], _: int) -> float | None:
    return points[-1][1] if points else None


def _changes(points: list[Point], _: int) -> float | None:
    pairs = zip(numbers(points), numbers(points)[1:], strict=False)
    return float(sum(not same(a, b) and a != b for a, b in pairs)) if points else None


def _resets(points: list[Point], _: int) -> float | None:
    pairs = zip(numbers(points), numbers(points)[1:], strict=False)
    return float(sum(b < a for a, b in pairs)) if points else None


def _count(points: list[Point], _: int) -> float | None:
    return float(len(points)) or None


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        (kernels.SUM, _sum), (kernels.AVG, _mean), (kernels.LAST, _last),
        (kernels.CHANGES, _changes), (kernels.RESETS, _resets), (kernels.COUNT, _count),
    ],
)  # fmt: skip
@settings(max_examples=40, deadline=None)
@given(many=st.lists(series, max_size=3), ends=ends, span=span)
def test_over_time(
    operation: int,
    wanted: Callable[[list[Point], int], float | None],
    many: list[list[Point]],
    ends: list[int],
    span: int,
) -> None:
    result = kernels.over_time(*flat(many), np.array(ends, np.int64), span, operation)
    against(result, many, (ends, span), wanted)


@settings(max_examples=60, deadline=None)
@given(many=st.lists(series, max_size=3), ends=ends, span=span, most=st.booleans())
def test_extremes(many: list[list[Point]], ends: list[int], span: int, most: bool) -> None:
    result = kernels.extremes(*flat(many), np.array(ends, np.int64), span, most)
    if most:
        against(result, many, (ends, span), _maximum)
    else:
        against((-result[0], result[1]), [[(t, -v) for t, v in one] for one in many], (ends, span), _maximum)


def _increase(points: list[Point], end: int, span: int) -> float | None:
    """Prometheus's extrapolation, written from its description."""
    if len(points) < 2:
        return None
    values = numbers(points)
    grown = values[-1] - values[0] + sum(a for a, b in pairwise(values) if b < a)
    covered = (points[-1][0] - points[0][0]) / 1000
    between = covered / (len(points) - 1)
    before, after = (points[0][0] - (end - span)) / 1000, (end - points[-1][0]) / 1000
    before = before if before < 1.1 * between else between / 2
    if grown > 0 and values[0] >= 0:
        before = min(before, covered * values[0] / grown)
    after = after if after < 1.1 * between else between / 2
    return grown * (covered + before + after) / covered


@settings(max_examples=80, deadline=None)
@given(
    many=st.lists(finite_series, max_size=3),
    ends=ends,
    span=span,
)  # fmt: skip
def test_increase(many: list[list[Point]], ends: list[int], span: int) -> None:
    result = kernels.extrapolated(*flat(many), np.array(ends, np.int64), span, True, False)
    against(result, many, (ends, span), lambda points, end: _increase(points, end, span))


@settings(max_examples=60, deadline=None)
@given(values=st.lists(anything, min_size=1, max_size=12), q=st.floats(0, 1))
def test_quantile(values: list[float], q: float) -> None:
    ordered = sorted(values, key=lambda value: (not math.isnan(value), 0 if math.isnan(value) else value))
    rank = q * (len(ordered) - 1)
    low, high = math.floor(rank), min(math.floor(rank) + 1, len(ordered) - 1)
    wanted = ordered[low] * (1 - (rank - low)) + ordered[high] * (rank - low)
    assert same(kernels.quantile(q, np.array(values)), wanted)


@settings(max_examples=60, deadline=None)
@given(many=st.lists(series, max_size=4), data=st.data())
def test_samples_are_arranged_from_any_order(many: list[list[Point]], data: st.DataObject) -> None:
    rows = [(np.uint64(10 * i + 3), t, v) for i, one in enumerate(many) for t, v in one]
    rows += [(np.uint64(7), 5, 1.0)] if data.draw(st.booleans()) else []
    shuffled = data.draw(st.permutations(rows))
    shuffled += shuffled[:2]
    ids = np.array([10 * i + 3 for i in range(len(many))], np.uint64)
    column, times, values = (np.array([row[k] for row in shuffled], kind) for k, kind in enumerate(("u8", "i8", "f8")))
    got = arrange.arrange(ids, column, times, values)
    for mine, wanted in zip(got, flat(many), strict=False):
        np.testing.assert_array_equal(mine, wanted)


def test_staleness_markers_are_found_and_removed() -> None:
    offsets, times, values = flat([[(0, 1.0), (10, STALE), (20, math.nan)], [(5, STALE)]])
    _, present, at = kernels.latest(offsets, times, values, np.array([0, 10, 20]), 100)
    assert present.tolist() == [[True, False, True], [False, False, False]]
    assert at[0].tolist() == [0, 0, 20]
    kept = arrange.without_stale(offsets, times, values)
    assert [part.tolist() for part in kept[:2]] == [[0, 2, 2], [0, 20]]


@settings(max_examples=60, deadline=None)
@given(
    cells=st.lists(st.lists(finite | st.none(), min_size=3, max_size=3), min_size=1, max_size=8),
    groups=st.lists(st.integers(0, 2), min_size=8, max_size=8),
)
def test_aggregation(cells: list[list[float | None]], groups: list[int]) -> None:
    present = np.array([[cell is not None for cell in row] for row in cells])
    values = np.array([[cell or 0.0 for cell in row] for row in cells])
    group = np.array(groups[: len(cells)], np.int64)
    oracles: dict[int, Callable[[list[float]], float]] = {
        gather.SUM: math.fsum,
        gather.AVG: statistics.fmean,
        gather.MIN: min,
        gather.MAX: max,
        gather.COUNT: len,
        gather.STDVAR: statistics.pvariance,
    }
    for operation, oracle in oracles.items():
        out, some = gather.aggregate(values, present, group, 3, operation)
        for g in range(3):
            for step in range(3):
                column = [values[i, step] for i in range(len(cells)) if group[i] == g and present[i, step]]
                assert some[g, step] == bool(column)
                if column:
                    assert math.isclose(out[g, step], oracle(column), rel_tol=1e-9, abs_tol=1e-6)


@settings(max_examples=60, deadline=None)
@given(values=st.lists(anything, min_size=1, max_size=12), k=st.integers(1, 5))
def test_topk(values: list[float], k: int) -> None:
    column = np.array(values).reshape(-1, 1)
    chosen = gather.ranked(column, np.ones_like(column, bool), np.zeros(len(values), np.int64), 1, np.array([k]), True)
    got = sorted((v for v in column[chosen].tolist() if not math.isnan(v)), reverse=True)
    assert got == sorted((v for v in values if not math.isnan(v)), reverse=True)[:k]
    assert chosen.sum() == min(k, len(values))


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 30), anything | st.just(STALE)), max_size=40),
    cuts=st.lists(st.integers(0, 40), max_size=4),
    piece=st.integers(1, 9),
)
def test_parts_in_turn_are_arranged_as_any_order_is(
    rows: list[tuple[int, int, float]], cuts: list[int], piece: int
) -> None:
    """However many parts there are and however long: alone, woven into the first, or joined anew."""
    ids = np.array([3, 13, 33], np.uint64)
    bounds = sorted({0, len(rows), *(min(cut, len(rows)) for cut in cuts)})
    parts = [sorted(rows[low:high], key=lambda row: row[:2]) for low, high in pairwise(bounds)]
    stored = [row for part in parts for row in part]
    collector = arrange.Collector(ids, 1, 1 << 40)
    for low in range(0, len(stored), piece):
        collector.add(_block(stored[low : low + piece]))
    column, times, values = (np.array([row[k] for row in stored], kind) for k, kind in enumerate(("u8", "i8", "f8")))
    wanted = arrange.arrange(ids, 10 * column + 3, times, values)
    assert collector.rows == sum(row[0] in {0, 1, 3} for row in stored)
    *got, stale = collector.arranged()
    assert stale == wanted[3]
    for mine, other in zip(got, wanted, strict=False):
        np.testing.assert_array_equal(mine.view(np.int64), other.view(np.int64))


def _block(rows: list[tuple[int, int, float]]) -> Block:
    columns = [np.array([10 * row[0] + 3 for row in rows], "u8"), *(
        np.array([row[k] for row in rows], kind) for k, kind in ((1, "i8"), (2, "f8"))
    )]  # fmt: skip
    kind, size = np.dtype(np.int64), 8 * len(rows)
    raw = np.concatenate([column.view(np.uint8) for column in columns])
    return Block(raw, len(rows), {name: (kind, k * size) for k, name in enumerate(("Id", "T", "Value"))})
