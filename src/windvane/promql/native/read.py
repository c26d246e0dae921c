"""Native histograms from the store: one stream of numbers, cut into values.

The engine hands arrays over slowly, numbers fast. So each row is asked for as one record of floats
(id and time by their bits, ten numbers, then the arrays), and the records follow each other, by
series and time. A stored hint counts only if it says gauge: Prometheus's storage finds resets by itself,
and its readers look at the buckets. Equal bucket layouts become one array, which later sums recognise at a glance.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
import pandas as pd

from windvane.promql.native.histogram import GAUGE, UNKNOWN, Histogram, Index
from windvane.promql.value import STALE_BITS, Floats, Grid, Ids, NativeSamples, Times
from windvane.store.api import Limits

Query = Callable[[str, dict[str, object], Limits], pd.DataFrame]

_HEADER = 11
_RECORD = """arrayConcat(
    [reinterpretAsFloat64(Id), reinterpretAsFloat64(toUnixTimestamp64Milli(Time)), toFloat64(Schema), toFloat64(Hint),
     Count, Sum, ZeroThreshold, ZeroCount,
     toFloat64(length(PositiveIndex)), toFloat64(length(NegativeIndex)), toFloat64(length(CustomBounds))],
    arrayMap(i -> toFloat64(i), PositiveIndex), PositiveCount,
    arrayMap(i -> toFloat64(i), NegativeIndex), NegativeCount, CustomBounds)"""
_Array = TypeVar("_Array", Index, Floats)


class NativeReader:
    """Reads native histograms of one store."""

    def __init__(self, query: Query) -> None:
        self._query = query

    def read(self, ids: Ids, condition: str, params: dict[str, object], limits: Limits) -> NativeSamples | None:
        """Histograms of the series `ids` (ascending) for which the SQL `condition` holds; None if there are none."""
        if not len(ids):
            return None
        frame = self._query(
            f"SELECT V FROM (SELECT {_RECORD} AS R FROM native_histograms WHERE {condition} ORDER BY Id, Time) "
            "ARRAY JOIN R AS V",
            params,
            limits,
        )
        return decode(ids, frame["V"].to_numpy()) if len(frame) else None


def decode(ids: Ids, stream: Floats) -> NativeSamples:
    """The records of a stream, in series order; of several at one time the first. A staleness marker is None."""
    stream = np.ascontiguousarray(stream)
    starts = _starts(stream)
    series = np.searchsorted(ids, stream.view(np.uint64)[starts])
    times: Times = stream.view(np.int64)[starts + 1]
    known = series < len(ids)
    known[known] = ids[series[known]] == stream.view(np.uint64)[starts[known]]
    same = np.zeros(len(starts), np.bool_)
    same[1:] = (series[1:] == series[:-1]) & (times[1:] == times[:-1])
    kept = known & ~same
    starts, series, times = starts[kept], series[kept], times[kept]
    offsets = np.searchsorted(series, np.arange(len(ids) + 1))
    return NativeSamples(offsets, times, _histograms(stream, starts))


def _starts(stream: Floats) -> Times:
    """Where records begin."""
    starts, place = [], 0
    end = len(stream)
    while place < end:
        starts.append(place)
        positive, negative, bounds = stream[place + 8 : place + _HEADER].tolist()
        place += _HEADER + 2 * int(positive) + 2 * int(negative) + int(bounds)
    return np.array(starts, np.int64)


def _histograms(stream: Floats, starts: Times) -> Grid:
    with np.errstate(invalid="ignore"):
        whole = stream.astype(np.int32)
    stream.setflags(write=False)
    bits = stream.view(np.int64)
    indices: dict[bytes, Index] = {}
    bounds: dict[bytes, Floats] = {}

    out = np.empty(len(starts), object)
    for row, start in enumerate(starts.tolist()):
        if bits[start + 5] == STALE_BITS:
            continue
        schema, hint, count, total, threshold, zero, positive, negative, length = stream[
            start + 2 : start + 11
        ].tolist()
        a = start + _HEADER
        b = a + int(positive)
        c = b + int(positive)
        d = c + int(negative)
        e = d + int(negative)
        out[row] = Histogram(
            int(schema), GAUGE if hint == GAUGE else UNKNOWN, count, total, threshold, zero,
            _shared(indices, whole[a:b]), stream[b:c], _shared(indices, whole[c:d]), stream[d:e],
            _shared(bounds, stream[e : e + int(length)]),
        )  # fmt: skip
    return out


def _shared(known: dict[bytes, _Array], array: _Array) -> _Array:
    """The array met first of those with this content."""
    return known.setdefault(array.tobytes(), array)
