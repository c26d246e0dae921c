"""Keeps all series of a store in memory (`families`), exact by the parts of table `series`.

It says which list of the parts it stands for. A query brings it up to date before it asks (`parts.change`): the
rows of parts that are new are read, and the labels of ids not seen before. Merges join rows and change nothing;
after a deletion everything is read anew. A thread of its own loads it and follows what is announced. Until it is
loaded, where it would be too large, and where a query would have to wait for it, selectors are found by SQL.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import orjson

from windvane.kit.errors import WindvaneError
from windvane.promql.cache import known
from windvane.promql.families import Families
from windvane.promql.follow import Follower
from windvane.promql.labels import Labels, Pool
from windvane.promql.parts import Listing, Parts, change
from windvane.promql.syntax import METRIC_NAME
from windvane.promql.value import Ids, Times
from windvane.store.api import Engine, Limits

_LIMITS = Limits(60.0)
_ROWS_AT_ONCE = 200_000
"""Rows of new parts above which a query does not read them itself."""
_PATIENCE = 0.2
_IDLE = 30.0
_AGAIN = 3600.0
_TRIES = 3
_BATCH = 20_000
_TIMES = "toUnixTimestamp64Milli(FirstSeen) AS F, toUnixTimestamp64Milli(LastSeen) AS L"

Rows = tuple[Ids, Times, Times]


@dataclass(frozen=True, slots=True)
class Held:
    """All series, as `parts` had them or newer."""

    parts: Parts
    families: Families


class _TooLargeError(Exception):
    """More than there is room for."""


class _EndedError(Exception):
    """The index was closed while it was read."""


class SeriesIndex:
    """The series of one store; safe from any thread. Holds nothing before its first `tick`.

    `pool` gives the strings of labels. `most_cells` bounds the labels of all series (4 bytes each), `most_strings`
    the distinct label values.
    """

    def __init__(
        self,
        engine: Engine,
        listing: Listing,
        pool: Callable[[], Pool],
        most_cells: int = 32_000_000,
        most_strings: int = 1_000_000,
    ) -> None:
        self._engine = engine
        self._listing = listing
        self._pool = pool
        self._most_cells = most_cells
        self._most_strings = most_strings
        self._lock = threading.Lock()
        self._held: Held | None = None
        self._long = False
        self._refused: float | None = None
        self._seen: tuple[int | None, float] = (None, 0.0)
        self._follower = Follower("promql-series")

    def start(self) -> None:
        """Load what is there and follow what is announced, in a thread that ends with `close` or with this object."""
        self._follower.start(self)

    def close(self) -> None:
        """End the thread and forget everything. Idempotent."""
        self._follower.close()
        self._held = None

    @property
    def loaded(self) -> bool:
        """Whether series are held."""
        return self._held is not None

    def at(self, parts: Parts) -> Families | None:
        """All series as of these parts of table `series`, or newer; None where SQL is the better way."""
        held = self._held
        if held is None:
            return None
        if held.parts.number >= parts.number:
            return held.families
        if self._long or not self._lock.acquire(timeout=_PATIENCE):
            return None
        try:
            held = self._advanced(parts, _ROWS_AT_ONCE)
        except (WindvaneError, _TooLargeError, _EndedError):
            return None
        finally:
            self._lock.release()
        return None if held is None else held.families

    def labels(self, ids: Ids, pool: Pool) -> Labels | None:
        """Label sets of ids (ascending), row by row; None where some are not held, or not in this pool."""
        held = self._held
        return None if held is None or held.families.pool is not pool else held.families.labels(ids)

    def tick(self) -> None:
        """Bring the index up to date; nothing where nothing was written."""
        changes, at, held = self._engine.changes, time.monotonic(), self._held
        current = held is not None and held.families.pool is self._pool()
        if current and changes is not None and changes == self._seen[0] and at - self._seen[1] < _IDLE:
            return
        with self._lock:
            try:
                self._long = not current  # queries do not wait for it
                done = self._advanced(self._listing.now(_LIMITS)["series"], 1 << 62) if current else self._loaded()
            except _TooLargeError:
                self._held, self._refused = None, at
                return
            except _EndedError:
                return
            finally:
                self._long = False
        if done is not None:
            self._seen = (changes, at)

    def _loaded(self) -> Held | None:
        """Everything, read anew; None when there was no room for it a short while ago."""
        if self._refused is not None and time.monotonic() - self._refused < _AGAIN:
            return None
        parts, pool = self._listing.now(_LIMITS, anew=True)["series"], self._pool()
        families = self._plus(Families.empty(pool), self._rows(()), ())
        if self._pool() is not pool:  # its strings alone fill a pool
            raise _TooLargeError
        self._held, self._refused = Held(parts, families), None
        return self._held

    def _advanced(self, parts: Parts, most_rows: int) -> Held | None:
        """The index as of these parts; None when it has to be loaded anew, or more rows would have to be read."""
        for _ in range(_TRIES):
            held = self._held
            if held is None or held.parts.number >= parts.number:
                return held
            fresh = change(held.parts, parts).fresh
            if fresh is None:
                self._held = None
                return None
            expected = sum(parts.rows[name] for name in fresh)
            if expected > most_rows:
                return None
            families = held.families
            if fresh:
                try:
                    self._long = expected > _ROWS_AT_ONCE
                    families = self._plus(families, self._rows(fresh), fresh)
                finally:
                    self._long = False
                listed = self._listing.now(_LIMITS, anew=True)["series"]
                if not set(fresh) <= listed.rows.keys():  # merged while they were read
                    parts = listed
                    continue
            self._held = Held(parts, families)
            return self._held
        return None  # parts are merged faster than they are read: next time

    def _plus(self, families: Families, rows: Rows, fresh: tuple[str, ...]) -> Families:
        """With announcements; the labels of new series are read from the parts `fresh`, or from all."""
        ids, first, last = rows
        families = families.announced(ids, first, last)
        new = ~known(families.ids, ids)
        ids, first, last = ids[new], first[new], last[new]
        for found, sets in self._sets(ids, fresh):
            unknown = ~known(families.ids, found) & known(ids, found)
            order = np.argsort(found[unknown])
            own, chosen = found[unknown][order], np.flatnonzero(unknown)[order].tolist()
            at = np.searchsorted(ids, own)
            families = families.plus(own, first[at], last[at], [sets[row] for row in chosen])
            if families.cells > self._most_cells or len(families.pool) > self._most_strings:
                raise _TooLargeError
            if self._follower.ended:
                raise _EndedError
        return families

    def _rows(self, fresh: tuple[str, ...]) -> Rows:
        """Ids, ascending, and the bounds of their announcements in the parts `fresh` or in all."""
        clause, params = _of(fresh)
        columns: dict[str, list[np.ndarray]] = {"Id": [], "F": [], "L": []}
        sql = f"SELECT Id, {_TIMES} FROM series WHERE {clause}"
        with closing(self._engine.stream(sql, params, limits=_LIMITS)) as blocks:
            for block in blocks:
                for name, own in columns.items():
                    own.append(block.column(name).copy())
        if not columns["Id"]:
            return np.zeros(0, np.uint64), np.zeros(0, np.int64), np.zeros(0, np.int64)
        ids, first, last = (np.concatenate(columns.pop(name)) for name in ("Id", "F", "L"))
        order = np.argsort(ids)
        ids, first, last = ids[order], first[order], last[order]
        starts = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
        return ids[starts], np.minimum.reduceat(first, starts), np.maximum.reduceat(last, starts)

    def _sets(self, ids: Ids, fresh: tuple[str, ...]) -> Iterator[tuple[Ids, list[dict[str, str]]]]:
        """Label sets of at least these ids, some at a time."""
        clause, params = _of(fresh)
        if len(ids) <= _BATCH:
            if len(ids):
                yield self._fetched(f"{clause} AND Id IN {{ids:Array(UInt64)}}", {**params, "ids": ids})
            return
        frame = self._engine.query(
            f"SELECT toString(Name) AS N, toInt64(count()) AS C FROM series WHERE {clause} GROUP BY N ORDER BY N",
            params,
            limits=_LIMITS,
        )
        for names, pieces in _batches(frame["N"].tolist(), frame["C"].tolist()):
            for low, high in _ranges(pieces):
                where = f"{clause} AND Name IN {{names:Array(String)}} AND Id BETWEEN {low} AND {high}"
                yield self._fetched(where, {**params, "names": names})

    def _fetched(self, where: str, params: dict[str, object]) -> tuple[Ids, list[dict[str, str]]]:
        frame = self._engine.query(
            "SELECT Id, any(toString(Name)) AS N, any(toJSONString(Labels)) AS L "
            f"FROM series WHERE {where} GROUP BY Id",
            params,
            limits=_LIMITS,
        )
        sets = orjson.loads(f"[{','.join(frame['L'].tolist())}]")
        for labels, name in zip(sets, frame["N"].tolist(), strict=True):
            labels[METRIC_NAME] = name
        return frame["Id"].to_numpy(), sets


def _of(fresh: tuple[str, ...]) -> tuple[str, dict[str, object]]:
    return ("_part IN {fresh:Array(String)}", {"fresh": list(fresh)}) if fresh else ("1", {})


def _ranges(pieces: int) -> Iterator[tuple[int, int]]:
    """All ids in so many ranges; the table is in their order below a name, and they are spread evenly."""
    bounds = [piece * (1 << 64) // pieces for piece in range(pieces + 1)]
    for low, high in pairwise(bounds):
        yield low, high - 1


def _batches(names: Sequence[str], counts: Sequence[int]) -> Iterator[tuple[list[str], int]]:
    """Names whose series are fetched together, and in how many pieces."""
    batch: list[str] = []
    size = 0
    for name, count in zip(names, counts, strict=True):
        if batch and size + count > _BATCH:
            yield batch, -(-size // _BATCH)
            batch, size = [], 0
        batch.append(name)
        size += count
    if batch:
        yield batch, -(-size // _BATCH)
