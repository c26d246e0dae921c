"""Selectors as samples: from the cache where it has them, from the engine where not.

A read finds its series (`select`), and cuts their samples out of the newest ones of all series (`head`)
if its time is there. Else it looks for an entry of the cache that has them, or can be brought up to
date by reading less than everything: parts inserted since, times before and after, series that are
new. What cannot be kept is read as asked for.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import pandas as pd

from windvane.kit.errors import LimitError
from windvane.promql.arrange import Collector
from windvane.promql.cache import Cut, Entry, Flat, SampleCache, known, merge
from windvane.promql.cancel import Stop, Watch
from windvane.promql.errors import QueryCancelledError, QueryLimitError, QueryTimeoutError
from windvane.promql.head import Head
from windvane.promql.index import SeriesIndex
from windvane.promql.labels import Labels, Pool
from windvane.promql.native.read import NativeReader
from windvane.promql.parts import Change, Listing, Parts, change
from windvane.promql.pieces import PackedSamples, Pieces
from windvane.promql.plan import Read
from windvane.promql.rollup import read as rollups
from windvane.promql.rollup.choose import Segment
from windvane.promql.rollup.nodes import Buckets, RolledNode
from windvane.promql.select import Condition, Selections, SeriesLabels, clamp, condition, which
from windvane.promql.syntax import Matcher
from windvane.promql.value import Ids, Sampled, Samples
from windvane.store.api import Engine, Limits, StoppedError

__all__ = ["Condition", "Loaded", "Reader", "clamp", "condition"]

_TIMEOUT = re.compile(r"TIMEOUT_EXCEEDED|Timeout exceeded|timed? ?out", re.IGNORECASE)
_AFTER, _UNTIL = "fromUnixTimestamp64Milli({after:Int64})", "fromUnixTimestamp64Milli({until:Int64})"
_EVER = clamp(1 << 62)
_SAMPLE_BYTES = 16
_PACKED = 400_000
"""Samples above which they are not all unpacked at once."""
_TAIL_MS = 300_000
_LONG_MS = 6 * 3_600_000  # a part holds at most a day, of which a read this long takes much
_TRIES = 3
_WHERE = "query execution"


@dataclass(frozen=True, slots=True)
class Loaded:
    """Samples of one read, how many of them the query asked for, where they came from, and rows read for them.

    `source` is "head" (from the newest samples of all series), "hit" (all from the cache), "refreshed" (the
    cache's entry was brought up to date), "miss" (read and kept) or "direct" (read and not kept).
    """

    samples: Sampled
    count: int
    source: str
    rows: int


@dataclass(slots=True)
class _Job:
    """One read under way."""

    matchers: tuple[Matcher, ...]
    ids: Ids
    after: int
    until: int
    parts: Parts
    limits: Limits
    stop: Stop
    rows: int = 0

    @property
    def most(self) -> int:
        """Samples it may bring."""
        return self.limits.rows or 1 << 40


class _TooManyError(Exception):
    """A read brought more samples than it may."""


class Reader:
    """Reads selections from one store; safe from any thread.

    `cache_bytes` bounds the samples kept (0: none are); `max_series` the series of one read; `head_bytes` the
    newest samples held once `head.start()` was called (0: none are). `pool` gives the strings of labels.
    """

    def __init__(
        self,
        engine: Engine,
        cache_bytes: int,
        max_series: int,
        head_bytes: int = 0,
        pool: Callable[[], Pool] = Pool,
    ) -> None:
        self._engine = engine
        self._max_series = max_series
        self.cache = SampleCache(cache_bytes)
        self._listing = Listing(engine)
        self.index = SeriesIndex(engine, self._listing, pool)
        self._selections = Selections(self._query, self.index)
        self._labels = SeriesLabels(self._query, self.index)
        self._native = NativeReader(self._query)
        labels = self._labels
        self.head = Head(engine, self._listing, head_bytes, lambda ids: labels.learn(ids, pool()))
        self._watch = Watch(engine)
        self._turns = _Turns()

    def parts(self, stop: Stop, *, anew: bool = False) -> dict[str, Parts]:
        """The parts of the tables; a query asks for them once, before its reads."""
        with self._errors(stop):
            stop.check(_WHERE)
            return self._listing.now(Limits(stop.seconds), anew=anew)

    def read(self, read: Read, pool: Pool, limits: Limits, parts: dict[str, Parts], stop: Stop) -> Loaded:
        """All samples of a read; series without any are left out.

        `QueryLimitError` when there are too many (`limits.rows`), or too many series.
        """
        after, until = clamp(read.after), clamp(read.until)
        plain = Limits(limits.seconds, limits.memory_bytes)
        ids = self._ids(read, parts["series"], plain)
        if not len(ids) or after >= until:
            empty = np.zeros(0, np.int64)
            return Loaded(Samples(Labels.empty(pool), np.zeros(1, np.int64), empty, np.zeros(0)), 0, "hit", 0)
        job = _Job(read.matchers, ids, after, until, parts["samples"], limits, stop)
        cut, source = self._cut(job)
        return self._loaded(job, cut, source, pool, bool(parts["native_histograms"].rows))

    def has_natives(self, read: Read, limits: Limits, parts: dict[str, Parts], stop: Stop) -> bool:
        """Whether series of a read have native histograms in its time."""
        if not parts["native_histograms"].rows:
            return False
        where = condition(read.matchers)
        params = {**where.params, "after": clamp(read.after), "until": clamp(read.until)}
        found = f"Id IN (SELECT Id FROM series WHERE {where.sql}) AND Time > {_AFTER} AND Time <= {_UNTIL}"
        with self._errors(stop):
            plain = Limits(stop.seconds, limits.memory_bytes)
            return bool(
                len(self._query(f"SELECT 1 AS One FROM native_histograms WHERE {found} LIMIT 1", params, plain))
            )

    def buckets(
        self, node: RolledNode, pool: Pool, limits: Limits, parts: dict[str, Parts], stop: Stop
    ) -> tuple[Buckets, int]:
        """The buckets that answer a node, and how many rows that took; errors as of `read`."""
        where, plain = condition(node.matchers), Limits(stop.seconds, limits.memory_bytes)
        ids = self._ids(Read(node.matchers, node.choice.after, node.choice.until), parts["series"], plain)

        def samples(segment: Segment) -> Flat:
            after, until = clamp(segment.after), clamp(segment.until)
            found, _ = self._cut(_Job(node.matchers, ids, after, until, parts["samples"], limits, stop))
            return found.unpacked() if isinstance(found, Pieces) else found.flat

        def labels(own: Ids) -> Labels:
            return self._labels.of(own, pool, where, plain) if len(own) else Labels.empty(pool)

        with self._errors(stop):
            return rollups.read(node, rollups.Source(ids, self._query, samples, labels, plain))

    def _ids(self, read: Read, series: Parts, limits: Limits) -> Ids:
        """Series that match and may have samples in the time, not too many."""
        ids = self._selections.find(read.matchers, series, limits).within(clamp(read.after), clamp(read.until))
        if len(ids) > self._max_series:
            raise QueryLimitError(
                f"the query selects {len(ids)} series with {{{', '.join(map(str, read.matchers))}}}, "
                f"more than the limit of {self._max_series}"
            )
        return ids

    def _loaded(self, job: _Job, found: Cut | Pieces, source: str, pool: Pool, native_rows: bool) -> Loaded:
        where, plain = condition(job.matchers), Limits(job.stop.seconds, job.limits.memory_bytes)
        native = None
        if native_rows:
            within = f"Id IN (SELECT Id FROM series WHERE {where.sql}) AND Time > {_AFTER} AND Time <= {_UNTIL}"
            params = {**where.params, "after": job.after, "until": job.until}
            native = self._native.read(job.ids, within, params, plain)
        if isinstance(found, Pieces) and native is None and found.count > _PACKED:
            labels = self._labels.of(found.ids, pool, where, plain)
            return Loaded(PackedSamples(labels, found), found.count, source, job.rows)
        cut = found.cut(job.ids) if isinstance(found, Pieces) else found
        flat, some, offsets = cut.flat, cut.some, cut.flat.offsets
        if native is not None:
            counts = np.zeros(len(job.ids), np.int64)
            counts[some] = np.diff(offsets)
            some = some | (np.diff(native.offsets) > 0)
            offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[some])])
            native = native.take(np.flatnonzero(some))
        labels = self._labels.of(job.ids if some.all() else job.ids[some], pool, where, plain)
        return Loaded(
            Samples(labels, offsets, flat.times, flat.values, flat.stale, native), cut.count, source, job.rows
        )

    # From the cache, or into it

    def _cut(self, job: _Job) -> tuple[Cut | Pieces, str]:
        found = self._from_head(job)
        if found is not None:
            return found, "head"
        if not self.cache.most_bytes:
            return self._direct(job)
        while True:
            entry = self.cache.find(job.matchers, job.ids, job.after, job.until)
            with self._turns.take(job.matchers if entry is None else entry.matchers, job.stop):
                if self.cache.find(job.matchers, job.ids, job.after, job.until) is not entry:
                    continue  # another query with the same selector has brought it meanwhile
                try:
                    current, source = self._current(job, entry)
                    cut = current.flat.cut(job.ids, job.after, job.until, job.most)
                except _TooManyError:
                    return self._direct(job)
            if cut is None:
                raise _too_many()
            self.cache.count(source)
            return cut, source

    def _from_head(self, job: _Job) -> Pieces | None:
        """From the newest samples, unless the cache has just this: its entries are given without copying."""
        if not self.head.covers(job.after):
            return None
        entry = self.cache.find(job.matchers, job.ids, job.after, job.until)
        if entry is not None and entry.covers(job.ids, job.after, job.until) and self._changed(entry, job).fresh == ():
            return None
        found = self.head.at(job.parts, job.after)
        if found is None:
            return None
        kept, rows = found
        job.rows += rows
        cut = kept.cut(job.ids, job.after, job.until, job.most)
        if cut is None:
            raise _too_many()
        return cut

    def _direct(self, job: _Job) -> tuple[Cut, str]:
        """Just what is asked for."""
        try:
            flat = self._flat(job, job.ids, job.matchers, (job.after, job.until), job.most)
        except _TooManyError:
            raise _too_many() from None
        cut = flat.cut(job.ids, job.after, job.until, job.most)
        assert cut is not None
        return cut, "direct"

    def _current(self, job: _Job, entry: Entry | None) -> tuple[Entry, str]:
        """An entry that has all the job asks for, as the store is now."""
        for _ in range(_TRIES):
            changed = Change(None) if entry is None else self._changed(entry, job)
            if entry is None or changed.fresh is None:
                break
            if not changed.fresh and entry.covers(job.ids, job.after, job.until):
                return entry, "hit"
            newer = self._refreshed(job, entry, changed.fresh)
            if newer is not None:
                self.cache.replace(entry, newer)
                return newer, "refreshed"
            job.parts = self.parts(job.stop, anew=True)["samples"]  # parts merged while they were read: look again
        else:
            entry = None
        made = self._made(job)
        if entry is None:
            self.cache.keep(made)
        else:
            self.cache.replace(entry, made)
        return made, "miss"

    def _changed(self, entry: Entry, job: _Job) -> Change:
        if entry.parts.number >= job.parts.number:
            return Change(())
        return change(entry.parts, job.parts)

    def _made(self, job: _Job) -> Entry:
        until = self._open(job)
        flat = self._flat(job, job.ids, job.matchers, (job.after, until), self._most_kept(job))
        return Entry(job.matchers, flat, job.after, until, job.parts, job.until - job.after)

    def _refreshed(self, job: _Job, entry: Entry, fresh: tuple[str, ...]) -> Entry | None:
        """The entry with what it lacks; None when parts to be read are gone (merged) by now."""
        low, high = min(job.after, entry.after), entry.until
        if job.until > entry.until:
            high = max(self._open(job), entry.until)
        most, own = self._most_kept(job), entry.flat.ids
        news: list[Flat] = []
        if fresh:
            news.append(self._flat(job, own, entry.matchers, (entry.after, entry.until), most, fresh))
            if not set(fresh) <= self.parts(job.stop, anew=True)["samples"].rows.keys():
                return None
        if high > entry.until:
            news.append(self._flat(job, own, entry.matchers, (entry.until, high), most))
        if low < entry.after:
            news.append(self._flat(job, own, entry.matchers, (low, entry.after), most))
        missing = job.ids[~known(own, job.ids)]
        if len(missing):
            news.append(self._flat(job, missing, job.matchers, (low, high), most))
        span = max(entry.span, job.until - job.after)
        return _put_together(entry, news, job, (low, high, span))

    def _open(self, job: _Job) -> int:
        """The end of the time to keep: open where the query reaches to about the newest sample."""
        frame = self._query("SELECT toUnixTimestamp64Milli(max(Time)) AS T FROM samples", {}, Limits(job.stop.seconds))
        newest = int(frame["T"].iloc[0])
        return _EVER if newest - job.until <= max(_TAIL_MS, (job.until - job.after) // 8) else job.until

    def _most_kept(self, job: _Job) -> int:
        return max(job.most, self.cache.most_bytes // _SAMPLE_BYTES)

    # From the engine

    def _flat(  # noqa: PLR0917 - what to read, and how much of it at most
        self,
        job: _Job,
        ids: Ids,
        matchers: tuple[Matcher, ...],
        times: tuple[int, int],
        most: int,
        fresh: tuple[str, ...] = (),
    ) -> Flat:
        """Samples of `ids`, which `matchers` hold for, at times in (after, until], in the parts `fresh` or in all."""
        clause, params = which(ids, condition(matchers))
        if fresh:
            clause += " AND _part IN {fresh:Array(String)}"
        params = {**params, "after": times[0], "until": times[1], "fresh": list(fresh)}
        sql = f"SELECT Id, Time AS T, Value FROM samples WHERE {clause} AND Time > {_AFTER} AND Time <= {_UNTIL}"
        limits = Limits(job.stop.seconds, job.limits.memory_bytes)
        most_of_parts = min(times[1], job.until) - times[0] >= _LONG_MS
        collector = Collector(ids, job.parts.total, most)
        with (
            self._errors(job.stop),
            self._watch.read(job.stop) as tag,
            closing(self._engine.stream(sql, params, limits=limits, tag=tag, in_turn=most_of_parts)) as blocks,
        ):
            for block in blocks:
                job.stop.check(_WHERE)
                collector.add(block)
                if collector.full:
                    raise _TooManyError
        job.rows += collector.rows
        return Flat(ids, *collector.arranged())

    def _query(self, sql: str, params: dict[str, object], limits: Limits) -> pd.DataFrame:
        with self._errors(None):
            return self._engine.query(sql, params, limits=limits)

    @contextmanager
    def _errors(self, stop: Stop | None) -> Iterator[None]:
        """The engine's errors in the query's words."""
        try:
            yield
        except StoppedError as error:
            raise QueryCancelledError(f"query was canceled in {_WHERE}") from error
        except QueryLimitError:
            raise
        except LimitError as error:
            if stop is not None:
                stop.check(_WHERE)
            if isinstance(error, QueryTimeoutError) or _TIMEOUT.search(error.message):
                raise QueryTimeoutError(f"query timed out in {_WHERE}") from error
            raise _too_many(f" ({error.message})") from error


def _too_many(why: str = "") -> QueryLimitError:
    return QueryLimitError(f"query processing would load too many samples into memory in query execution{why}")


def _put_together(entry: Entry, news: list[Flat], job: _Job, frame: tuple[int, int, int]) -> Entry:
    """The entry with new samples; times that no query has asked for lately are let go."""
    low, high, span = frame
    news = [new for new in news if len(new.times) or not known(entry.flat.ids, new.ids).all()]
    if not news:
        return Entry(entry.matchers, entry.flat, low, high, job.parts, span)
    more = news[0]
    for new in news[1:]:
        more = merge(more, new, low)
    newest = max(int(more.times.max(initial=low)), int(entry.flat.times.max(initial=low)))
    if newest - low > 3 * span:
        low = min(newest - 2 * span, job.after)
    return Entry(entry.matchers, merge(entry.flat, more, low), low, high, job.parts, span)


class _Turns:
    """One query at a time brings the samples of a selector; the others then find them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[tuple[Matcher, ...], tuple[threading.Lock, int]] = {}

    @contextmanager
    def take(self, matchers: tuple[Matcher, ...], stop: Stop) -> Iterator[None]:
        """Wait for this selector's turn."""
        with self._lock:
            lock, waiting = self._taken.get(matchers, (threading.Lock(), 0))
            self._taken[matchers] = (lock, waiting + 1)
        try:
            stop.acquire(lock, _WHERE)
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._lock:
                _, waiting = self._taken[matchers]
                if waiting == 1:
                    del self._taken[matchers]
                else:
                    self._taken[matchers] = (lock, waiting - 1)
