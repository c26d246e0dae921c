"""From samples as the store gives them to flat series order.

The store's parts hold stretches of samples, each of one series and ascending in time; blocks of
several parts arrive in any order. Stretches are found, ordered and copied whole.
"""

from __future__ import annotations

import numpy as np

from windvane.promql.jit import inlined, kernel
from windvane.promql.value import STALE_BITS, Floats, Ids, Times

_STALE = np.int64(STALE_BITS)


@kernel
def runs_of(ids: Ids, column: Ids, times: Times) -> tuple[Times, Times, Times]:
    """Stretches of samples of one series, as the store's parts hold them: (series, start, first time).

    `ids` are the wanted series, ascending; the series is the position there, -1 for an unwanted one.
    A last entry marks the end.
    """
    count = 0
    for j in range(len(column)):
        if j == 0 or column[j] != column[j - 1] or times[j] <= times[j - 1]:
            count += 1
    row = np.empty(count + 1, np.int64)
    start = np.empty(count + 1, np.int64)
    first = np.empty(count + 1, np.int64)
    count = 0
    for j in range(len(column)):
        if j == 0 or column[j] != column[j - 1] or times[j] <= times[j - 1]:
            place = np.searchsorted(ids, column[j])
            row[count] = place if place < len(ids) and ids[place] == column[j] else -1
            start[count] = j
            first[count] = times[j]
            count += 1
    row[count], start[count], first[count] = -1, len(column), 0
    return row, start, first


@kernel
def joined(  # noqa: PLR0917 - numba takes arrays by position
    row: Times, start: Times, order: Times, times: Times, values: Floats, series: int
) -> tuple[Times, Times, Floats, bool]:
    """Stretches put together: flat samples in series order, and whether any is a staleness marker.

    `order` lists the stretches by series and first time. Times come out ascending; of samples at the
    same time one stays.
    """
    offsets = np.zeros(series + 1, np.int64)
    out_times = np.empty(len(times), np.int64)
    out_values = np.empty(len(times))
    overlap = False
    stale = 0
    bits = values.view(np.int64)
    place = 0
    for run in order:
        if row[run] < 0:
            continue
        if offsets[row[run] + 1] > 0 and out_times[place - 1] >= times[start[run]]:
            overlap = True
        length = start[run + 1] - start[run]
        out_times[place : place + length] = times[start[run] : start[run + 1]]
        out_values[place : place + length] = values[start[run] : start[run + 1]]
        for j in range(start[run], start[run + 1]):
            stale += bits[j] == _STALE
        offsets[row[run] + 1] += length
        place += length
    for i in range(series):
        offsets[i + 1] += offsets[i]
    if overlap:
        offsets, out_times, out_values = _ordered(offsets, out_times, out_values)
    return offsets, out_times[: offsets[series]], out_values[: offsets[series]], stale > 0


def arrange(ids: Ids, column: Ids, times: Times, values: Floats) -> tuple[Times, Times, Floats, bool]:
    """Samples as the store gives them, in any order, to flat series order (see `joined`)."""
    row, start, first = runs_of(ids, column, times)
    order = np.lexsort((first[:-1], row[:-1]))
    return joined(row, start, order, times, values, len(ids))


@inlined
def _ordered(offsets: Times, times: Times, values: Floats) -> tuple[Times, Times, Floats]:
    """Each series by time, the first of equal times only."""
    kept = 0
    result = np.zeros_like(offsets)
    for i in range(len(offsets) - 1):
        part = times[offsets[i] : offsets[i + 1]].copy()
        own = values[offsets[i] : offsets[i + 1]].copy()
        start = kept
        for j in np.argsort(part, kind="mergesort"):
            if kept == start or times[kept - 1] != part[j]:
                times[kept] = part[j]
                values[kept] = own[j]
                kept += 1
        result[i + 1] = kept
    return result, times[:kept].copy(), values[:kept].copy()


@kernel
def without_stale(offsets: Times, times: Times, values: Floats) -> tuple[Times, Times, Floats]:
    """The samples that are not staleness markers."""
    bits = values.view(np.int64)
    kept_times = np.empty_like(times)
    kept_values = np.empty_like(values)
    kept_offsets = np.empty_like(offsets)
    kept = 0
    for i in range(len(offsets) - 1):
        kept_offsets[i] = kept
        for j in range(offsets[i], offsets[i + 1]):
            if bits[j] != _STALE:
                kept_times[kept] = times[j]
                kept_values[kept] = values[j]
                kept += 1
    kept_offsets[len(offsets) - 1] = kept
    return kept_offsets, kept_times[:kept].copy(), kept_values[:kept].copy()
