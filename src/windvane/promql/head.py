"""The newest samples of all series, decoded: what most queries ask for is not read from the store.

The store's table is ordered by series within a day, so a short window of many series costs the decoding
of a day. The head holds everything later than some time (`Kept.after`) in segments of ten minutes; each
has its samples in flat series order, and a query's series are cut out of them straight into one piece.

It is as exact as the cache: it says which list of the table's parts it stands for, a query brings it up
to date before it answers (`parts.change`), and after a deletion it is read anew. A thread follows what is
written, so that queries find little to do. `most_bytes` bounds the samples held: the oldest go first.
A query whose window reaches back further, or that would wait for a large read, goes to the cache.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass

import numpy as np

from windvane.kit.errors import WindvaneError
from windvane.promql.arrange import arrange
from windvane.promql.cache import Cut, Flat, bounds, merge, sliced
from windvane.promql.jit import kernel
from windvane.promql.parts import Listing, Parts, change
from windvane.promql.value import STALE_BITS, Floats, Ids, Times
from windvane.store.api import Engine, Limits

log = logging.getLogger(__name__)

_STALE = np.int64(STALE_BITS)
_SEGMENT_MS = 600_000
_MOST_SEGMENTS = 1024
_EVER = -2_208_988_800_000
"""Nothing is stored before (1900, what a DateTime64 can hold)."""
_SAMPLE_BYTES = 16
_SPANS_MS = (7_200_000, 3_600_000, 1_200_000, 300_000)
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000
_ROWS_AT_ONCE = 2_000_000
"""Rows of new parts above which a query does not read them itself."""
_PATIENCE = 0.2
_EVERY = 2.0
_REST = 10.0
"""While much is written at once (history sent again), so many times as long as it works it rests."""
_IDLE = 30.0
_TRIES = 3
_LIMITS = Limits(60.0)


@dataclass(frozen=True, slots=True)
class Kept:
    """All samples later than `after`, as `parts` had them: by ten minutes, oldest first."""

    parts: Parts
    after: int
    segments: tuple[tuple[int, Flat], ...] = ()

    @property
    def nbytes(self) -> int:
        """Memory of the samples."""
        return sum(flat.nbytes for _, flat in self.segments)

    def cut(self, ids: Ids, after: int, until: int, most: int) -> Cut | None:
        """The samples of some series (ascending) in (after, until]; None when they are more than `most`."""
        first, last = (after + 1) // _SEGMENT_MS, until // _SEGMENT_MS
        total = np.zeros(len(ids), np.int64)
        pieces = [
            (flat, *located(ids, flat.ids, flat.offsets, flat.times, after, until, total))
            for number, flat in self.segments
            if first <= number <= last
        ]
        count = int(total.sum())
        if count > most:
            return None
        ends = np.cumsum(total)
        place, some = ends - total, total > 0
        offsets = np.append(place[some], count)
        times, values, stale = np.empty(count, np.int64), np.empty(count), False
        for flat, low, high in pieces:
            stale |= poured(flat.times, flat.values, low, high, times, values, place)
        return Cut(Flat(ids if some.all() else ids[some], offsets, times, values, stale), some, count)

    def plus(self, parts: Parts, more: Flat | None, most_bytes: int) -> Kept:
        """With new samples, as `parts` have them; without the oldest segments when there is too much."""
        held = dict(self.segments)
        for number, flat in _by_segment(more) if more is not None else ():
            held[number] = _merged(held[number], flat, self.after) if number in held else flat
        segments, after = sorted(held.items()), self.after
        size, dropped = sum(flat.nbytes for _, flat in segments), 0
        for number, flat in segments:
            if size <= most_bytes and len(segments) - dropped <= _MOST_SEGMENTS:
                break
            size, dropped, after = size - flat.nbytes, dropped + 1, (number + 1) * _SEGMENT_MS - 1
        return Kept(parts, after, tuple(segments[dropped:]))


class _TooManyError(Exception):
    """More samples than the head takes in at once."""


class _EndedError(Exception):
    """The head was closed while it read."""


class Head:
    """The newest samples of one store; safe from any thread.

    Holds nothing before its first `tick`. `most_bytes` bounds it. `learn` is told the ids of series that
    got samples. `now` is the wall clock in seconds: a few samples of a far future do not count as newest.
    """

    def __init__(
        self,
        engine: Engine,
        listing: Listing,
        most_bytes: int,
        learn: Callable[[Ids], None] = lambda _: None,
        now: Callable[[], float] = time.time,
    ) -> None:
        self.most_bytes = most_bytes
        self._engine = engine
        self._listing = listing
        self._learn = learn
        self._now = now
        self._lock = threading.Lock()
        self._kept: Kept | None = None
        self._lost: int | None = None
        self._unlearned: list[Ids] = []
        self._seen: tuple[int | None, float] = (None, 0.0)
        self._long = False
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def nbytes(self) -> int:
        """Memory of the samples held."""
        kept = self._kept
        return 0 if kept is None else kept.nbytes

    def start(self) -> None:
        """Load what is there and follow what is written, in a thread that ends with `close` or with this object."""
        if self.most_bytes and self._thread is None:
            self._thread = threading.Thread(
                target=_follow, args=(weakref.ref(self), self._ended), name="promql-head", daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """End the thread and forget all samples. Idempotent."""
        self._ended.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        self._kept = None

    def covers(self, after: int) -> bool:
        """Whether samples later than this are held."""
        kept = self._kept
        return kept is not None and kept.after <= after

    def at(self, parts: Parts, after: int) -> tuple[Kept, int] | None:
        """The head as of these parts or newer, and rows read for that; None where the query is better off elsewhere."""
        kept = self._kept
        if kept is None or kept.after > after:
            return None
        if kept.parts.number >= parts.number:
            return kept, 0
        if self._long:
            return None
        with self._taken(_PATIENCE) as taken, suppress(WindvaneError, _EndedError):
            found = self._advanced(parts, _ROWS_AT_ONCE) if taken else None
            return None if found is None or found[0].after > after else found
        return None

    def tick(self) -> None:
        """Bring the head up to date; nothing where nothing was written."""
        changes, at = self._engine.changes, time.monotonic()
        idle = changes is not None and (changes == self._seen[0] and at - self._seen[1] < _IDLE)
        if not self.most_bytes or (idle and self._kept is not None):
            return
        if self._kept is None:
            self._kept = self._loaded()
            done = True
        else:
            parts = self._listing.now(_LIMITS)["samples"]
            with self._taken(-1):
                done = self._advanced(parts, 1 << 62) is not None
        if done:
            self._seen = (changes, at)
        unlearned, self._unlearned = self._unlearned, []
        if unlearned:
            self._learn(unlearned[0] if len(unlearned) == 1 else np.unique(np.concatenate(unlearned)))

    @contextmanager
    def _taken(self, seconds: float) -> Iterator[bool]:
        taken = self._lock.acquire(timeout=seconds)
        try:
            yield taken
        finally:
            if taken:
                self._lock.release()

    def _advanced(self, parts: Parts, most_rows: int) -> tuple[Kept, int] | None:
        """The head as of these parts; None when it has to be loaded anew, or more rows would have to be read."""
        looked, rows = False, 0
        for _ in range(_TRIES):
            kept = self._kept
            if kept is None or kept.parts.number >= parts.number:
                return None if kept is None else (kept, rows)
            fresh = change(_since(kept.parts, kept.after), _since(parts, kept.after)).fresh
            if fresh is None and looked:
                break
            if fresh is None:  # perhaps two lists overtook each other
                parts, looked = self._listing.now(_LIMITS, anew=True)["samples"], True
                continue
            expected = sum(parts.rows[name] for name in fresh)
            if expected > most_rows:
                return None
            try:
                self._long = expected > _ROWS_AT_ONCE
                more = self._read(kept.after, fresh) if fresh else None
            except _TooManyError:
                break
            finally:
                self._long = False
            if fresh:
                rows += 0 if more is None else len(more.times)
                listed = self._listing.now(_LIMITS, anew=True)["samples"]
                if not set(fresh) <= listed.rows.keys():  # merged while they were read
                    parts, looked = listed, True
                    continue
            self._kept = kept.plus(parts, more, self.most_bytes)
            return self._kept, rows
        else:
            return None  # parts are merged faster than they are read: next time
        self._lost, self._kept = kept.after, None
        return None

    def _loaded(self) -> Kept:
        """The newest samples stored: about two hours, or as much as a quarter of the bound holds."""
        parts = self._listing.now(_LIMITS, anew=True)["samples"]
        for after in self._beginnings(parts):
            try:
                return Kept(parts, after).plus(parts, self._read(after), self.most_bytes)
            except _TooManyError:
                continue
        return Kept(parts, self._newest("1", {}))

    def _beginnings(self, parts: Parts) -> Iterator[int]:
        """Times from which on it may be possible to hold everything."""
        if parts.total <= self._most_rows:
            yield _EVER
        newest = self._newest(
            "Time <= fromUnixTimestamp64Milli({now:Int64})", {"now": int(self._now() * 1000) + _HOUR_MS}
        )
        lost, self._lost = self._lost, None
        for after in (*(() if lost is None else (lost,)), *(newest - span for span in _SPANS_MS)):
            later = {"after": after}
            sql = "SELECT count() AS N FROM samples WHERE Time > fromUnixTimestamp64Milli({after:Int64})"
            if int(self._engine.query(sql, later, limits=_LIMITS)["N"].iloc[0]) <= self._most_rows:
                yield after

    def _newest(self, where: str, params: dict[str, object]) -> int:
        sql = f"SELECT toUnixTimestamp64Milli(max(Time)) AS T FROM samples WHERE {where}"
        return int(self._engine.query(sql, params, limits=_LIMITS)["T"].iloc[0])

    @property
    def _most_rows(self) -> int:
        """Rows taken in at once: while they are put in order they take several times their memory."""
        return self.most_bytes // _SAMPLE_BYTES // 4

    def _read(self, after: int, fresh: tuple[str, ...] = ()) -> Flat | None:
        """All samples later than `after`, in the parts `fresh` or in all; None when there are none."""
        sql = "SELECT Id, Time AS T, Value FROM samples WHERE Time > fromUnixTimestamp64Milli({after:Int64})"
        params: dict[str, object] = {"after": after}
        if fresh:
            sql, params = f"{sql} AND _part IN {{fresh:Array(String)}}", {**params, "fresh": list(fresh)}
        columns: dict[str, list[np.ndarray]] = {"Id": [], "T": [], "Value": []}
        rows = 0
        with closing(self._engine.stream(sql, params, limits=_LIMITS)) as blocks:
            for block in blocks:
                rows += block.rows
                if rows > self._most_rows:
                    raise _TooManyError
                if self._ended.is_set():
                    raise _EndedError
                for name, own in columns.items():
                    own.append(block.column(name).copy())
        if not rows:
            return None
        column, times, values = (np.concatenate(columns.pop(name)) for name in ("Id", "T", "Value"))
        ids = np.unique(column[np.append(True, column[1:] != column[:-1])])
        for array in (ids, column, times, values):
            array.setflags(write=False)  # as the kernels are compiled for
        self._unlearned.append(ids)
        return Flat(ids, *arrange(ids, column, times, values))


def _follow(head: weakref.ref[Head], ended: threading.Event) -> None:
    while True:
        one, started = head(), time.monotonic()
        if one is None:
            return
        try:
            one.tick()
        except _EndedError:
            return
        except WindvaneError as error:  # the store is busy or closed: tried again
            log.debug("the newest samples could not be read: %s", error)
        del one
        if ended.wait(max(_EVERY, _REST * (time.monotonic() - started))):
            return


def _since(parts: Parts, after: int) -> Parts:
    """The parts that may have samples later than this: a partition is a day, of whatever time zone."""
    day = np.datetime64(max(after, _EVER) - _DAY_MS, "ms").astype("datetime64[D]")
    first = str(day).replace("-", "")
    kept = {
        name: rows for name, rows in parts.rows.items() if not (name[:8].isdigit() and name[:8] < first)
    }  # patches have other names
    return parts if len(kept) == len(parts.rows) else Parts(kept, parts.number)


def _by_segment(flat: Flat) -> Iterator[tuple[int, Flat]]:
    """The samples of each ten minutes."""
    numbers = flat.times // _SEGMENT_MS
    distinct = np.unique(numbers)[-_MOST_SEGMENTS - 1 :]  # of more the oldest would be dropped anyway
    rows = np.arange(len(flat.ids))
    for number in distinct.tolist():
        low, high = bounds(flat.offsets, flat.times, rows, number * _SEGMENT_MS - 1, (number + 1) * _SEGMENT_MS - 1)
        some = high > low
        yield number, Flat(flat.ids[some], *sliced(flat.times, flat.values, low[some], high[some]))


def _merged(old: Flat, new: Flat, after: int) -> Flat:
    """Both (see `merge`), without the memory that equal samples left over."""
    both = merge(old, new, after)
    if len(both.times) * 9 > (len(old.times) + len(new.times)) * 8:
        return both
    return Flat(both.ids, both.offsets, both.times.copy(), both.values.copy(), both.stale)


@kernel
def located(  # noqa: PLR0917 - numba takes arrays by position
    ids: Ids, own: Ids, offsets: Times, times: Times, after: int, until: int, total: Times
) -> tuple[Times, Times]:
    """First and last (exclusive) sample in (after, until] of the wanted `ids` among a segment's `own`, both ascending.

    Their numbers are added to `total`.
    """
    low = np.zeros(len(ids), np.int64)
    high = np.zeros(len(ids), np.int64)
    row = 0
    for k in range(len(ids)):
        if row < len(own) and own[row] < ids[k]:
            row += 1
            if row < len(own) and own[row] < ids[k]:
                row += np.searchsorted(own[row:], ids[k])
        if row == len(own):
            break
        if own[row] != ids[k]:
            continue
        start, stop = offsets[row], offsets[row + 1]
        if start < stop and times[start] <= after:
            start += np.searchsorted(times[start:stop], after, side="right")
        if start < stop and times[stop - 1] > until:
            stop = start + np.searchsorted(times[start:stop], until, side="right")
        low[k], high[k] = start, stop
        total[k] += stop - start
    return low, high


@kernel
def poured(  # noqa: PLR0917 - numba takes arrays by position
    times: Times, values: Floats, low: Times, high: Times, out_times: Times, out_values: Floats, place: Times
) -> bool:
    """Copy stretches of a segment to the places of their series, which move on; tells of staleness markers."""
    bits = values.view(np.int64)
    stale = 0
    for k in range(len(low)):
        at = place[k]
        for j in range(low[k], high[k]):
            out_times[at] = times[j]
            out_values[at] = values[j]
            stale += bits[j] == _STALE
            at += 1
        place[k] = at
    return stale > 0
