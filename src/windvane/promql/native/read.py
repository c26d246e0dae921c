"""Native histograms from the store: one stream of numbers, cut into columns.

The engine hands arrays over slowly, numbers fast. So each row is asked for as one record of floats
(id and time by their bits, ten numbers, then the arrays), and the records follow each other, by
series and time. A stored hint counts only if it says gauge: Prometheus's storage finds resets by itself,
and its readers look at the buckets.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from windvane.promql.native import kernels
from windvane.promql.native.columns import Columns, Grid, Histograms
from windvane.promql.native.histogram import GAUGE, NO_COUNT, UNKNOWN
from windvane.promql.value import STALE_BITS, Floats, Ids, NativeSamples, Times
from windvane.store.api import Limits

Query = Callable[[str, dict[str, object], Limits], pd.DataFrame]

_HEADER = 11
_RECORD = """arrayConcat(
    [reinterpretAsFloat64(Id), reinterpretAsFloat64(toUnixTimestamp64Milli(Time)), toFloat64(Schema), toFloat64(Hint),
     Count, Sum, ZeroThreshold, ZeroCount,
     toFloat64(length(PositiveIndex)), toFloat64(length(NegativeIndex)), toFloat64(length(CustomBounds))],
    arrayMap(i -> toFloat64(i), PositiveIndex), PositiveCount,
    arrayMap(i -> toFloat64(i), NegativeIndex), NegativeCount, CustomBounds)"""


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
    stream = np.array(stream, np.float64)  # one kind of array, for which kernels are compiled
    starts = kernels.record_starts(stream, _HEADER)
    series = np.searchsorted(ids, stream.view(np.uint64)[starts])
    times: Times = stream.view(np.int64)[starts + 1]
    known = series < len(ids)
    known[known] = ids[series[known]] == stream.view(np.uint64)[starts[known]]
    same = np.zeros(len(starts), np.bool_)
    same[1:] = (series[1:] == series[:-1]) & (times[1:] == times[:-1])
    kept = known & ~same
    starts, series, times = starts[kept], series[kept], times[kept]
    offsets = np.searchsorted(series, np.arange(len(ids) + 1))
    some = stream.view(np.int64)[starts + 5] != STALE_BITS
    index = np.where(some, np.cumsum(some) - 1, -1)
    return NativeSamples(offsets, times, Grid(index, _histograms(stream, starts[some])))


def _histograms(stream: Floats, starts: Times) -> Histograms:
    def whole(place: int) -> NDArray[np.int32]:
        return stream[starts + place].astype(np.int32)

    positive, negative, custom = whole(8), whole(9), [NO_COUNT]
    ends = np.cumsum(positive.astype(np.int64) + negative)
    bounds, known = np.zeros(len(starts), np.int32), {b"": 0}
    for row in np.flatnonzero(stream[starts + 10]).tolist():
        first = int(starts[row]) + _HEADER + 2 * int(positive[row]) + 2 * int(negative[row])
        own = stream[first : first + int(stream[starts[row] + 10])].copy()
        bounds[row] = known.setdefault(own.tobytes(), len(custom))
        if bounds[row] == len(custom):
            custom.append(own)
    columns = Columns(
        whole(2), np.where(whole(3) == GAUGE, GAUGE, UNKNOWN).astype(np.int32), stream[starts + 4], stream[starts + 5],
        stream[starts + 6], stream[starts + 7], ends - positive - negative, positive, negative, bounds,
        *kernels.record_buckets(stream, starts, _HEADER, ends),
    )  # fmt: skip
    return Histograms(columns, tuple(custom))
