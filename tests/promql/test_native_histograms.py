"""Native histograms as values: laws that hold for any of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.promql.native import arithmetic, distribution, estimate
from windvane.promql.native.arithmetic import MixedSchemasError
from windvane.promql.native.columns import Histograms
from windvane.promql.native.histogram import CUSTOM, GAUGE, NO_RESET, RESET, UNKNOWN, Histogram, bound
from windvane.promql.native.read import decode
from windvane.promql.native.resets import was_reset
from windvane.promql.native.totals import Total
from windvane.promql.native.totals import total as total_of
from windvane.promql.value import STALE

MODEST = settings(max_examples=60, deadline=None)


@st.composite
def sides(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    index = sorted(draw(st.sets(st.integers(-30, 30), max_size=8)))
    counts = draw(st.lists(st.integers(0, 1000), min_size=len(index), max_size=len(index)))
    return np.array(index, np.int32), np.array(counts, np.float64)


SCHEMAS, THRESHOLDS = tuple(range(-2, 5)), (0.0, 2.0**-40, 2.0**-6, 0.25)


@st.composite
def histograms(
    draw: st.DrawFn, schemas: Sequence[int] = SCHEMAS, thresholds: Sequence[float] = THRESHOLDS
) -> Histogram:
    """With whole counts, so that sums are exact; no bucket lies inside the zero bucket."""
    schema = draw(st.sampled_from(schemas))
    threshold = draw(st.sampled_from(thresholds))
    positive, negative = (outside(side, schema, threshold) for side in (draw(sides()), draw(sides())))
    zero = float(draw(st.integers(0, 50)))
    count = zero + float(positive[1].sum() + negative[1].sum())
    total = float(draw(st.integers(-1000, 1000)))
    return Histogram(schema, UNKNOWN, count, total, threshold, zero, *positive, *negative)


def outside(side: tuple[np.ndarray, np.ndarray], schema: int, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    kept = bound(side[0] - 1, schema) >= threshold
    return side[0][kept], side[1][kept]


@st.composite
def custom(draw: st.DrawFn) -> Histogram:
    bounds = np.array(sorted(draw(st.sets(st.integers(-5, 20), min_size=1, max_size=6))), np.float64)
    counts = np.array(draw(st.lists(st.integers(0, 99), min_size=len(bounds) + 1, max_size=len(bounds) + 1)), float)
    index = np.arange(len(counts), dtype=np.int32)
    return Histogram(
        CUSTOM, count=counts.sum(), sum=3.0, positive_index=index, positive_count=counts, custom_bounds=bounds
    )


def in_buckets(histogram: Histogram) -> float:
    return histogram.zero_count + float(histogram.positive_count.sum() + histogram.negative_count.sum())


@MODEST
@given(histograms(), histograms())
def test_a_sum_counts_everything_of_both_and_does_not_care_for_their_order(left: Histogram, right: Histogram) -> None:
    total, other = arithmetic.add(left, right).value, arithmetic.add(right, left).value
    assert total.count == left.count + right.count == in_buckets(total)
    assert total.compacted().same_as(other.compacted())
    assert total.schema == min(left.schema, right.schema)
    assert total.zero_threshold >= max(left.zero_threshold, right.zero_threshold)


@MODEST
@given(histograms(), histograms())
def test_taking_away_what_was_added_leaves_the_rest(left: Histogram, right: Histogram) -> None:
    total = arithmetic.add(left, right).value
    rest = arithmetic.subtract(total, right).value
    expected, _, _ = arithmetic.reconciled_layout(left, total)
    assert rest.compacted().same_as(expected.compacted())


@MODEST
@given(st.lists(st.one_of(histograms()), min_size=1, max_size=6))
def test_a_running_total_is_the_sum_of_its_parts(parts: list[Histogram]) -> None:
    total = Total(parts[0])
    plain = parts[0]
    for part in parts[1:]:
        total.add(part)
        plain = arithmetic.add(plain, part).value
    assert total.result().compacted().same_as(plain.compacted())
    assert total_of(parts)[0].compacted().same_as(plain.compacted())


@st.composite
def addends(draw: st.DrawFn) -> list[Histogram]:
    """Three with counts as rates have them, of one schema or one zero bucket.

    Of unlike ones the order matters, as it does in Prometheus: how far a zero bucket has to grow, so as to cut
    no bucket, depends on the schema at that moment.
    """
    schema, threshold = draw(st.sampled_from(SCHEMAS)), draw(st.sampled_from(THRESHOLDS))
    one = draw(st.sampled_from([((schema,), THRESHOLDS), (SCHEMAS, (threshold,))]))
    return [draw(histograms(*one)).scaled(draw(st.floats(1e-3, 1e3))) for _ in range(3)]


@MODEST
@given(addends())
def test_how_a_sum_is_bracketed_does_not_matter(parts: list[Histogram]) -> None:
    one, two, three = parts
    left = arithmetic.add(arithmetic.add(one, two).value, three).value
    right = arithmetic.add(one, arithmetic.add(two, three).value).value
    alike(left, right)
    alike(total_of([one, two, three])[0], left)
    alike(total_of([three, one, two])[0], left)


def alike(left: Histogram, right: Histogram) -> None:
    """The same buckets and, to 1e-12 of the largest addend at most, the same numbers."""
    left, right = left.compacted(), right.compacted()
    assert (left.schema, left.zero_threshold) == (right.schema, right.zero_threshold)
    assert left.positive_index.tolist() == right.positive_index.tolist()
    assert left.negative_index.tolist() == right.negative_index.tolist()
    for name in ("count", "zero_count", "positive_count", "negative_count"):
        np.testing.assert_allclose(getattr(left, name), getattr(right, name), rtol=1e-12)
    assert left.sum == pytest.approx(right.sum, rel=1e-12, abs=1e-12 * 1e6)  # sums of both signs: up to 1e6 each


@MODEST
@given(custom(), custom())
def test_custom_buckets_meet_on_the_bounds_they_share(left: Histogram, right: Histogram) -> None:
    joined = arithmetic.add(left, right)
    assert joined.value.custom_bounds.tolist() == sorted(set(left.custom_bounds) & set(right.custom_bounds))
    assert joined.bounds_reconciled == (left.custom_bounds.tolist() != right.custom_bounds.tolist())
    assert in_buckets(joined.value) == joined.value.count


def test_standard_and_custom_buckets_do_not_mix() -> None:
    with pytest.raises(MixedSchemasError):
        arithmetic.add(Histogram(), Histogram(schema=CUSTOM))


@MODEST
@given(st.one_of(histograms(), custom()), st.lists(st.floats(0, 1), min_size=2, max_size=8))
def test_quantiles_never_fall_as_q_rises(histogram: Histogram, quantiles: list[float]) -> None:
    values = [estimate.quantile(q, histogram)[0] for q in sorted(quantiles)]
    if histogram.count == 0:
        assert all(map(math.isnan, values))
    else:
        assert all(low <= high + 1e-9 * max(1, abs(high)) for low, high in itertools.pairwise(values))


@MODEST
@given(st.one_of(histograms(), custom()), st.floats(-100, 100), st.floats(-100, 100), st.floats(-100, 100))
def test_fractions_of_neighbouring_ranges_add_up(histogram: Histogram, a: float, b: float, c: float) -> None:
    low, middle, high = sorted([a, b, c])
    whole, left, right = (
        estimate.fraction(*pair, histogram)[0] for pair in ((low, high), (low, middle), (middle, high))
    )
    if histogram.count == 0:
        assert math.isnan(whole)
    else:
        assert 0 <= whole <= 1
        if histogram.schema != CUSTOM or histogram.custom_bounds[0] > 0:
            assert whole == pytest.approx(left + right, abs=1e-9)


@MODEST
@given(st.one_of(histograms(), custom()), st.floats(), st.floats(), st.floats(1e-6, 1e6))
def test_a_fraction_lies_between_nothing_and_everything(
    histogram: Histogram, low: float, high: float, factor: float
) -> None:
    share = estimate.fraction(low, high, histogram.scaled(factor))[0]
    if histogram.count == 0 or math.isnan(low) or math.isnan(high):
        assert math.isnan(share)
    else:
        assert 0 <= share <= 1
        if (low, high) == (-math.inf, math.inf):
            assert share == 1


@MODEST
@given(st.lists(st.one_of(histograms(), custom()), min_size=1, max_size=5), st.lists(st.floats(0, 1), min_size=2))
def test_quantiles_of_many_never_fall_as_q_rises(some: list[Histogram], quantiles: list[float]) -> None:
    own = Histograms.of(some)
    for number, histogram in enumerate(some):
        q = np.array(sorted(quantiles))
        values, _ = distribution.quantiles(own, np.full(len(q), number), q)
        if histogram.count == 0:
            assert np.isnan(values).all()
        else:
            assert (np.diff(values) >= -1e-9 * np.maximum(1, np.abs(values[1:]))).all()


@MODEST
@given(histograms(), st.floats(-50, 50))
def test_what_is_below_and_above_a_value_is_everything(histogram: Histogram, at: float) -> None:
    below, above = (estimate.trimmed(histogram, at, below=side) for side in (True, False))
    assert below.count + above.count == pytest.approx(histogram.count)


@MODEST
@given(histograms(), histograms())
def test_a_counter_that_only_grew_was_not_reset(first: Histogram, more: Histogram) -> None:
    grown = arithmetic.add(first, more).value
    if more.zero_threshold <= first.zero_threshold:
        assert not was_reset(grown, first)
    if more.count:
        assert was_reset(first, grown)


@pytest.mark.parametrize(("hint", "reset"), [(RESET, True), (NO_RESET, False), (UNKNOWN, True), (GAUGE, True)])
def test_a_hint_decides_before_the_counts(hint: int, reset: bool) -> None:
    assert was_reset(Histogram(hint=hint, count=1), Histogram(count=2)) is reset


@pytest.mark.parametrize(
    ("left", "right", "joined", "collide"),
    [
        (RESET, NO_RESET, UNKNOWN, True),
        (NO_RESET, NO_RESET, NO_RESET, False),
        (UNKNOWN, RESET, UNKNOWN, False),
        (RESET, GAUGE, GAUGE, False),
    ],
)
def test_hints_of_sums(left: int, right: int, joined: int, collide: bool) -> None:
    assert arithmetic.joined_hint(left, right) == (joined, collide)


def test_dividing_by_zero_leaves_no_buckets() -> None:
    one = Histogram(count=2, sum=-1, positive_index=np.array([1], np.int32), positive_count=np.array([2.0]))
    nothing = one.divided(0.0)
    assert (nothing.count, nothing.sum, len(nothing.positive_index)) == (math.inf, -math.inf, 0)
    assert math.isnan(nothing.zero_count)


@pytest.mark.parametrize(
    ("schema", "index", "expected"),
    [(0, 1, 2.0), (0, -1, 0.5), (-1, 1, 4.0), (1, 1, 2**0.5), (0, 1024, 1.7976931348623157e308), (0, 1025, math.inf)],
)
def test_bounds(schema: int, index: int, expected: float) -> None:
    assert bound(np.array([index], np.int32), schema)[0] == pytest.approx(expected, rel=1e-15)


def record(number: int, time: int, total: float, buckets: list[tuple[int, float]]) -> list[float]:
    bits = np.array([number, time], np.int64).view(np.float64).tolist()
    index, counts = [float(i) for i, _ in buckets], [count for _, count in buckets]
    return [*bits, 0.0, GAUGE, 5.0, total, 0.25, 1.0, len(buckets), 0, 0, *index, *counts]


def test_a_stream_becomes_series_of_histograms() -> None:
    stream = [
        *record(3, 1000, 2.0, [(-1, 4.0)]),
        *record(3, 1000, 9.0, []),  # a second sample at the same time
        *record(3, 2000, STALE, []),
        *record(4, 1500, 1.0, []),  # not asked for
        *record(9, 1000, 7.0, [(-1, 1.0), (2, 3.0)]),
    ]
    samples = decode(np.array([3, 5, 9], np.uint64), np.array(stream))
    assert samples.offsets.tolist() == [0, 2, 2, 3]
    assert samples.times.tolist() == [1000, 2000, 1000]
    first, stale, last = samples.histograms.tolist()
    assert stale is None
    assert (first.sum, first.hint, first.zero_threshold, first.positive_index.tolist()) == (2.0, GAUGE, 0.25, [-1])
    assert (last.positive_index.tolist(), last.positive_count.tolist()) == ([-1, 2], [1.0, 3.0])
