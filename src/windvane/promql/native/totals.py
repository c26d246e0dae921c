"""Sums and means of many histograms, compensated (Neumaier's variant of Kahan's) as Prometheus has them.

Histograms of one layout are summed as rows of a table; others one after the other, each brought to
the layout of the sum so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from windvane.promql.native.arithmetic import (
    add,
    aligned,
    bounds_differ,
    joined_hint,
    reconciled_layout,
    with_bounds,
    with_schema,
    with_zero_threshold,
)
from windvane.promql.native.histogram import UNKNOWN, Histogram, Index
from windvane.promql.value import Floats


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
        positive_count=aligned(moved.positive_index, moved.positive_count, value.positive_index),
        negative_index=value.negative_index,
        negative_count=aligned(moved.negative_index, moved.negative_count, value.negative_index),
    )


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


def total(histograms: Sequence[Histogram]) -> tuple[Histogram, bool]:
    """The compensated sum, and whether custom bounds had to be reconciled; `MixedSchemasError`."""
    table = Table.of(histograms)
    if table is not None:
        value, rest = table.summed()
        if np.isfinite(value).all():
            return table.histogram(value + rest, histograms), False
    running = Total(histograms[0])
    for histogram in histograms[1:]:
        running.add(histogram)
    return running.result(), running.bounds_reconciled


def average(histograms: Sequence[Histogram]) -> tuple[Histogram, bool]:
    """The mean by compensated sum, incrementally from where the sum would overflow; and whether bounds differed."""
    table = Table.of(histograms)
    if table is not None:
        value, rest = table.summed()
        if np.isfinite(value).all():
            count = len(histograms)
            return table.histogram(value / count + rest / count, histograms), False
    return _average(histograms)


def _average(histograms: Sequence[Histogram]) -> tuple[Histogram, bool]:
    running, incremental = Total(histograms[0]), False
    for count, histogram in enumerate(histograms[1:], 2):
        if not incremental:
            grown = running.copy()
            grown.add(histogram)
            if grown.value.is_finite():
                running = grown
                continue
            incremental = True
            running.divide(count - 1)
        running.scale((count - 1) / count)
        running.add(histogram.divided(count))
    if not incremental:
        running.divide(len(histograms))
    return running.result(), running.bounds_reconciled


@dataclass(frozen=True, slots=True)
class Table:
    """Histograms of one resolution, zero bucket and bounds, a row each: count, sum, zero count, all their buckets."""

    numbers: Floats
    positive: Index
    negative: Index

    @classmethod
    def of(cls, histograms: Sequence[Histogram]) -> Table | None:
        """None where layouts have to be reconciled first."""
        first = histograms[0]
        for one in histograms:
            if one.schema != first.schema or one.zero_threshold != first.zero_threshold:
                return None
            if one.custom_bounds is not first.custom_bounds and one.is_custom and bounds_differ(one, first):
                return None
        positive = _spread([one.positive_index for one in histograms], [one.positive_count for one in histograms])
        negative = _spread([one.negative_index for one in histograms], [one.negative_count for one in histograms])
        own = np.array([(one.count, one.sum, one.zero_count) for one in histograms])
        return cls(np.concatenate([own, positive[1], negative[1]], axis=1), positive[0], negative[0])

    def summed(self) -> tuple[Floats, Floats]:
        """The sum of all rows, and what rounding lost of it (each step's error is exact: Knuth's two-sum)."""
        value, rest = self.numbers[0].copy(), np.zeros(self.numbers.shape[1])
        for row in self.numbers[1:]:
            grown = value + row
            share = grown - value
            rest += (value - (grown - share)) + (row - share)
            value = grown
        return value, rest

    def histogram(self, numbers: Floats, histograms: Sequence[Histogram]) -> Histogram:
        """A row as a histogram, its hint that of a sum of `histograms`."""
        hint = histograms[0].hint
        for one in histograms[1:]:
            hint, _ = joined_hint(hint, one.hint)
        end = 3 + len(self.positive)
        return replace(
            histograms[0],
            hint=hint,
            count=float(numbers[0]),
            sum=float(numbers[1]),
            zero_count=float(numbers[2]),
            positive_index=self.positive,
            positive_count=numbers[3:end],
            negative_index=self.negative,
            negative_count=numbers[end:],
        )


def _spread(indices: list[Index], counts: list[Floats]) -> tuple[Index, Floats]:
    """One side of many histograms over the union of their buckets, a row each."""
    first = indices[0]
    if all(index is first for index in indices):
        return first, np.stack(counts)
    every = np.concatenate(indices)
    union = np.unique(every)
    table = np.zeros((len(indices), len(union)))
    rows = np.repeat(np.arange(len(indices)), [len(index) for index in indices])
    table[rows, np.searchsorted(union, every)] = np.concatenate(counts)
    return union, table
