"""Sums and differences of histograms, and whether a counter was reset between two.

Before two histograms meet, both are brought to one layout: the lower of two resolutions, a zero
bucket that holds both and cuts no populated bucket, and with custom buckets the bounds they have in
common. Sums of many are compensated (`Total`), as Prometheus does it. Rules:
https://prometheus.io/docs/specs/native_histograms/#promql
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np

from windvane.promql.native.histogram import (
    GAUGE,
    NO_RESET,
    RESET,
    UNKNOWN,
    Histogram,
    Index,
    bound,
)
from windvane.promql.value import Floats


class MixedSchemasError(Exception):
    """A histogram with custom buckets met one with standard buckets; callers annotate, users never see this."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A sum or difference, and what had to be noted."""

    value: Histogram
    hints_collide: bool
    bounds_reconciled: bool


def add(left: Histogram, right: Histogram) -> Joined:
    """left + right."""
    return _joined(left, right, 1.0)


def subtract(left: Histogram, right: Histogram) -> Joined:
    """left - right; counts may become negative."""
    return _joined(left, right, -1.0)


def _joined(left: Histogram, right: Histogram, sign: float) -> Joined:
    hint, collide = joined_hint(left.hint, right.hint)
    left, right, reconciled = reconciled_layout(left, right)
    positive = _merged(left.positive_index, left.positive_count, right.positive_index, right.positive_count, sign)
    negative = _merged(left.negative_index, left.negative_count, right.negative_index, right.negative_count, sign)
    value = Histogram(
        left.schema,
        hint,
        left.count + sign * right.count,
        left.sum + sign * right.sum,
        left.zero_threshold,
        left.zero_count + sign * right.zero_count,
        *positive,
        *negative,
        left.custom_bounds,
    )
    if reconciled:
        value = value.compacted()
    return Joined(value, collide, reconciled)


def joined_hint(left: int, right: int) -> tuple[int, bool]:
    """The hint of a sum, and whether one side says reset and the other no reset."""
    if left == right:
        return left, False
    if GAUGE in (left, right):
        return GAUGE, False
    return UNKNOWN, {left, right} == {RESET, NO_RESET}


def _merged(index: Index, count: Floats, other: Index, add_: Floats, sign: float) -> tuple[Index, Floats]:
    """Counts of the union of two bucket sets."""
    if index is other or np.array_equal(index, other):
        return index, count + sign * add_
    if not len(other):
        return index, count
    union = np.union1d(index, other)
    total = np.zeros(len(union))
    total[np.searchsorted(union, index)] = count
    total[np.searchsorted(union, other)] += sign * add_
    return union, total


# One layout for two


def reconciled_layout(left: Histogram, right: Histogram) -> tuple[Histogram, Histogram, bool]:
    """Both with equal schema, zero threshold and bounds; and whether custom bounds had to be cut down.

    `MixedSchemasError` when only one has custom buckets.
    """
    if left.is_custom != right.is_custom:
        raise MixedSchemasError
    if left.is_custom:
        if left.custom_bounds is right.custom_bounds or np.array_equal(left.custom_bounds, right.custom_bounds):
            return left, right, False
        common = np.intersect1d(left.custom_bounds, right.custom_bounds)
        return with_bounds(left, common), with_bounds(right, common), True
    while left.zero_threshold != right.zero_threshold:
        if left.zero_threshold > right.zero_threshold:
            right = with_zero_threshold(right, left.zero_threshold)
        else:
            left = with_zero_threshold(left, right.zero_threshold)
    schema = min(left.schema, right.schema)
    return with_schema(left, schema), with_schema(right, schema), False


def with_schema(histogram: Histogram, schema: int) -> Histogram:
    """At a lower resolution: 2^(difference) neighbouring buckets become one."""
    if schema == histogram.schema:
        return histogram
    shift = histogram.schema - schema
    positive = _coarser(histogram.positive_index, histogram.positive_count, shift)
    negative = _coarser(histogram.negative_index, histogram.negative_count, shift)
    return replace(
        histogram,
        schema=schema,
        positive_index=positive[0],
        positive_count=positive[1],
        negative_index=negative[0],
        negative_count=negative[1],
    )


def _coarser(index: Index, count: Floats, shift: int) -> tuple[Index, Floats]:
    if not len(index):
        return index, count
    target = ((index - 1) >> shift) + 1
    starts = np.flatnonzero(np.diff(target, prepend=target[0] - 1))
    return target[starts].astype(np.int32), np.add.reduceat(count, starts)


def with_zero_threshold(histogram: Histogram, wanted: float) -> Histogram:
    """With a zero bucket of at least `wanted`, or so much more that it cuts no populated bucket.

    Buckets inside the zero bucket are counted there.
    """
    threshold = _uncut(histogram, wanted)
    zero_count = [histogram.zero_count]
    kept = []
    for index, count in (
        (histogram.positive_index, histogram.positive_count),
        (histogram.negative_index, histogram.negative_count),
    ):
        inside = bound(index - 1, histogram.schema) < threshold
        zero_count.extend(count[inside].tolist())
        kept.append((index[~inside], count[~inside]))
    return replace(
        histogram,
        zero_threshold=threshold,
        zero_count=math.fsum(zero_count),
        positive_index=kept[0][0],
        positive_count=kept[0][1],
        negative_index=kept[1][0],
        negative_count=kept[1][1],
    )


def _uncut(histogram: Histogram, threshold: float) -> float:
    """The least threshold from `threshold` up that lies inside no populated bucket of either side."""
    index = np.concatenate([histogram.positive_index, histogram.negative_index])
    count = np.concatenate([histogram.positive_count, histogram.negative_count])
    index = index[count != 0]
    lower, upper = bound(index - 1, histogram.schema), bound(index, histogram.schema)
    cut = (lower < threshold) & (threshold < upper)
    return float(upper[cut].max()) if cut.any() else threshold


def with_bounds(histogram: Histogram, bounds: Floats) -> Histogram:
    """With fewer custom bounds, all of them among its own: buckets between two are one."""
    uppers = np.append(histogram.custom_bounds, np.inf)[histogram.positive_index]
    target = np.searchsorted(bounds, uppers)
    counts: Floats = np.zeros(len(bounds) + 1)
    np.add.at(counts, target, histogram.positive_count)
    index = np.flatnonzero(counts).astype(np.int32)
    return replace(histogram, positive_index=index, positive_count=counts[index], custom_bounds=bounds)


# Many


class Total:
    """A compensated sum of histograms (Neumaier's variant of Kahan's, for every number by itself)."""

    def __init__(self, first: Histogram) -> None:
        self.value = first
        self._rest = _nothing(first)
        self.bounds_reconciled = False

    def copy(self) -> Total:
        """The same sum so far."""
        other = Total(self.value)
        other._rest, other.bounds_reconciled = self._rest, self.bounds_reconciled
        return other

    def add(self, more: Histogram) -> None:
        """Add one; `MixedSchemasError` leaves the sum as it was."""
        hint, _ = joined_hint(self.value.hint, more.hint)
        value, more_, reconciled = reconciled_layout(self.value, more)
        rest = self._rest
        if value is not self.value:
            rest = _followed(rest, value)
        self.bounds_reconciled |= reconciled
        numbers = _kahan(_numbers(more_), _numbers(value), _numbers(rest))
        positive = _kahan_merged(
            value.positive_index, value.positive_count, rest.positive_count, more_.positive_index, more_.positive_count
        )
        negative = _kahan_merged(
            value.negative_index, value.negative_count, rest.negative_count, more_.negative_index, more_.negative_count
        )
        self.value, self._rest = (
            replace(
                value,
                hint=hint,
                count=float(numbers[part, 0]),
                sum=float(numbers[part, 1]),
                zero_count=float(numbers[part, 2]),
                positive_index=positive[0],
                positive_count=positive[1][part],
                negative_index=negative[0],
                negative_count=negative[1][part],
            )
            for part in range(2)
        )

    def scale(self, factor: float) -> None:
        """Multiply what was summed."""
        self.value, self._rest = self.value.scaled(factor), self._rest.scaled(factor)

    def divide(self, divisor: float) -> None:
        """Divide what was summed."""
        self.value, self._rest = self.value.divided(divisor), self._rest.divided(divisor)

    def result(self) -> Histogram:
        """The sum with what was lost on the way."""
        return add(self.value, self._rest.with_hint(self.value.hint)).value


def _nothing(layout: Histogram) -> Histogram:
    """A histogram of the same layout that counts nothing."""
    return replace(
        layout,
        hint=UNKNOWN,
        count=0.0,
        sum=0.0,
        zero_count=0.0,
        positive_count=np.zeros(len(layout.positive_count)),
        negative_count=np.zeros(len(layout.negative_count)),
    )


def _followed(rest: Histogram, value: Histogram) -> Histogram:
    """The compensation in the layout its sum was brought to."""
    if rest.is_custom:
        moved = with_bounds(rest, value.custom_bounds)
    else:
        moved = with_schema(with_zero_threshold(rest, value.zero_threshold), value.schema)
    return replace(
        moved,
        positive_index=value.positive_index,
        positive_count=_aligned(moved.positive_index, moved.positive_count, value.positive_index),
        negative_index=value.negative_index,
        negative_count=_aligned(moved.negative_index, moved.negative_count, value.negative_index),
    )


def _aligned(index: Index, count: Floats, wanted: Index) -> Floats:
    """The counts of the buckets `wanted`."""
    aligned = np.zeros(len(wanted))
    known = np.isin(index, wanted)
    aligned[np.searchsorted(wanted, index[known])] = count[known]
    return aligned


def _side(histogram: Histogram, positive: bool) -> tuple[Index, Floats]:
    if positive:
        return histogram.positive_index, histogram.positive_count
    return histogram.negative_index, histogram.negative_count


def _numbers(histogram: Histogram) -> Floats:
    return np.array([histogram.count, histogram.sum, histogram.zero_count])


def _kahan(more: Floats, total: Floats, rest: Floats) -> Floats:
    """Compensated total and its new rest, as two rows."""
    grown = total + more
    lost = np.where(np.abs(total) >= np.abs(more), (total - grown) + more, (more - grown) + total)
    return np.stack([grown, np.where(np.isinf(grown), 0.0, rest + lost)])


def _kahan_merged(index: Index, count: Floats, rest: Floats, other: Index, more: Floats) -> tuple[Index, Floats]:
    if index is not other and not np.array_equal(index, other):
        union = np.union1d(index, other)
        place, others = np.searchsorted(union, index), np.searchsorted(union, other)
        wide = np.zeros((3, len(union)))
        wide[0, place], wide[1, place], wide[2, others] = count, rest, more
        index, count, rest, more = union, *wide
    return index, _kahan(more, count, rest)


def average(histograms: Iterable[Histogram]) -> tuple[Histogram, bool]:
    """The mean by compensated sum, incrementally from where the sum would overflow; and whether bounds differed."""
    values = iter(histograms)
    total, count, incremental = Total(next(values)), 1, False
    for histogram in values:
        count += 1
        if not incremental:
            grown = total.copy()
            grown.add(histogram)
            if grown.value.is_finite():
                total = grown
                continue
            incremental = True
            total.divide(count - 1)
        total.scale((count - 1) / count)
        total.add(histogram.divided(count))
    if not incremental:
        total.divide(count)
    return total.result(), total.bounds_reconciled


# Resets


def was_reset(current: Histogram, previous: Histogram) -> bool:
    """Whether the counter behind two successive histograms was reset between them.

    So it is when any count fell or a populated bucket went away, or when the resolution rose or the
    zero bucket shrank, which a running counter never does. A hint of reset or no reset decides alone.
    """
    if current.hint in (RESET, NO_RESET):
        return current.hint == RESET
    if current.count < previous.count:
        return True
    if current.is_custom and (not previous.is_custom or _bounds_differ(current, previous)):
        return not previous.is_custom or _fell_between_bounds(current, previous)
    if current.schema > previous.schema:
        return True
    if current.zero_threshold != previous.zero_threshold:
        if current.zero_threshold > previous.zero_threshold:
            previous = with_zero_threshold(previous, current.zero_threshold)
        if previous.zero_threshold != current.zero_threshold:
            return True
    if not previous.is_custom:
        previous = with_schema(previous, current.schema)
    return current.zero_count < previous.zero_count or any(_fell(current, previous, side) for side in (True, False))


def _bounds_differ(current: Histogram, previous: Histogram) -> bool:
    return not np.array_equal(current.custom_bounds, previous.custom_bounds)


def _fell_between_bounds(current: Histogram, previous: Histogram) -> bool:
    common = np.intersect1d(current.custom_bounds, previous.custom_bounds)
    return _fell(with_bounds(current, common), with_bounds(previous, common), True)


def _fell(current: Histogram, previous: Histogram, positive: bool) -> bool:
    """Whether a bucket of one side, outside the zero bucket, has less than before."""
    index, count = _side(current, positive)
    other, before = _side(previous, positive)
    if index is not other and not np.array_equal(index, other):
        count = _aligned(index, count, other)
    fell = count < before
    if current.zero_threshold > 0 and fell.any():
        fell &= bound(other, current.schema) > current.zero_threshold
    return bool(fell.any())
