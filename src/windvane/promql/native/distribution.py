"""Estimates (`estimate`) for many histograms at once: kernels find buckets, NumPy interpolates inside them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from windvane.promql.native import kernels
from windvane.promql.native.columns import Floats, Histograms, Mask
from windvane.promql.native.estimate import Doubt
from windvane.promql.native.histogram import CUSTOM, bound, custom_bound, fractions

Places = NDArray[np.int64]


def quantiles(own: Histograms, numbers: Places, q: Floats) -> tuple[Floats, set[Doubt]]:
    """`estimate.quantile` of histograms by number, each with its own q; and the doubts met."""
    c = own.columns
    count, total = c.population[numbers], c.sum[numbers]
    side, bucket, found = kernels.ranked(c, numbers, q)
    _, rank, counted, populated = found.T
    unknown, none = np.isnan(total), side == kernels.NO_BUCKET
    with np.errstate(all="ignore"):
        values = _inside(own, numbers, (side, bucket), found, unknown | (q < 0.5))
    doubts: set[Doubt] = set()
    values[none] = np.where(rank[none] == 0, np.nan, 0.0)
    lacking = unknown & np.where(none, rank > 0, (counted < rank) & ~_bounded_outside(own, numbers, side, bucket))
    values[lacking] = np.nan
    plain = (q >= 0) & (q <= 1) & (count != 0)
    if (lacking & plain).any():
        doubts.add(Doubt.NO_RESULT)
    inside = ~none & ~(counted < rank) & ~_bounded_outside(own, numbers, side, bucket)
    if (inside & unknown & plain & (populated < count)).any():
        doubts.add(Doubt.SKEWED)
    values[(count == 0) | np.isnan(q)] = np.nan
    outside = (q < 0) | (q > 1)
    values[outside] = np.copysign(np.inf, q[outside])
    return values, doubts


def _bounds_of(
    own: Histograms, numbers: Places, side: NDArray[np.int8], bucket: NDArray[np.int32]
) -> tuple[Floats, Floats]:
    """Lower and upper bounds of a bucket of each histogram."""
    c = own.columns
    threshold = c.threshold[numbers]
    lower, upper = -threshold, threshold.copy()
    schema, custom = c.schema[numbers], c.bounds[numbers]
    for one, bounds in {(int(a), int(b)) for a, b in zip(schema, custom, strict=True)}:
        which = (schema == one) & (custom == bounds) & (side != kernels.ZERO)
        index = bucket[which]
        if one == CUSTOM:
            low, high = (custom_bound(index - back, own.custom[bounds]) for back in (1, 0))
        else:
            low, high = bound(index - 1, one), bound(index, one)
        negative = side[which] == kernels.NEGATIVE
        low, high = np.where(negative, -high, low), np.where(negative, -low, high)
        if one != CUSTOM:
            high = np.where(negative, np.minimum(high, -threshold[which]), high)
            low = np.where(negative, low, np.maximum(low, threshold[which]))
        lower[which], upper[which] = low, high
    return lower, upper


def _bounded_outside(own: Histograms, numbers: Places, side: NDArray[np.int8], bucket: NDArray[np.int32]) -> Mask:
    """Whether a custom bucket without an end decides the value alone."""
    custom = own.columns.schema[numbers] == CUSTOM
    if not custom.any():
        return np.asarray(custom)
    lower, upper = _bounds_of(own, numbers, side, bucket)
    return np.asarray(custom & np.where(lower == -np.inf, upper <= 0, upper == np.inf))


def _inside(
    own: Histograms, numbers: Places, where: tuple[NDArray[np.int8], NDArray[np.int32]], found: Floats, upwards: Mask
) -> Floats:
    """The values of ranks, each from its bucket."""
    c = own.columns
    size, rank, counted, _ = found.T
    lower, upper = _bounds_of(own, numbers, *where)
    custom = c.schema[numbers] == CUSTOM
    decided = np.where(lower == -np.inf, upper, lower)
    outside = custom & np.where(lower == -np.inf, upper <= 0, upper == np.inf)
    lower = np.where(custom & (lower == -np.inf), 0.0, lower)
    cut = ~custom & (lower < 0) & (upper > 0)
    positive, negative = c.positive[numbers] > 0, c.negative[numbers] > 0
    lower = np.where(cut & positive & ~negative, 0.0, lower)
    upper = np.where(cut & negative & ~positive, 0.0, upper)
    part = np.where(upwards, rank - (counted - size), counted - rank) / size
    linear = custom | ((lower <= 0) & (upper >= 0))
    low, high = np.log2(np.abs(lower)), np.log2(np.abs(upper))
    above, under = np.exp2(low + (high - low) * part), -np.exp2(high + (low - high) * (1 - part))
    values = np.where(linear, lower + (upper - lower) * part, np.where(lower > 0, above, under))
    values = np.where(counted < rank, upper, values)
    return np.where(outside, decided, values)


def fractions_between(own: Histograms, numbers: Places, low: Floats, high: Floats) -> tuple[Floats, set[Doubt]]:
    """`estimate.fraction` of histograms by number, each with its own bounds; and the doubts met."""
    c = own.columns
    count, unknown = c.population[numbers], np.isnan(c.sum[numbers])
    with np.errstate(all="ignore"):
        (under, inside), (until, _) = _below(own, numbers, low), _below(own, numbers, high)
        everything = np.where(unknown, inside, count)
        values = (np.minimum(until, everything) - np.minimum(under, everything)) / count
    plain = (count != 0) & ~np.isnan(low) & ~np.isnan(high)
    doubts = {Doubt.EXCLUDED} if (plain & (low < high) & unknown & (everything < count)).any() else set()
    values[low >= high] = 0.0
    values[~plain] = np.nan
    return values, doubts


def _below(own: Histograms, numbers: Places, at: Floats) -> tuple[Floats, Floats]:
    """How many observations of each are below a value, and how many are in buckets; infinite where all are below."""
    found, kind = kernels.below(own.columns, numbers, at, *_custom_bounds(own), fractions(8))
    rank, lower, upper, size, inside = found.T
    low, high, place = np.log2(np.abs(lower)), np.log2(np.abs(upper)), np.log2(np.abs(at))
    logarithmic = np.where(at > 0, (place - low) / (high - low), 1 - (place - high) / (low - high))
    share = np.where(kind == 1, (at - lower) / (upper - lower), logarithmic)
    return np.where(kind == 0, rank, rank + size * share), inside


def variances(own: Histograms, numbers: Places) -> Floats:
    """`estimate.variance` of histograms by number."""
    return kernels.deviations(own.columns, numbers, *_custom_bounds(own), fractions(8))


def _custom_bounds(own: Histograms) -> tuple[Floats, Places]:
    """All custom bounds, and where those of each number begin."""
    starts = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(one) for one in own.custom], dtype=np.int64)])
    return np.concatenate([np.zeros(0), *own.custom]), starts
