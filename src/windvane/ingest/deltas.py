"""Deltas to running totals: a sender tells what was added, Prometheus's series say how much there is.

Totals are held by series id. A series met for the first time goes on from its newest sample in the
store, so a restart, or an evicted table, loses nothing; a series without samples starts at zero. A
point no newer than the last one is refused: it may have been counted already. When a batch could
not be stored its series are forgotten, and the next point asks the store what became of them.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from windvane.signals.native_histograms import NativeHistogram, halved
from windvane.store.api import Engine

_SMALLEST, _LARGEST = 1 << 10, 1 << 22
_LOOKBACK_MS = 86_400_000

Ids = NDArray[np.uint64]
Times = NDArray[np.int64]
Floats = NDArray[np.float64]


class DeltaTotals:
    """Running totals of float series and of native histograms. Safe from any thread."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._clear(_SMALLEST)
        self._histograms: dict[int, tuple[int, NativeHistogram]] = {}

    def add(self, ids: Ids, times_ms: Times, values: Floats) -> tuple[Floats, NDArray[np.bool_]]:
        """Totals after each delta, in the order given, and which were taken (the others were not newer)."""
        with self._lock:
            self._meet(np.unique(ids), int(times_ms.min(initial=0)))
            totals, taken = _add(self._ids, self._totals, self._times, ids, times_ms, values)
            return totals, taken

    def add_histogram(self, number: int, time_ms: int, delta: NativeHistogram) -> NativeHistogram | None:
        """The total after a histogram's delta; None when it is not newer than the last."""
        with self._lock:
            known = self._histograms.get(number) or self._newest(number, time_ms)
            if known is None:
                total = delta
            elif time_ms <= known[0]:
                return None
            else:
                total = added(known[1], delta)
            if len(self._histograms) >= _LARGEST >> 4:
                self._histograms.clear()
            self._histograms[number] = (time_ms, total)
            return total

    def forget(self, ids: Ids, histograms: Sequence[int]) -> None:
        """What was added last for these series may not be in the store."""
        with self._lock:
            for number in histograms:
                self._histograms.pop(number, None)
            if len(ids):
                kept = (self._ids != 0) & ~np.isin(self._ids, ids)
                known = (self._ids[kept], self._totals[kept], self._times[kept])
                self._clear(len(self._ids))
                self._used = len(known[0])
                _put(self._ids, self._totals, self._times, *known)

    def _clear(self, size: int) -> None:
        self._ids, self._totals = np.zeros(size, np.uint64), np.zeros(size)
        self._times, self._used = np.zeros(size, np.int64), 0

    def _meet(self, ids: Ids, earliest_ms: int) -> None:
        """Make room for ids and start those that are new from the store."""
        fresh = ids[~_known(self._ids, ids)]
        if not len(fresh):
            return
        size = len(self._ids)
        while 2 * (self._used + len(fresh)) > size:
            size *= 2
        if size > len(self._ids):
            some = self._ids != 0
            known = (self._ids[some], self._totals[some], self._times[some])
            self._clear(size)
            if size <= _LARGEST:
                self._used = len(known[0])
                _put(self._ids, self._totals, self._times, *known)
            else:
                fresh = ids
        frame = self._engine.query(_LAST, {"ids": fresh, "since": max(0, earliest_ms - _LOOKBACK_MS)})
        totals, times = np.zeros(len(fresh)), np.full(len(fresh), np.iinfo(np.int64).min, np.int64)
        place = np.searchsorted(fresh, frame["Id"].to_numpy(np.uint64))
        totals[place], times[place] = frame["total"].to_numpy(np.float64), frame["at"].to_numpy(np.int64)
        _put(self._ids, self._totals, self._times, fresh, totals, times)
        self._used += len(fresh)

    def _newest(self, number: int, time_ms: int) -> tuple[int, NativeHistogram] | None:
        frame = self._engine.query(_LAST_HISTOGRAM, {"id": number, "since": max(0, time_ms - _LOOKBACK_MS)})
        if frame.empty:
            return None
        row = frame.iloc[0]
        return int(row["at"]), NativeHistogram(
            schema=int(row["Schema"]),
            hint=0,
            is_float=bool(row["IsFloat"]),
            zero_threshold=float(row["ZeroThreshold"]),
            zero_count=float(row["ZeroCount"]),
            count=float(row["Count"]),
            sum=float(row["Sum"]),
            positive_index=np.asarray(row["PositiveIndex"], np.int32),
            positive_count=np.asarray(row["PositiveCount"], np.float64),
            negative_index=np.asarray(row["NegativeIndex"], np.int32),
            negative_count=np.asarray(row["NegativeCount"], np.float64),
        )


_SINCE = "Time > fromUnixTimestamp64Milli({since:Int64})"
_LAST = (
    "SELECT Id, argMax(Value, Time) AS total, toUnixTimestamp64Milli(max(Time)) AS at FROM samples "
    f"WHERE Id IN {{ids:Array(UInt64)}} AND {_SINCE} AND NOT isNaN(Value) GROUP BY Id"
)
_LAST_HISTOGRAM = (
    "SELECT * EXCEPT Time, toUnixTimestamp64Milli(Time) AS at FROM native_histograms "
    f"WHERE Id = {{id:UInt64}} AND {_SINCE} AND NOT isNaN(Sum) ORDER BY Time DESC LIMIT 1"
)


def added(total: NativeHistogram, delta: NativeHistogram) -> NativeHistogram:
    """The sum of two exponential histograms, at the coarser resolution and the wider zero bucket of both."""
    schema = min(total.schema, delta.schema)
    first, second = _coarser(total, schema), _coarser(delta, schema)
    width = _width(first, second)
    first, second = _widened(first, width), _widened(second, width)
    return replace(
        first,
        zero_count=first.zero_count + second.zero_count,
        count=total.count + delta.count,
        sum=total.sum + delta.sum,
        **_sides(first, second),
    )


def _coarser(one: NativeHistogram, schema: int) -> NativeHistogram:
    by = one.schema - schema
    positive, negative = (
        halved(one.positive_index, one.positive_count, by),
        halved(one.negative_index, one.negative_count, by),
    )
    return replace(
        one,
        schema=schema,
        positive_index=positive[0],
        positive_count=positive[1],
        negative_index=negative[0],
        negative_count=negative[1],
    )


def _width(first: NativeHistogram, second: NativeHistogram) -> float:
    """A zero bucket that holds both and ends where populated buckets of both do."""
    width = max(first.zero_threshold, second.zero_threshold)
    base = 2.0 ** (2.0**-first.schema)
    while True:
        wider = width
        for one in (first, second):
            for index in (one.positive_index, one.negative_index):
                uppers = base ** index.astype(np.float64)
                cut = (uppers > width) & (uppers / base < width) & (one.zero_threshold < width)
                wider = max(wider, float(uppers[cut].max(initial=0.0)))
        if wider == width:
            return width
        width = wider


def _widened(one: NativeHistogram, width: float) -> NativeHistogram:
    """Buckets within a wider zero bucket become part of it."""
    if one.zero_threshold >= width:
        return one
    base = 2.0 ** (2.0**-one.schema)
    positive, negative = (
        base ** index.astype(np.float64) > width for index in (one.positive_index, one.negative_index)
    )
    inside = one.positive_count[~positive].sum() + one.negative_count[~negative].sum()
    return replace(
        one,
        zero_threshold=width,
        zero_count=one.zero_count + float(inside),
        positive_index=one.positive_index[positive],
        positive_count=one.positive_count[positive],
        negative_index=one.negative_index[negative],
        negative_count=one.negative_count[negative],
    )


def _sides(first: NativeHistogram, second: NativeHistogram) -> dict[str, Any]:
    made: dict[str, Any] = {}
    for side in ("positive", "negative"):
        index = np.concatenate([getattr(first, f"{side}_index"), getattr(second, f"{side}_index")])
        count = np.concatenate([getattr(first, f"{side}_count"), getattr(second, f"{side}_count")])
        made[f"{side}_index"], made[f"{side}_count"] = halved(index, count, 0)
    return made


def warm() -> None:
    """Compile (or load from the cache on disk) now rather than with the first request."""
    ids, floats, times = np.zeros(_SMALLEST, np.uint64), np.zeros(_SMALLEST), np.zeros(_SMALLEST, np.int64)
    none = np.zeros(0, np.uint64), np.zeros(0), np.zeros(0, np.int64)
    _known(ids, none[0])
    _put(ids, floats, times, *none)
    _add(ids, floats, times, none[0], none[2], none[1])


@njit(nogil=True)
def _slot(table: Any, number: Any) -> int:
    mask = np.uint64(table.shape[0] - 1)
    place = number & mask
    while table[place] != np.uint64(0) and table[place] != number:
        place = (place + np.uint64(1)) & mask
    return int(place)


@njit(nogil=True, cache=True)
def _known(table: Any, ids: Any) -> Any:
    found = np.zeros(len(ids), np.bool_)
    for i in range(len(ids)):
        found[i] = table[_slot(table, ids[i])] == ids[i]
    return found


@njit(nogil=True, cache=True)
def _put(table: Any, totals: Any, times: Any, ids: Any, new: Any, at: Any) -> None:  # noqa: PLR0917 - numba
    for i in range(len(ids)):
        place = _slot(table, ids[i])
        table[place], totals[place], times[place] = ids[i], new[i], at[i]


@njit(nogil=True, cache=True)
def _add(table: Any, totals: Any, times: Any, ids: Any, at: Any, deltas: Any) -> Any:  # noqa: PLR0917 - numba
    result, taken = np.zeros(len(ids)), np.zeros(len(ids), np.bool_)
    for i in range(len(ids)):
        place = _slot(table, ids[i])
        if at[i] > times[place]:
            totals[place] += deltas[i]
            times[place] = at[i]
            taken[i] = True
        result[i] = totals[place]
    return result, taken
