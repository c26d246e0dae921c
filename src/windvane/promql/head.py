"""The newest samples of all series in memory: what most queries ask for is not read from the store.

The store's table is ordered by series within a day, so a short window of many series costs the decoding
of a day. The head holds everything later than some time (`Kept.after`): the last half hour flat, what is
older packed (`pack`), as much as `most_bytes` allow; the oldest go first.

It is as exact as the cache: it says which list of the table's parts it stands for, a query brings it up
to date before it answers (`parts.change`), and after a deletion it is read anew. A thread follows what is
written, so that queries find little to do, and from the newest it loads at start it goes back in time,
a day at once, until it has all or what it may hold. A query whose window reaches back further, or that
would wait for a large read, goes to the cache.
"""

from __future__ import annotations

import logging
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress

import numpy as np

from windvane.kit.errors import WindvaneError
from windvane.promql.arrange import arrange
from windvane.promql.cache import Flat
from windvane.promql.kept import Kept
from windvane.promql.parts import Listing, Parts, change, without
from windvane.promql.value import Ids
from windvane.store.api import Engine, Limits

log = logging.getLogger(__name__)

_EVER = -2_208_988_800_000
"""Nothing is stored before (1900, what a DateTime64 can hold)."""
_SAMPLE_BYTES = 16
_SPANS_MS = (7_200_000, 3_600_000, 1_200_000, 300_000)
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000
_BACK_MS = (_DAY_MS, 6 * _HOUR_MS, 2 * _HOUR_MS)
"""Time that is loaded at once when going back: a day costs hardly more than its last two hours."""
_CHUNK = 2_000_000
"""Rows put in order and packed at once: 100 MB meanwhile."""
_ROWS_AT_ONCE = 1_500_000
"""Rows of new parts above which a query does not read them itself."""
_PATIENCE = 0.5
_EVERY = 2.0
_OFTEN = 0.2
_MANY = 200_000
"""Rows taken in at once after which more are looked for soon: parts that wait are merged, and then read whole."""
_REST = 0.5
"""While much is written at once (history sent again), so many times as long as it works it rests."""
_IDLE = 30.0
_TRIES = 3
_LIMITS = Limits(60.0)
_LATER = "Time > fromUnixTimestamp64Milli({after:Int64})"
_NOT_LATER = "Time <= fromUnixTimestamp64Milli({until:Int64})"


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
        self._back = False
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
        with self._taken(_PATIENCE) as taken, suppress(WindvaneError, _EndedError):
            found = self._advanced(parts, _ROWS_AT_ONCE) if taken else None
            return None if found is None or found[0].after > after else found
        return None

    def tick(self) -> int:
        """Bring the head up to date, or further back in time, where there is anything to do; rows taken in."""
        changes, at = self._engine.changes, time.monotonic()
        idle = changes is not None and (changes == self._seen[0] and at - self._seen[1] < _IDLE)
        if not self.most_bytes or (idle and self._kept is not None and self._back):
            return 0
        rows = 0
        if self._kept is None:
            self._kept, done = self._loaded(), True
            self._back = self._kept.after <= _EVER
        else:
            with self._taken(-1):
                found = self._advanced(self._listing.now(_LIMITS)["samples"], 1 << 62)
            done, rows = found is not None, 0 if found is None else found[1]
            if done and not self._back:
                self._back = self._deeper()
        if done:
            self._seen = (changes, at)
        unlearned, self._unlearned = self._unlearned, []
        if unlearned:
            self._learn(unlearned[0] if len(unlearned) == 1 else np.unique(np.concatenate(unlearned)))
        return rows

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
            if sum(parts.rows[name] for name in fresh) > most_rows:
                return None
            for more in self._read(kept.after, fresh=fresh, learn=True) if fresh else ():
                rows += len(more.times)
                kept = self._plus(kept, kept.parts, more)
            if fresh:
                listed = self._listing.now(_LIMITS, anew=True)["samples"]
                merged = set(fresh) - listed.rows.keys()
                if merged:  # while they were read; what was read of others counts
                    self._kept = self._plus(kept, without(kept.parts, parts, merged), None)
                    parts, looked = listed, True
                    continue
            self._kept = self._plus(kept, parts, None)
            return self._kept, rows
        else:
            return None  # parts are merged faster than they are read: next time
        self._lost, self._kept = kept.after, None
        return None

    def _plus(self, kept: Kept, parts: Parts, more: Flat | None) -> Kept:
        return kept.plus(parts, more, self.most_bytes, int(self._now() * 1000))

    def _deeper(self) -> bool:
        """Load some of what is older than all held; whether there is no more, or no room for it."""
        kept = self._kept
        parts = self._listing.now(_LIMITS, anew=True)["samples"]
        after = None if kept is None or kept.after <= _EVER else self._earlier(kept, parts)
        if kept is None or after is None:
            return kept is not None
        room = self.most_bytes - kept.nbytes
        older = Kept(parts, after, 1 << 62)
        for more in self._read(after, until=kept.after):
            older = older.plus(parts, more, room)
        with self._taken(-1):
            now = self._kept
            if now is None or now.after != kept.after:
                return False
            fresh = change(_since(parts, after), _since(now.parts, after)).fresh
            if fresh is None:
                return False
            for more in self._read(after, until=kept.after, fresh=fresh) if fresh else ():
                older = older.plus(parts, more, room)
            if fresh and not set(fresh) <= self._listing.now(_LIMITS, anew=True)["samples"].rows.keys():
                return False
            self._kept = now.joined(older, self.most_bytes)
            return self._kept.after != after

    def _earlier(self, kept: Kept, parts: Parts) -> int | None:
        """From which time on as much as there is room for may be held; None if not from any before."""
        until, days = kept.after, [name[:8] for name in parts.rows if name[:8].isdigit()]
        if not days or min(days) > _day(until + _DAY_MS):
            return _EVER
        newest = self._newest(_NOT_LATER, {"until": until})
        sql = f"SELECT count() AS N FROM samples WHERE {_LATER} AND {_NOT_LATER}"
        for span in _BACK_MS:
            after = min(newest, until) // span * span - 1
            after = after if _day(after - _DAY_MS) >= min(days) else _EVER if span == _DAY_MS else after
            rows = int(self._engine.query(sql, {"after": after, "until": until}, limits=_LIMITS)["N"].iloc[0])
            if rows * kept.sample_bytes * 1.2 <= self.most_bytes - kept.nbytes:
                return after
        return None

    def _loaded(self) -> Kept:
        """The newest samples stored: about two hours, or as much as a quarter of the bound holds flat."""
        parts = self._listing.now(_LIMITS, anew=True)["samples"]
        kept = Kept(parts, next(self._beginnings(parts)))
        for more in self._read(kept.after, learn=True):
            kept = self._plus(kept, parts, more)
        return kept

    def _beginnings(self, parts: Parts) -> Iterator[int]:
        """Times from which on it may be possible to hold everything."""
        if parts.total <= self._most_rows:
            yield _EVER
        newest = self._newest(_NOT_LATER, {"until": int(self._now() * 1000) + _HOUR_MS})
        lost, self._lost = self._lost, None
        for after in (*(() if lost is None else (lost,)), *(newest - span for span in _SPANS_MS)):
            later = {"after": after}
            sql = f"SELECT count() AS N FROM samples WHERE {_LATER}"
            if int(self._engine.query(sql, later, limits=_LIMITS)["N"].iloc[0]) <= self._most_rows:
                yield after
        yield self._newest("1", {})

    def _newest(self, where: str, params: dict[str, object]) -> int:
        sql = f"SELECT toUnixTimestamp64Milli(max(Time)) AS T FROM samples WHERE {where}"
        return int(self._engine.query(sql, params, limits=_LIMITS)["T"].iloc[0])

    @property
    def _most_rows(self) -> int:
        """Rows loaded at first, before it is known how small they can be packed."""
        return self.most_bytes // _SAMPLE_BYTES // 4

    def _read(
        self, after: int, *, until: int | None = None, fresh: tuple[str, ...] = (), learn: bool = False
    ) -> Iterator[Flat]:
        """All samples later than `after` (and not than `until`), in the parts `fresh` or in all; many at once.

        With `learn` their series are those whose labels are wanted next.
        """
        sql = f"SELECT Id, Time AS T, Value FROM samples WHERE {_LATER}"
        params: dict[str, object] = {"after": after}
        if until is not None:
            sql, params = f"{sql} AND {_NOT_LATER}", {**params, "until": until}
        if fresh:
            sql, params = f"{sql} AND _part IN {{fresh:Array(String)}}", {**params, "fresh": list(fresh)}
        blocks: list[tuple[np.ndarray, ...]] = []
        rows = 0
        with closing(self._engine.stream(sql, params, limits=_LIMITS, in_turn=True)) as stream:
            for block in stream:
                if self._ended.is_set():
                    raise _EndedError
                rows += block.rows
                blocks.append(tuple(block.column(name).copy() for name in ("Id", "T", "Value")))
                if rows >= _CHUNK:
                    yield self._learnt(_arranged(blocks), learn)
                    rows = 0
        if rows:
            yield self._learnt(_arranged(blocks), learn)

    def _learnt(self, flat: Flat, learn: bool) -> Flat:
        if learn:
            self._unlearned.append(flat.ids)
        return flat


def _follow(head: weakref.ref[Head], ended: threading.Event) -> None:
    while True:
        one, started = head(), time.monotonic()
        if one is None:
            return
        pause = _EVERY
        try:
            pause = _OFTEN if one.tick() > _MANY else _EVERY
        except _EndedError:
            return
        except WindvaneError as error:  # the store is busy or closed: tried again
            log.debug("the newest samples could not be read: %s", error)
        del one
        if ended.wait(max(pause, _REST * (time.monotonic() - started))):
            return


def _arranged(blocks: list[tuple[np.ndarray, ...]]) -> Flat:
    """Blocks in flat series order; they are taken out of the list."""
    column, times, values = (np.concatenate(own) for own in zip(*blocks, strict=True))
    blocks.clear()
    ids = np.unique(column[np.append(True, column[1:] != column[:-1])])
    for array in (ids, column, times, values):
        array.setflags(write=False)  # as the kernels are compiled for
    return Flat(ids.copy(), *arrange(ids, column, times, values))  # ids as those of merged samples: one kind


def _since(parts: Parts, after: int) -> Parts:
    """The parts that may have samples later than this: a partition is a day, of whatever time zone."""
    first = _day(after - _DAY_MS)
    kept = {
        name: rows for name, rows in parts.rows.items() if not (name[:8].isdigit() and name[:8] < first)
    }  # patches have other names
    return parts if len(kept) == len(parts.rows) else Parts(kept, parts.number)


def _day(time_ms: int) -> str:
    """The day of a time, as names of partitions have it."""
    return str(np.datetime64(max(time_ms, _EVER), "ms").astype("datetime64[D]")).replace("-", "")
