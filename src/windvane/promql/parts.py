"""Which parts a table is made of, and what has changed since one looked before.

The store's tables are sets of immutable parts. A part's name tells its partition, the numbers of the
first and last inserted block in it, how often it was merged, and the last mutation (deletion) applied
to it: `20231114_7_12_2_15`. A merge puts neighbouring parts into one whose block range holds theirs
and keeps all rows; an insert is a part with new numbers; a deletion writes parts with a mutation of
their own. So two lists of names and row counts tell what was inserted between them, and whether
anything was taken away.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from windvane.store.api import DEFAULT_LIMITS, Engine, Limits

TABLES = ["samples", "series", "native_histograms"]
_COLLAPSING = {"series"}
_SECONDS = 1.0
_LISTED = (
    "SELECT table AS T, name AS N, rows AS R FROM system.parts "
    "WHERE database = currentDatabase() AND active AND table IN {tables:Array(String)}"
)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a table, as its name has it."""

    name: str
    partition: str
    first: int
    last: int
    mutation: int
    rows: int

    @classmethod
    def of(cls, name: str, rows: int) -> Part:
        """From a part's name: partition, first and last block, level, and perhaps a mutation."""
        partition, first, last, _, *mutation = name.split("_")
        return cls(name, partition, int(first), int(last), int(mutation[0]) if mutation else 0, rows)

    def holds(self, other: Part) -> bool:
        """Whether the other's blocks are among this one's."""
        return self.partition == other.partition and self.first <= other.first and other.last <= self.last


@dataclass(frozen=True)
class Parts:
    """The active parts of a table at one moment: rows by name. Later lists have greater numbers.

    Merges of a table that is `collapsing` join rows, so row counts do not tell what a part holds.
    """

    rows: dict[str, int]
    number: int = 0
    collapsing: bool = False

    @cached_property
    def all(self) -> list[Part]:
        """Each of them."""
        return [Part.of(name, rows) for name, rows in self.rows.items()]

    @property
    def total(self) -> int:
        """Rows of the table."""
        return sum(self.rows.values())


@dataclass(frozen=True, slots=True)
class Change:
    """What one list of parts has and an older one had not.

    `fresh` names parts with new rows (perhaps beside old ones); None when rows may have been taken
    away or altered, so that nothing known from before holds.
    """

    fresh: tuple[str, ...] | None


def change(before: Parts, after: Parts) -> Change:
    """What happened between two lists."""
    gone = [part for part in before.all if part.name not in after.rows]
    came = [part for part in after.all if part.name not in before.rows]
    fresh: list[str] = []
    for part in came:
        if part.partition.startswith("patch"):  # rows altered in place (lightweight updates)
            return Change(None)
        inside = [old for old in gone if part.holds(old)]
        if any(old.mutation != part.mutation for old in inside):
            return Change(None)
        gone = [old for old in gone if old not in inside]
        if after.collapsing:
            known = sum(old.last - old.first + 1 for old in inside)
            size = part.last - part.first + 1  # in blocks; such a table has no partitions, so no gaps
        else:
            known, size = sum(old.rows for old in inside), part.rows
        if size < known:
            return Change(None)
        if size > known:
            fresh.append(part.name)
    return Change(None if gone else tuple(fresh))


def without(before: Parts, after: Parts, unread: set[str]) -> Parts:
    """The parts of which all is known when some of the later list could not be read, as old as the older list.

    In the place of an unread part stand those of the older list whose rows are in it.
    """
    kept = {name: rows for name, rows in after.rows.items() if name not in unread}
    gone = [part for part in after.all if part.name in unread]
    for old in before.all:
        if any(part.holds(old) for part in gone):
            kept[old.name] = old.rows
    return Parts(kept, before.number, after.collapsing)


class Listing:
    """Lists the parts of the metrics' tables of one store.

    A list is good for others as long as the engine counts no change: a dashboard's queries share one.
    After `_SECONDS` it is made anew in any case, for what the engine does by itself.
    """

    def __init__(self, engine: Engine, clock: Callable[[], float] = time.monotonic) -> None:
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._begun = self._made = 0
        self._last: tuple[int | None, float, dict[str, Parts]] = (None, 0.0, {})

    def now(self, limits: Limits = DEFAULT_LIMITS, *, anew: bool = False) -> dict[str, Parts]:
        """The parts of each table; asked of the engine if `anew`.

        One list is made at a time, for a list with a greater number must not be the older one: an answer
        computed from the one would be kept as the answer for the other. Who waited takes a list begun meanwhile.
        """
        kept = None if anew else self._good()
        if kept is not None:
            return kept
        begun = self._begun
        with self._lock:
            if self._made > begun or (not anew and self._good() is not None):
                return self._last[2]
            changes, at = self._engine.changes, self._clock()
            self._begun += 1
            found = self._list(self._begun, limits)
            self._last, self._made = (changes, at, found), self._begun
            return found

    def _good(self) -> dict[str, Parts] | None:
        changes, at, last = self._last
        same = changes is not None and changes == self._engine.changes
        return last if same and self._clock() - at < _SECONDS else None

    def _list(self, number: int, limits: Limits) -> dict[str, Parts]:
        frame = self._engine.query(_LISTED, {"tables": TABLES}, limits=limits)
        rows: dict[str, dict[str, int]] = {table: {} for table in TABLES}
        for table, name, count in zip(frame["T"].tolist(), frame["N"].tolist(), frame["R"].tolist(), strict=True):
            rows[table][name] = count
        return {table: Parts(own, number, table in _COLLAPSING) for table, own in rows.items()}
