"""Sums and differences of two histograms.

Before two histograms meet, both are brought to one layout: the lower of two resolutions, a zero
bucket that holds both and cuts no populated bucket, and with custom buckets the bounds they have in
common. Rules:
https://prometheus.io/docs/specs/native_histograms/#promql
"""

from __future__ import annotations

import math
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


def aligned(index: Index, count: Floats, wanted: Index) -> Floats:
    """The counts of the buckets `wanted`."""
    aligned = np.zeros(len(wanted))
    known = np.isin(index, wanted)
    aligned[np.searchsorted(wanted, index[known])] = count[known]
    return aligned


def bounds_differ(current: Histogram, previous: Histogram) -> bool:
    return not np.array_equal(current.custom_bounds, previous.custom_bounds)
