"""From samples as the store gives them to flat series order.

The store's parts hold stretches of samples, each of one series and ascending in time; blocks of
several parts arrive in any order. Stretches are found, ordered and copied whole.
"""

from __future__ import annotations

import numpy as np

from windvane.promql.jit import inlined, kernel
from windvane.promql.value import STALE_BITS, Floats, Ids, Times
from windvane.store.blocks import Block, Bytes

_STALE = np.int64(STALE_BITS)
_FEWEST = 4096


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
    same time one stays (see `better`).
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


class Collector:
    """Takes blocks of samples one by one and puts them in series order at the end.

    `ids` are the wanted series, ascending; others are passed over. `expected` rows are reserved (memory
    that is not filled costs nothing); `most` rows are taken, of more `full` tells.
    """

    def __init__(self, ids: Ids, expected: int, most: int) -> None:
        self._ids = ids
        self._most = most
        self._times = np.empty(min(max(expected, _FEWEST), most + 1), np.int64)
        self._values = np.empty(len(self._times))
        self._runs = np.empty((_FEWEST, 3), np.int64)
        self._rows = 0
        self._count = 0

    @property
    def rows(self) -> int:
        """Samples taken."""
        return self._rows

    @property
    def full(self) -> bool:
        """Whether there are more than wanted."""
        return self._rows > self._most

    def add(self, block: Block) -> None:
        """Take a block with the columns Id, T (milliseconds) and Value."""
        needed = self._rows + block.rows
        if needed > len(self._times):
            self._times = np.append(self._times, np.empty(max(needed, len(self._times)), np.int64))
            self._values = np.append(self._values, np.empty(len(self._times) - len(self._values)))
        if self._count + block.rows > len(self._runs):
            more = max(block.rows, len(self._runs))
            self._runs = np.concatenate([self._runs, np.empty((more, 3), np.int64)])
        starts = (block.start("Id"), block.start("T"), block.start("Value"))
        self._rows, self._count = taken(
            block.raw, *starts, block.rows, self._ids, self._times, self._values, self._rows, self._runs, self._count
        )

    def arranged(self) -> tuple[Times, Times, Floats, bool]:
        """All samples in flat series order (see `joined`)."""
        runs = self._runs[: self._count]
        row, first = np.ascontiguousarray(runs[:, 0]), np.ascontiguousarray(runs[:, 2])
        start = np.append(runs[:, 1], self._rows)
        order = np.lexsort((first, row))
        return joined(np.append(row, -1), start, order, self._times[: self._rows], self._values, len(self._ids))


@kernel
def taken(  # noqa: PLR0917 - numba takes arrays by position
    raw: Bytes,
    id_start: int,
    time_start: int,
    value_start: int,
    rows: int,
    ids: Ids,
    times: Times,
    values: Floats,
    place: int,
    runs: Times,
    count: int,
) -> tuple[int, int]:
    """Copy a block's samples of wanted series behind the others, and note the stretches: series, start, first time.

    Returns how many samples and stretches there are now.
    """
    column = raw[id_start : id_start + 8 * rows].view(np.uint64)
    block_times = raw[time_start : time_start + 8 * rows].view(np.int64)
    block_values = raw[value_start : value_start + 8 * rows].view(np.float64)
    j = 0
    while j < rows:
        begin, number = j, column[j]
        j += 1
        while j < rows and column[j] == number and block_times[j] > block_times[j - 1]:
            j += 1
        row = np.searchsorted(ids, number)
        if row == len(ids) or ids[row] != number:
            continue
        length = j - begin
        times[place : place + length] = block_times[begin:j]
        values[place : place + length] = block_values[begin:j]
        if count == 0 or runs[count - 1, 0] != row or times[place - 1] >= times[place]:
            runs[count, 0], runs[count, 1], runs[count, 2] = row, place, times[place]
            count += 1
        place += length
    return place, count


@inlined
def better(new: float, old: float) -> bool:
    """Which of two values at the same time counts: a value before a staleness marker, then the greater bits.

    A rule that does not depend on the order in which the store gives them.
    """
    pair = np.array([new, old])
    bits = pair.view(np.int64)
    if (bits[0] == _STALE) != (bits[1] == _STALE):
        return bool(bits[1] == _STALE)
    return bool(bits[0] > bits[1])


@inlined
def _ordered(offsets: Times, times: Times, values: Floats) -> tuple[Times, Times, Floats]:
    """Each series by time, one of equal times only (see `better`)."""
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
            elif better(own[j], values[kept - 1]):
                values[kept - 1] = own[j]
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
