"""What the buckets of a histogram say about the distribution of its observations.

Inside a standard bucket observations are taken to be spread so that they would fill the buckets of
any higher resolution alike (evenly on a logarithmic scale); inside the zero bucket and custom
buckets evenly. Rules: https://prometheus.io/docs/specs/native_histograms/#histogram_quantile
"""

from __future__ import annotations

import math
from dataclasses import replace
from enum import Enum

import numpy as np

from windvane.promql.native.histogram import Buckets, Histogram
from windvane.promql.value import Floats


class Doubt(Enum):
    """What NaN observations, which are in no bucket, do to an estimate."""

    NO_RESULT = "input to histogram_quantile has NaN observations, result is NaN"
    SKEWED = "input to histogram_quantile has NaN observations, result is skewed higher"
    EXCLUDED = "input to histogram_fraction has NaN observations, which are excluded from all fractions"


def quantile(q: float, histogram: Histogram) -> tuple[float, Doubt | None]:
    """The q-quantile: NaN without observations, infinite for q outside 0 to 1."""
    if q < 0 or q > 1:
        return math.copysign(math.inf, q), None
    if histogram.count == 0 or math.isnan(q):
        return math.nan, None
    buckets = histogram.buckets().populated()
    upwards = math.isnan(histogram.sum) or q < 0.5
    rank = (q if upwards else 1 - q) * histogram.count
    reached = np.cumsum(buckets.count if upwards else buckets.count[::-1])
    if not len(reached):
        doubt = Doubt.NO_RESULT if math.isnan(histogram.sum) and rank > 0 else None
        return (math.nan if doubt or rank == 0 else 0.0), doubt
    enough = reached >= rank  # not sorted where counts are negative
    place = int(enough.argmax()) if enough.any() else len(reached) - 1
    counted = min(float(reached[place]), histogram.count)
    bucket = place if upwards else len(reached) - 1 - place
    return _inside(histogram, buckets, bucket, rank, counted, upwards)


def _inside(  # noqa: PLR0917 - what the search for a rank has found
    histogram: Histogram, buckets: Buckets, bucket: int, rank: float, counted: float, upwards: bool
) -> tuple[float, Doubt | None]:
    """The value of a rank: from its bucket, up to whose end `counted` observations were met."""
    lower, upper, count = float(buckets.lower[bucket]), float(buckets.upper[bucket]), float(buckets.count[bucket])
    if histogram.is_custom:
        if lower == -math.inf:
            if upper <= 0:
                return upper, None
            lower = 0.0
        elif upper == math.inf:
            return lower, None
    elif lower < 0 < upper:
        lower, upper = natural_zero_bucket(histogram, lower, upper)
    unknown = math.isnan(histogram.sum)
    if counted < rank:
        return (math.nan, Doubt.NO_RESULT) if unknown else (upper, None)
    rank = rank - (counted - count) if upwards else counted - rank
    doubt = Doubt.SKEWED if unknown and float(buckets.count.sum()) < histogram.count else None
    return _interpolated(histogram, lower, upper, rank / count), doubt


def natural_zero_bucket(histogram: Histogram, lower: float, upper: float) -> tuple[float, float]:
    """Bounds of the zero bucket: it ends at 0 where the other side has no buckets at all."""
    positive, negative = len(histogram.positive_index) > 0, len(histogram.negative_index) > 0
    if positive and not negative:
        return 0.0, upper
    return (lower, 0.0) if negative and not positive else (lower, upper)


def _interpolated(histogram: Histogram, lower: float, upper: float, fraction: float) -> float:
    if histogram.is_custom or lower <= 0 <= upper:
        return lower + (upper - lower) * fraction
    low, high = _log2(abs(lower)), _log2(abs(upper))
    if lower > 0:
        return _exp2(low + (high - low) * fraction)
    return -_exp2(high + (low - high) * (1 - fraction))


def _log2(value: float) -> float:
    number: float = np.log2(value).item()
    return number


def _exp2(value: float) -> float:
    number: float = np.exp2(value).item()
    return number


def fraction(lower: float, upper: float, histogram: Histogram) -> tuple[float, Doubt | None]:
    """The share of observations between two values; NaN without observations."""
    if histogram.count == 0 or math.isnan(lower) or math.isnan(upper):
        return math.nan, None
    if lower >= upper:
        return 0.0, None
    buckets = histogram.buckets()
    everything = histogram.count
    doubt = None
    if math.isnan(histogram.sum):
        everything = float(buckets.count.sum())
        doubt = Doubt.EXCLUDED if everything < histogram.count else None
    below = [min(_rank(histogram, buckets, value, everything), everything) for value in (lower, upper)]
    return (below[1] - below[0]) / histogram.count, doubt


def _rank(histogram: Histogram, buckets: Buckets, value: float, everything: float) -> float:
    """How many observations are below a value."""
    rank = 0.0
    for low, high, count in buckets.rows():
        linear = histogram.is_custom
        if not linear and low <= 0 <= high:
            linear = True
            low, high = natural_zero_bucket(histogram, low, high)  # noqa: PLW2901
        elif linear and low == -math.inf and high > 0:
            low = 0.0  # noqa: PLW2901
        if low >= value:
            return rank
        if high > value:
            if low == -math.inf and linear:
                return count
            return rank + count * share_below(value, low, high, linear)
        rank += count
    return everything


def share_below(value: float, lower: float, upper: float, linear: bool) -> float:
    """Which part of a bucket's observations is below a value inside it."""
    if linear:
        return (value - lower) / (upper - lower)
    low, high, at = _log2(abs(lower)), _log2(abs(upper)), _log2(abs(value))
    return (at - low) / (high - low) if value > 0 else 1 - (at - high) / (low - high)


def variance(histogram: Histogram) -> float:
    """The population variance, every observation taken to be at the middle of its bucket.

    That is the geometric mean of the bounds, 0 in the zero bucket, the arithmetic mean in custom buckets.
    """
    with np.errstate(all="ignore"):
        mean = np.float64(histogram.sum) / histogram.count
        buckets = histogram.buckets().populated()
        if histogram.is_custom:
            middle = (buckets.upper + buckets.lower) / 2
        else:
            middle = np.sqrt(buckets.upper * buckets.lower)
            middle = np.where(buckets.upper < 0, -middle, middle)
            middle[(buckets.lower <= 0) & (buckets.upper >= 0)] = 0.0
        return float(_compensated_sum(buckets.count * (middle - mean) ** 2) / np.float64(histogram.count))


def _compensated_sum(values: Floats) -> float:
    return math.fsum(values.tolist()) if np.isfinite(values).all() else float(values.sum())


# Trimming


def trimmed(histogram: Histogram, at: float, *, below: bool) -> Histogram:
    """Only observations below (`</`) or above (`>/`) a value; count and sum are estimated anew.

    A bucket that the value cuts keeps its share; the sum counts every bucket by the middle of what is left.
    """
    sides = []
    count = total = 0.0
    for positive in (True, False):
        kept, kept_sum = _trimmed_side(histogram, at, below, positive)
        count, total = count + sum(kept), total + kept_sum
        sides.append(np.array(kept, np.float64))
    zero_count = histogram.zero_count
    if zero_count > 0:
        zero_count, middle = _trimmed_zero(histogram, at, below)
        count, total = count + zero_count, total + middle * zero_count
    unchanged = (
        zero_count == histogram.zero_count
        and np.array_equal(sides[0], histogram.positive_count)
        and np.array_equal(sides[1], histogram.negative_count)
    )
    if unchanged:
        return histogram
    return replace(
        histogram, count=count, sum=total, zero_count=zero_count, positive_count=sides[0], negative_count=sides[1]
    ).compacted()


def _trimmed_side(histogram: Histogram, at: float, below: bool, positive: bool) -> tuple[list[float], float]:
    """What is left of each bucket of a side, and the sum of it."""
    index = histogram.positive_index if positive else histogram.negative_index
    counts = histogram.positive_count if positive else histogram.negative_count
    lower, upper = histogram.upper(index - 1), histogram.upper(index)
    if not positive:
        lower, upper = -upper, -lower
    kept, total = [], 0.0
    for low, high, count in zip(lower.tolist(), upper.tolist(), counts.tolist(), strict=True):
        left = middle = 0.0
        if count:
            left, middle = _trimmed_bucket((low, high, count), at, below, positive, histogram.is_custom)
        kept.append(left)
        total += middle * left
    return kept, total


def _trimmed_bucket(
    bucket: tuple[float, float, float], at: float, below: bool, positive: bool, linear: bool
) -> tuple[float, float]:
    """What is left of one bucket and the middle of it."""
    low, high, count = bucket
    if (high <= at) if below else (low >= at):
        return count, _middle(low, high, positive, linear)
    if not ((low < at) if below else (high > at)):
        return 0.0, 0.0
    if math.isinf(low) or math.isinf(high):
        return _trimmed_endless(bucket, at, below)
    under = 0.0 if at <= low else count if at >= high else count * share_below(at, low, high, linear)
    if below:
        return under, _middle(low, at, positive, linear)
    return count - under, _middle(at, high, positive, linear)


def _trimmed_endless(bucket: tuple[float, float, float], at: float, below: bool) -> tuple[float, float]:
    """What is left of a bucket without an end: nothing, unless all of it or (from 0 up) a linear share."""
    low, high, count = bucket
    if low == -math.inf:
        if below and at < high:
            if at > 0 and high != math.inf:
                return count * at / high, at / 2
            return (count, at) if high <= 0 else (0.0, 0.0)
        if not below and 0 <= at < high != math.inf:
            return count * (1 - at / high), (at + high) / 2
        return 0.0, 0.0
    return (0.0, 0.0) if below or at < low else (count, at)


def _trimmed_zero(histogram: Histogram, at: float, below: bool) -> tuple[float, float]:
    """What is left of the zero bucket and the middle of it."""
    populated = histogram.compacted()
    low, high = natural_zero_bucket(populated, -histogram.zero_threshold, histogram.zero_threshold)
    count = histogram.zero_count
    start, end = (low, min(at, high)) if below else (max(at, low), high)
    if at <= low if below else at > low and at >= high:
        return 0.0, 0.0
    if (start, end) == (low, high):
        return count, (low + high) / 2
    return count * ((end - start) / (high - low)), (start + end) / 2


def _middle(low: float, high: float, positive: bool, linear: bool) -> float:
    if math.isinf(low) or math.isinf(high):
        if math.isinf(low) and math.isinf(high):
            return 0.0
        if math.isinf(high):
            return low
        return high / 2 if high > 0 else high
    if linear:
        return (low + high) / 2
    middle = math.sqrt(abs(low * high))
    return middle if positive else -middle
