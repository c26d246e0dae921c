"""Whether the counter behind a histogram was reset since the one before."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from windvane.promql.native.arithmetic import aligned, bounds_differ, with_bounds, with_schema, with_zero_threshold
from windvane.promql.native.histogram import NO_RESET, RESET, Histogram, Index, bound
from windvane.promql.native.totals import Table
from windvane.promql.value import Floats, Mask


def resets(histograms: Sequence[Histogram]) -> Mask:
    """Whether each histogram of a counter follows a reset; never the first."""
    found = np.zeros(len(histograms), np.bool_)
    explicit = any(one.hint in (RESET, NO_RESET) for one in histograms)
    table = None if explicit or len(histograms) < 2 or not _alike(histograms) else Table.of(histograms)
    if table is not None:
        found[1:] = (np.delete(np.diff(table.numbers, axis=0), 1, axis=1) < 0).any(axis=1)
    else:
        for place in range(1, len(histograms)):
            found[place] = was_reset(histograms[place], histograms[place - 1])
    return found


def _alike(histograms: Sequence[Histogram]) -> bool:
    """Whether all have the very same buckets, none inside the zero bucket; then counts tell all."""
    first = histograms[0]
    same = all(
        one.positive_index is first.positive_index and one.negative_index is first.negative_index for one in histograms
    )
    sides = np.concatenate([first.positive_index, first.negative_index])
    return same and (first.is_custom or not (bound(sides, first.schema) <= first.zero_threshold).any())


def was_reset(current: Histogram, previous: Histogram) -> bool:
    """Whether the counter behind two successive histograms was reset between them.

    So it is when any count fell or a populated bucket went away, or when the resolution rose or the
    zero bucket shrank, which a running counter never does. A hint of reset or no reset decides alone.
    """
    if current.hint in (RESET, NO_RESET):
        return current.hint == RESET
    if current.count < previous.count:
        return True
    if current.is_custom and (not previous.is_custom or bounds_differ(current, previous)):
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


def _fell_between_bounds(current: Histogram, previous: Histogram) -> bool:
    common = np.intersect1d(current.custom_bounds, previous.custom_bounds)
    return _fell(with_bounds(current, common), with_bounds(previous, common), True)


def _fell(current: Histogram, previous: Histogram, positive: bool) -> bool:
    """Whether a bucket of one side, outside the zero bucket, has less than before."""
    index, count = _side(current, positive)
    other, before = _side(previous, positive)
    if index is not other and not np.array_equal(index, other):
        count = aligned(index, count, other)
    fell = count < before
    if current.zero_threshold > 0 and fell.any():
        fell &= bound(other, current.schema) > current.zero_threshold
    return bool(fell.any())


def _side(histogram: Histogram, positive: bool) -> tuple[Index, Floats]:
    if positive:
        return histogram.positive_index, histogram.positive_count
    return histogram.negative_index, histogram.negative_count
