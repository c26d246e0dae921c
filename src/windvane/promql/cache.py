"""Decoded samples kept for series asked again: bounded, least recently used first out, and exact.

An entry holds all samples of some series in some stretch of time, as they were in one list of the
table's parts. A query that asks for any of that compares the present list with the entry's
(`parts.change`): merges change nothing, new parts are read and their samples put between the old
ones, and after a deletion the entry is dropped. So an answer from the cache is the answer of the
store, whatever was written meanwhile, in whatever order.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from windvane.promql.arrange import better
from windvane.promql.jit import kernel
from windvane.promql.parts import Parts
from windvane.promql.syntax import Matcher
from windvane.promql.value import STALE_BITS, Floats, Ids, Mask, Times

_STALE = np.int64(STALE_BITS)


@dataclass(frozen=True, slots=True)
class Flat:
    """Samples of the series `ids` (ascending) in flat series order; `stale` when staleness markers are among them."""

    ids: Ids
    offsets: Times
    times: Times
    values: Floats
    stale: bool

    @property
    def nbytes(self) -> int:
        """Memory of the arrays."""
        return self.ids.nbytes + self.offsets.nbytes + self.times.nbytes + self.values.nbytes

    @classmethod
    def empty(cls) -> Flat:
        """No series."""
        return cls(np.zeros(0, np.uint64), np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0), False)

    def cut(self, ids: Ids, after: int, until: int, most: int) -> Cut | None:
        """The samples of some of its series in (after, until]; None when they are more than `most`.

        Series without any are left out. All series are given as they are, with samples outside the
        time, where that saves copying.
        """
        rows = np.searchsorted(self.ids, ids)
        low, high = bounds(self.offsets, self.times, rows, after, until)
        some = high > low
        count = int((high - low).sum())
        if count > most:
            return None
        if len(ids) == len(self.ids) and some.all() and not self.stale:
            return Cut(self, some, count)
        kept = sliced(self.times, self.values, low[some], high[some])
        return Cut(Flat(ids[some], *kept), some, count)


@dataclass(frozen=True, slots=True)
class Cut:
    """Part of an entry: its samples, which of the wanted series have any, and how many samples are in the time."""

    flat: Flat
    some: Mask
    count: int


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """Samples of all `matchers` found, at times in (after, until], as `parts` had them; `span`: longest time asked."""

    matchers: tuple[Matcher, ...]
    flat: Flat
    after: int
    until: int
    parts: Parts
    span: int

    @property
    def selectors(self) -> frozenset[Matcher]:
        """The matchers as a set."""
        return frozenset(self.matchers)

    def covers(self, ids: Ids, after: int, until: int) -> bool:
        """Whether all samples of these series in this time are here."""
        return self.after <= after and until <= self.until and len(ids) <= len(self.flat.ids) and self.has(ids)

    def has(self, ids: Ids) -> bool:
        """Whether these series are here."""
        return bool(known(self.flat.ids, ids).all())

    def near(self, after: int, until: int) -> bool:
        """Whether widening the entry to this time would read little beside it."""
        newest = min(self.until, int(self.flat.times.max(initial=self.after)))
        wide = max(until, newest) - min(after, self.after)
        return wide <= 2 * ((until - after) + (newest - self.after))


@dataclass(frozen=True, slots=True)
class CacheStats:
    """What the cache holds and has done."""

    entries: int
    bytes: int
    hits: int
    refreshed: int
    misses: int


class SampleCache:
    """Entries, most recently used last; safe from any thread.

    `most_bytes` bounds the samples held; an entry larger than all of it is not kept.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self._entries: OrderedDict[Entry, None] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()
        self._counts = dict.fromkeys(("hit", "refreshed", "miss"), 0)

    def find(self, matchers: tuple[Matcher, ...], ids: Ids, after: int, until: int) -> Entry | None:
        """The entry to answer from: one that has it all, else one of the same matchers and near in time."""
        with self._lock:
            shared = [one for one in reversed(self._entries) if not one.selectors.isdisjoint(matchers)]
            own = [one for one in shared if one.matchers == matchers]
            found = next((one for one in (*own, *shared) if one.covers(ids, after, until)), None)
            if found is None:
                found = next((one for one in own if one.near(after, until)), None)
            if found is not None:
                self._entries.move_to_end(found)
            return found

    def keep(self, entry: Entry) -> None:
        """Hold an entry instead of those it makes needless, and let go of the least recently used."""
        with self._lock:
            if entry.flat.nbytes > self.most_bytes:
                return
            for other in list(self._entries):
                if entry.after <= other.after and other.until <= entry.until and entry.has(other.flat.ids):
                    self._drop(other)
            self._entries[entry] = None
            self._held += entry.flat.nbytes
            while self._held > self.most_bytes:
                self._drop(next(iter(self._entries)))

    def replace(self, old: Entry, new: Entry) -> None:
        """Hold an entry in the place of another."""
        with self._lock:
            self._drop(old)
        self.keep(new)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self._held = 0

    def count(self, outcome: str) -> None:
        """Note a read's outcome: hit, refreshed or miss."""
        with self._lock:
            self._counts[outcome] += 1

    def stats(self) -> CacheStats:
        """Figures of this cache."""
        with self._lock:
            counts = self._counts
            return CacheStats(len(self._entries), self._held, counts["hit"], counts["refreshed"], counts["miss"])

    def _drop(self, entry: Entry) -> None:
        if entry in self._entries:
            del self._entries[entry]
            self._held -= entry.flat.nbytes


def known(sorted_ids: Ids, ids: Ids) -> Mask:
    """Which ids are among ascending ones."""
    if not len(sorted_ids):
        return np.zeros(len(ids), np.bool_)
    place = np.minimum(np.searchsorted(sorted_ids, ids), len(sorted_ids) - 1)
    found: Mask = sorted_ids[place] == ids
    return found


def merge(a: Flat, b: Flat, after: int) -> Flat:
    """Both, without samples up to `after`; of samples at the same time one stays (`arrange.better`)."""
    ids = a.ids if a.ids is b.ids else np.union1d(a.ids, b.ids)
    rows = [np.where(known(one.ids, ids), np.searchsorted(one.ids, ids), -1) for one in (a, b)]
    offsets, times, values = merged(
        rows[0], rows[1], a.offsets, a.times, a.values, b.offsets, b.times, b.values, after
    )  # fmt: skip
    return Flat(ids, offsets, times, values, a.stale or b.stale)


@kernel
def bounds(offsets: Times, times: Times, rows: Times, after: int, until: int) -> tuple[Times, Times]:
    """First and last (exclusive) sample in (after, until] of some series."""
    low = np.empty(len(rows), np.int64)
    high = np.empty(len(rows), np.int64)
    for k in range(len(rows)):
        part = times[offsets[rows[k]] : offsets[rows[k] + 1]]
        low[k] = offsets[rows[k]] + np.searchsorted(part, after, side="right")
        high[k] = offsets[rows[k]] + np.searchsorted(part, until, side="right")
    return low, high


@kernel
def sliced(times: Times, values: Floats, low: Times, high: Times) -> tuple[Times, Times, Floats, bool]:
    """Stretches of samples one after the other: offsets, times, values, and whether any is a staleness marker."""
    offsets = np.zeros(len(low) + 1, np.int64)
    for k in range(len(low)):
        offsets[k + 1] = offsets[k] + high[k] - low[k]
    out_times = np.empty(offsets[-1], np.int64)
    out_values = np.empty(offsets[-1])
    bits = values.view(np.int64)
    stale = 0
    for k in range(len(low)):
        out_times[offsets[k] : offsets[k + 1]] = times[low[k] : high[k]]
        out_values[offsets[k] : offsets[k + 1]] = values[low[k] : high[k]]
        for j in range(low[k], high[k]):
            stale += bits[j] == _STALE
    return offsets, out_times, out_values, stale > 0


@kernel
def merged(  # noqa: PLR0917 - numba takes arrays by position
    a_rows: Times,
    b_rows: Times,
    a_offsets: Times,
    a_times: Times,
    a_values: Floats,
    b_offsets: Times,
    b_times: Times,
    b_values: Floats,
    after: int,
) -> tuple[Times, Times, Floats]:
    """Two sets of series in one, row by row (-1: not in that set), each series ascending in time."""
    series = len(a_rows)
    offsets = np.zeros(series + 1, np.int64)
    times = np.empty(len(a_times) + len(b_times), np.int64)
    values = np.empty(len(times))
    place = 0
    for i in range(series):
        a = a_stop = b = b_stop = 0
        if a_rows[i] >= 0:
            a_stop = a_offsets[a_rows[i] + 1]
            a = a_offsets[a_rows[i]]
            a += np.searchsorted(a_times[a:a_stop], after, side="right")
        if b_rows[i] >= 0:
            b_stop = b_offsets[b_rows[i] + 1]
            b = b_offsets[b_rows[i]]
            b += np.searchsorted(b_times[b:b_stop], after, side="right")
        before = a_stop
        if b < b_stop:  # most often all new samples are later: the old ones before them are copied at once
            before = a + np.searchsorted(a_times[a:a_stop], b_times[b], side="left")
        times[place : place + before - a] = a_times[a:before]
        values[place : place + before - a] = a_values[a:before]
        place += before - a
        a = before
        while a < a_stop or b < b_stop:
            if b == b_stop or (a < a_stop and a_times[a] < b_times[b]):
                times[place] = a_times[a]
                values[place] = a_values[a]
                a += 1
            elif a == a_stop or b_times[b] < a_times[a]:
                times[place] = b_times[b]
                values[place] = b_values[b]
                b += 1
            else:
                times[place] = a_times[a]
                values[place] = b_values[b] if better(b_values[b], a_values[a]) else a_values[a]
                a += 1
                b += 1
            place += 1
        offsets[i + 1] = place
    return offsets, times[:place], values[:place]
