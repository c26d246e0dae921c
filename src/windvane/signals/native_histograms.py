"""Native histograms as senders describe them, and as rows: buckets by index with absolute counts.

Senders list buckets as spans (gap, length) with counts or differences of counts. A schema s from -4
to 8 has the bounds 2^(i · 2^-s); schema -53 has bounds of its own. Finer exponential schemas are
halved until they fit: merging neighbours is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from windvane.kit.errors import BadInputError

CUSTOM = -53
COARSEST, FINEST = -4, 8
_LARGEST_INDEX = 2**31 - 1
_MOST_BUCKETS = 100_000

Indexes = NDArray[np.int32]
Floats = NDArray[np.float64]

NO_INDEX: Indexes = np.empty(0, np.int32)
NO_COUNT: Floats = np.empty(0)


@dataclass(frozen=True, slots=True, eq=False)
class NativeHistogram:
    """One sample of a native histogram; counts are absolute, indexes ascend. `hint` is Prometheus's."""

    schema: int
    hint: int
    is_float: bool
    zero_threshold: float
    zero_count: float
    count: float
    sum: float
    positive_index: Indexes = field(default_factory=lambda: NO_INDEX)
    positive_count: Floats = field(default_factory=lambda: NO_COUNT)
    negative_index: Indexes = field(default_factory=lambda: NO_INDEX)
    negative_count: Floats = field(default_factory=lambda: NO_COUNT)
    custom_bounds: Floats = field(default_factory=lambda: NO_COUNT)


def indexes(spans: Sequence[tuple[int, int]]) -> Indexes:
    """Bucket indexes of spans, each a gap to the last one (first: an index) and a length."""
    if sum(length for _, length in spans) > _MOST_BUCKETS:
        raise BadInputError(f"a native histogram has more than {_MOST_BUCKETS} buckets")
    pieces, place = [], 0
    for number, (gap, length) in enumerate(spans):
        if number and gap < 0:
            raise BadInputError(f"a native histogram's span {number} begins {-gap} buckets before the last one ended")
        place += gap
        if not -_LARGEST_INDEX <= place <= place + length <= _LARGEST_INDEX:
            raise BadInputError("a native histogram's bucket index is beyond 32 bits")
        pieces.append(np.arange(place, place + length))
        place += length
    return np.concatenate(pieces).astype(np.int32) if pieces else NO_INDEX


def fitted(one: NativeHistogram) -> NativeHistogram:
    """The histogram in a schema that Prometheus has; `BadInputError` when there is none near."""
    if one.schema == CUSTOM or COARSEST <= one.schema <= FINEST:
        return one
    if one.schema < COARSEST or one.schema > 52:
        raise BadInputError(f"a native histogram has schema {one.schema}, which is none of -4 to 8 and -53")
    by = one.schema - FINEST
    positive, negative = (
        halved(one.positive_index, one.positive_count, by),
        halved(one.negative_index, one.negative_count, by),
    )
    return replace(
        one,
        schema=FINEST,
        positive_index=positive[0],
        positive_count=positive[1],
        negative_index=negative[0],
        negative_count=negative[1],
    )


def halved(index: Indexes, count: Floats, times: int) -> tuple[Indexes, Floats]:
    """Buckets at a resolution halved so many times: bucket i holds (base^(i-1), base^i]."""
    coarse, place = np.unique(((index.astype(np.int64) - 1) >> times) + 1, return_inverse=True)
    return coarse.astype(np.int32), np.bincount(place, count, len(coarse)).astype(np.float64)


def check(one: NativeHistogram) -> None:
    """`BadInputError` where Prometheus refuses a histogram: counts that contradict each other, bad bounds."""
    for side, count in (("positive", one.positive_count), ("negative", one.negative_count)):
        if np.any(count < 0):
            raise BadInputError(f"a native histogram has a {side} bucket with a negative count")
    if one.count < 0 or one.zero_count < 0:
        raise BadInputError("a native histogram has a negative count")
    if one.schema == CUSTOM:
        _check_custom(one)
    if one.is_float:
        return
    total = float(one.positive_count.sum() + one.negative_count.sum()) + one.zero_count
    if total > one.count or (total < one.count and not np.isnan(one.sum)):
        raise BadInputError(f"a native histogram counts {one.count:g} observations, its buckets {total:g}")


def _check_custom(one: NativeHistogram) -> None:
    bounds = one.custom_bounds
    if np.any(np.isnan(bounds)) or np.any(np.diff(bounds) <= 0) or np.any(bounds == np.inf):
        raise BadInputError("a native histogram's own bounds do not ascend, or one is infinite or no number")
    if len(one.negative_index) or one.zero_count or one.zero_threshold:
        raise BadInputError("a native histogram with bounds of its own has negative or zero buckets")
    if len(one.positive_index) and not 0 <= one.positive_index[0] <= one.positive_index[-1] <= len(bounds):
        raise BadInputError(f"a native histogram has {len(bounds)} bounds and a bucket {one.positive_index[-1]}")
