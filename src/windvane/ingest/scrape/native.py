"""Native histograms made coarser: two buckets become one with each step down in schema."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from windvane.signals.exposition import NativeHistogram

_LOWEST = -4
_CUSTOM = -53


def reduced(histogram: NativeHistogram, bucket_limit: int, min_factor: float) -> NativeHistogram | None:
    """At most `bucket_limit` buckets, each at least `min_factor` times wider than the last (0: no limit).

    None when even the lowest schema has too many.
    """
    if histogram.schema == _CUSTOM:
        return None if bucket_limit and len(histogram.positive_index) > bucket_limit else histogram
    if min_factor > 1:
        wanted = -math.ceil(math.log2(math.log2(min_factor)))
        while histogram.schema > max(wanted, _LOWEST):
            histogram = _coarser(histogram)
    while bucket_limit and len(histogram.positive_index) + len(histogram.negative_index) > bucket_limit:
        if histogram.schema == _LOWEST:
            return None
        histogram = _coarser(histogram)
    return histogram


def _coarser(histogram: NativeHistogram) -> NativeHistogram:
    positive = _merged(histogram.positive_index, histogram.positive_count)
    negative = _merged(histogram.negative_index, histogram.negative_count)
    return replace(
        histogram,
        schema=histogram.schema - 1,
        positive_index=list(positive),
        positive_count=list(positive.values()),
        negative_index=list(negative),
        negative_count=list(negative.values()),
    )


def _merged(indices: Sequence[int], counts: Sequence[float]) -> dict[int, float]:
    merged: dict[int, float] = {}
    for index, count in zip(indices, counts, strict=True):
        half = (index + 1) >> 1
        merged[half] = merged.get(half, 0.0) + count
    return merged
