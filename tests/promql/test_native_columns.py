"""Kernels over columns of native histograms against the same done histogram by histogram."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.promql.labels import Labels, Pool
from windvane.promql.native import arithmetic, bulk, distribution, estimate, kernels, resets, totals, window
from windvane.promql.native.columns import Grid, Histograms, below_each_other
from windvane.promql.native.histogram import CUSTOM, GAUGE, UNKNOWN, Histogram
from windvane.promql.native.reports import Reports
from windvane.promql.native.series import extrapolated, instant_change
from windvane.promql.value import NativeSamples, Notes, Samples

MODEST = settings(max_examples=60, deadline=None)
BOUNDS = np.array([-1.0, 0.5, 2.0, 7.0])


def side(draw: st.DrawFn, least: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    some = sorted(draw(st.dictionaries(st.integers(least, most), st.integers(0, 50), max_size=8)).items())
    return np.array([key for key, _ in some], np.int32), np.array([value for _, value in some], np.float64)


@st.composite
def histograms(
    draw: st.DrawFn, schemas: Sequence[int] = (-2, 0, 3, 8, CUSTOM), widths: Sequence[float] = (0, 0.001, 0.6)
) -> Histogram:
    schema = draw(st.sampled_from(schemas))
    hint = draw(st.sampled_from([UNKNOWN, UNKNOWN, UNKNOWN, GAUGE]))
    total = draw(st.sampled_from([0.0, 3.25, -7.5, math.nan]))
    if schema == CUSTOM:
        index, count = side(draw, 0, len(BOUNDS))
        return Histogram(CUSTOM, hint, float(count.sum()), total, 0.0, 0.0, index, count, custom_bounds=BOUNDS)
    positive, negative, zero = side(draw, -12, 12), side(draw, -12, 12), float(draw(st.integers(0, 4)))
    count = float(positive[1].sum() + negative[1].sum() + zero)
    return Histogram(schema, hint, count, total, draw(st.sampled_from(widths)), zero, *positive, *negative)


def text(one: Histogram | None) -> str:
    """Everything about a histogram but its empty buckets."""
    if one is None:
        return "none"
    one = one.compacted()
    sides = (one.positive_index, one.positive_count, one.negative_index, one.negative_count, one.custom_bounds)
    numbers = (one.schema, one.hint, one.count, one.sum, one.zero_threshold, one.zero_count)
    return str([*map(float, numbers), *(array.tolist() for array in sides)])


def same(left: float, right: float) -> bool:
    return left == right or (math.isnan(left) and math.isnan(right))


@MODEST
@given(st.lists(st.none() | histograms(), max_size=8), st.lists(st.none() | histograms(), max_size=8))
def test_objects_come_out_of_columns_as_they_went_in(
    some: list[Histogram | None], more: list[Histogram | None]
) -> None:
    grid = below_each_other([Grid.of(some), Grid.of(more)])
    assert [text(one) for one in grid] == [text(one) for one in [*some, *more]]
    kept = Grid(grid.index[::-1], grid.histograms)
    chosen = kept.chosen().compacted()
    assert [text(chosen.one(n)) for n in range(len(chosen))] == [text(one) for one in kept if one is not None]


@MODEST
@given(
    st.lists(histograms(), min_size=1, max_size=12), st.sampled_from([-0.1, 0, 0.2, 0.5, 0.77, 0.99, 1, 1.5, math.nan])
)
def test_quantiles_of_many(some: list[Histogram], q: float) -> None:
    found, doubts = distribution.quantiles(Histograms.of(some), np.arange(len(some)), np.full(len(some), float(q)))
    wanted = [estimate.quantile(float(q), one) for one in some]
    assert all(same(mine, value) for mine, (value, _) in zip(found.tolist(), wanted, strict=True)), (found, wanted)
    assert doubts == {doubt for _, doubt in wanted if doubt is not None}


BOUND = st.sampled_from([-math.inf, -5.0, -0.0005, 0.0, 0.3, 0.7, 2.0, math.inf, math.nan])


@MODEST
@given(st.lists(histograms(), min_size=1, max_size=12), BOUND, BOUND)
def test_fractions_and_variances_of_many(some: list[Histogram], low: float, high: float) -> None:
    own, every = Histograms.of(some), np.arange(len(some))
    lows, highs = (np.full(len(some), value) for value in (low, high))
    found, doubts = distribution.fractions_between(own, every, lows, highs)
    wanted = [estimate.fraction(low, high, one) for one in some]
    assert all(same(mine, value) for mine, (value, _) in zip(found.tolist(), wanted, strict=True)), (found, wanted)
    assert doubts == {doubt for _, doubt in wanted if doubt is not None}
    variances = [estimate.variance(one) for one in some]
    assert distribution.variances(own, every) == pytest.approx(variances, rel=1e-13, nan_ok=True)


@MODEST
@given(st.lists(histograms(), min_size=1, max_size=8), st.sampled_from([-1.0, 0.5, 0.0, 3.0]))
def test_products_and_quotients_of_many(some: list[Histogram], number: float) -> None:
    own = Histograms.of(some)
    scaled, divided = bulk.scaled(own, np.array(number)), bulk.divided(own, np.array(number))
    for place, one in enumerate(some):
        assert text(scaled.one(place)) == text(one.scaled(number))
        assert text(divided.one(place)) == text(one.divided(number))
        assert text(bulk.without_empty(scaled).one(place)) == text(scaled.one(place))


@MODEST
@given(st.lists(histograms([0], [0.001]), min_size=1, max_size=9), st.booleans())
def test_sums_and_means_of_one_layout(some: list[Histogram], mean: bool) -> None:
    own, bounds = Histograms.of(some), np.array([0, len(some)])
    status, hints, _, *rows = kernels.summed(own.columns, np.arange(len(some)), bounds, np.array([0, 1]), mean, False)
    wanted, _ = (totals.average if mean else totals.total)(some)
    if any(math.isnan(one.sum) for one in some):
        assert status.tolist() == [kernels.OTHERWISE]
        return
    found = bulk.histograms_of(own, hints, *rows).one(0)
    assert text(found) == text(wanted)
    assert found.positive_index.tolist() == wanted.positive_index.tolist()  # empty buckets stay


@st.composite
def counters(draw: st.DrawFn) -> list[Histogram]:
    """A counter that grows, at times begins anew, and at times in another layout."""
    current = draw(histograms([0], [0.001]))
    found = [current]
    for restart in draw(st.lists(st.sampled_from([False, False, False, True]), min_size=1, max_size=9)):
        more = draw(histograms([0, 1] if restart else [current.schema], [0.001, 0.5] if restart else [0.001]))
        current = more if restart else arithmetic.add(current, more).value
        found.append(current)
    return found


@MODEST
@given(st.lists(counters(), min_size=1, max_size=3), st.sampled_from(
    ["rate", "increase", "delta", "irate", "idelta", "sum_over_time", "avg_over_time"]))  # fmt: skip
def test_functions_of_windows(series: list[list[Histogram]], function: str) -> None:
    grid = Grid.of([one for some in series for one in some])
    offsets = np.concatenate([[0], np.cumsum([len(some) for some in series])])
    times = np.concatenate([1000 * np.arange(len(some)) for some in series])
    native = NativeSamples(offsets, times, grid)
    assert bulk.found_resets(native).tolist() == [flag for some in series for flag in resets.resets(some).tolist()]

    labels = Labels.of(Pool(), [{"__name__": "h", "row": str(row)} for row in range(len(series))])
    samples = Samples(labels, np.zeros(len(series) + 1, np.int64), np.zeros(0, np.int64), np.zeros(0), native=native)
    ends, span = np.arange(0, 12_000, 1700), 5000
    present = np.zeros((len(series), len(ends)), np.bool_)
    reports = Reports(Notes(), "")
    found = window.overlay(function, samples, (ends, span), (np.zeros(present.shape), present), reports)
    assert found is not None
    windows = window.Windows(samples, native, ends, span)
    for row in range(len(series)):
        one = windows.series(row)
        for step in range(len(ends)):
            low, high = int(one.low[step]), int(one.high[step])
            wanted = None
            if function.endswith("_over_time") and high > low:
                wanted = (totals.average if function == "avg_over_time" else totals.total)(one.histograms[low:high])[0]
            elif function in ("irate", "idelta") and high - low > 1:
                wanted = instant_change(one, high - 1, function == "irate", reports)
            elif function in ("rate", "increase", "delta") and high - low > 1:
                wanted = extrapolated(function, one, step, reports)
            assert text(found[row, step]) == text(wanted)
            assert present[row, step] == (wanted is not None)
