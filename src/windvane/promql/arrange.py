"""From samples as the store gives them to flat series order.

The store's parts hold stretches of samples, each of one series and ascending in time. A part that is
read alone arrives as it has to be: what is collected is the result, and nothing is copied again.
Parts that follow a large one are woven into it, from the back, in its own memory. Otherwise
stretches, in whatever order they came, are ordered and copied whole to new memory. Memory that was
never touched is the dearest thing here (a page of it costs more than decoding what it will hold), so
as little as possible is.
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


@kernel
def woven(  # noqa: PLR0917 - numba takes arrays by position
    row: Times, start: Times, order: Times, times: Times, values: Floats, series: int, leading: int
) -> tuple[Times, Times, Floats]:
    """As `joined`, in the memory of the samples themselves: the first `leading` stretches are in order already.

    The others are set aside, and all move to their places from the last to the first. A leading stretch
    only ever moves up, to where nothing is that is still needed.
    """
    offsets, total, cut = np.zeros(series + 1, np.int64), start[len(row)], start[leading]
    overlap = False
    for k in range(len(order)):
        run = order[k]
        offsets[row[run] + 1] += start[run + 1] - start[run]
        if k and row[run] == row[order[k - 1]] and times[start[order[k - 1] + 1] - 1] >= times[start[run]]:
            overlap = True
    for i in range(series):
        offsets[i + 1] += offsets[i]
    aside_times, aside_values = times[cut:total].copy(), values[cut:total].copy()
    place = total
    for run in order[::-1]:
        begin, end = start[run], start[run + 1]
        length = end - begin
        if run >= leading:
            times[place - length : place] = aside_times[begin - cut : end - cut]
            values[place - length : place] = aside_values[begin - cut : end - cut]
        elif place > end:
            for j in range(1, length + 1):
                times[place - j] = times[end - j]
            for j in range(1, length + 1):
                values[place - j] = values[end - j]
        else:
            break  # this one and those before it stay where they are
        place -= length
    if overlap:
        return _ordered(offsets, times[:total], values[:total])
    return offsets, times[:total], values[:total]


@kernel
def in_order(row: Times) -> int:
    """How many of the first stretches are in series order, each the only one of its series."""
    for run in range(1, len(row)):
        if row[run] <= row[run - 1]:
            return run
    return len(row)


def arrange(ids: Ids, column: Ids, times: Times, values: Floats) -> tuple[Times, Times, Floats, bool]:
    """Samples as the store gives them, in any order, to flat series order (see `joined`)."""
    row, start, first = runs_of(ids, column, times)
    order = np.lexsort((first[:-1], row[:-1]))
    return joined(row, start, order, times, values, len(ids))


def _room(rows: int) -> tuple[Times, Floats]:
    """Memory for samples."""
    return np.empty(rows, np.int64), np.empty(rows)


class Collector:
    """Takes blocks of samples one by one and puts them in series order at the end.

    `ids` are the wanted series, ascending; others are passed over. `expected` rows are reserved (memory
    that is not filled costs nothing); `most` rows are taken, of more `full` tells.
    """

    def __init__(self, ids: Ids, expected: int, most: int) -> None:
        self._ids = ids
        self._most = most
        self._times, self._values = _room(min(max(expected, _FEWEST), most + 1))
        self._runs = np.empty((_FEWEST, 3), np.int64)
        self._rows = 0
        self._count = 0
        self._stale = False

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
            times, values = _room(max(needed, 2 * len(self._times)))
            times[: self._rows], values[: self._rows] = self._times[: self._rows], self._values[: self._rows]
            self._times, self._values = times, values
        if self._count + block.rows > len(self._runs):
            more = max(block.rows, len(self._runs))
            self._runs = np.concatenate([self._runs, np.empty((more, 3), np.int64)])
        starts = (block.start("Id"), block.start("T"), block.start("Value"))
        self._rows, self._count, stale = taken(
            block.raw, *starts, block.rows, self._ids, self._times, self._values, self._rows, self._runs, self._count
        )
        self._stale = self._stale or stale

    def arranged(self) -> tuple[Times, Times, Floats, bool]:
        """All samples in flat series order (see `joined`); to be asked for once, after the last block."""
        row, first = (np.ascontiguousarray(self._runs[: self._count, column]) for column in (0, 2))
        start = np.append(self._runs[: self._count, 1], self._rows)
        leading, series = in_order(row), len(self._ids)
        if leading < self._count and 2 * start[leading] < self._rows:
            order = np.lexsort((first, row))
            return joined(row, start, order, self._times[: self._rows], self._values, series)
        times, values = self._times, self._values
        for own in (times, values):
            own.resize(self._rows, refcheck=False)  # gives back what was reserved beyond, and moves nothing
        if leading == self._count:
            offsets = np.zeros(series + 1, np.int64)
            offsets[row + 1] = np.diff(start)
            return np.cumsum(offsets), times, values, self._stale
        return *woven(row, start, np.lexsort((first, row)), times, values, series, leading), self._stale


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
) -> tuple[int, int, bool]:
    """Copy a block's samples of wanted series behind the others, and note the stretches: series, start, first time.

    Returns how many samples and stretches there are now, and whether a staleness marker was among the new ones.
    """
    column = raw[id_start : id_start + 8 * rows].view(np.uint64)
    block_times = raw[time_start : time_start + 8 * rows].view(np.int64)
    block_values = raw[value_start : value_start + 8 * rows].view(np.float64)
    bits = raw[value_start : value_start + 8 * rows].view(np.int64)
    stale = 0
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
        for i in range(begin, j):
            stale += bits[i] == _STALE
        if count == 0 or runs[count - 1, 0] != row or times[place - 1] >= times[place]:
            runs[count, 0], runs[count, 1], runs[count, 2] = row, place, times[place]
            count += 1
        place += length
    return place, count, stale > 0


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
