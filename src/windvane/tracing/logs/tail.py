"""Following lines as they are stored: every line once, in the order of arrival, late ones too.

What is new is told by insert numbers, not by times: a table's inserts become visible in the order of their numbers,
and a row keeps its number through merges. One reader serves all followers: it asks each table once for all
their conditions. A follower who reads too slowly loses lines, and is told how many.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.store.api import Engine
from windvane.tracing.filters.ast import Expression
from windvane.tracing.filters.compile import condition
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.logs.lines import Line, columns, lines
from windvane.tracing.logs.sources import SOURCES, Source

_log = logging.getLogger(__name__)
_MARK = re.compile(r"(\d{1,18})\.(\d{1,18})-(\d{1,18})\.(\d{1,18})")

Mark = tuple[int, int]
"""An insert number and a position in that insert: all lines up to there are known."""


@dataclass(frozen=True, slots=True)
class TailSettings:
    """`interval` seconds between readings; `lines` that may wait for a follower; `batch` lines read at once."""

    interval: float = 0.3
    lines: int = 10_000
    batch: int = 5_000


@dataclass(frozen=True, slots=True)
class Told:
    """What a follower gets: a line and the place to go on from behind it, or a number of lines that were skipped."""

    line: Line | None
    skipped: int
    position: str


@dataclass(eq=False, slots=True)
class _Follower:
    sources: Sequence[Source]
    where: Expression
    marks: list[Mark]
    waiting: deque[Told] = field(default_factory=deque)
    skipped: int = 0
    awake: asyncio.Event = field(default_factory=asyncio.Event)

    def offer(self, line: Line, most: int) -> None:
        """Take a line that matches, or count it as skipped."""
        self.marks[line.place.rank] = (line.place.block, line.place.offset)
        if len(self.waiting) >= most:
            self.skipped += 1
            return
        self.flush()
        self.waiting.append(Told(line, 0, position(self.marks)))

    def flush(self) -> None:
        """Put what was skipped in its place among the lines."""
        if self.skipped:
            self.waiting.append(Told(None, self.skipped, position(self.marks)))
            self.skipped = 0


class Tail:
    """Followers of one store's lines. Lives in one event loop."""

    def __init__(self, engine: Engine, clock: Clock, settings: TailSettings | None = None) -> None:
        self._engine = engine
        self._clock = clock
        self._settings = settings or TailSettings()
        self._followers: set[_Follower] = set()
        self._reader: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def followers(self) -> int:
        """How many follow."""
        return len(self._followers)

    def close(self) -> None:
        """End every follower's stream."""
        self._closed = True
        for follower in self._followers:
            follower.awake.set()

    async def position(self) -> str:
        """The position behind everything that is stored now."""
        return position(await asyncio.to_thread(self._newest))

    async def follow(
        self, where: Expression, sources: Sequence[Source] = SOURCES, after: str = "", *, patience: float = 10.0
    ) -> AsyncGenerator[Told | None, None]:
        """Lines stored from now on, or behind the position `after`; None when for `patience` seconds there were none.

        `BadInputError` for a condition or a position that cannot be.
        """
        for source in sources:
            condition(where, source.fields, Conditions())
        newest = await asyncio.to_thread(self._newest)
        follower = _Follower(sources, where, _marks(after, newest))
        self._followers.add(follower)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read_on())
        try:
            while not self._closed:
                if not follower.waiting and not await _within(patience, follower.awake):
                    yield None
                follower.awake.clear()
                while follower.waiting:
                    yield follower.waiting.popleft()
                follower.flush()
        finally:
            self._followers.discard(follower)

    async def _read_on(self) -> None:
        seen: int | None = None
        while self._followers and not self._closed:
            changes = self._engine.changes
            behind = len({tuple(follower.marks) for follower in self._followers}) > 1
            if changes is None or changes != seen or behind:
                try:
                    await self._read()
                    seen = changes
                except WindvaneError as error:
                    _log.warning("tail of logs: reading failed, it is tried again: %s", error)
            await self._clock.sleep(self._settings.interval)

    async def _read(self) -> None:
        """Bring every follower up to the newest insert; those with the same mark by one query."""
        newest = await asyncio.to_thread(self._newest)
        for source in SOURCES:
            upto = newest[source.rank]
            groups: dict[Mark, list[_Follower]] = {}
            for follower in self._followers:
                if follower.marks[source.rank] < upto:
                    groups.setdefault(follower.marks[source.rank], []).append(follower)
            for mark, group in groups.items():
                await self._advance(source, group, mark, upto)

    async def _advance(self, source: Source, group: list[_Follower], mark: Mark, upto: Mark) -> None:
        wanting = [follower for follower in group if source in follower.sources]
        while wanting:
            asked = [follower.where for follower in wanting]
            found = await asyncio.to_thread(self._between, source, asked, mark, upto)
            for line in found:
                for follower, matches in zip(wanting, line.matches, strict=True):
                    if matches:
                        follower.offer(line, self._settings.lines)
            for follower in wanting:
                follower.awake.set()
            if len(found) < self._settings.batch:
                break
            mark = (found[-1].place.block, found[-1].place.offset)
        for follower in group:
            follower.marks[source.rank] = upto

    def _newest(self) -> list[Mark]:
        """The number of the newest insert of each table; every insert up to there is visible."""
        frame = self._engine.query(
            "SELECT table AS T, max(max_block_number) AS Block FROM system.parts"
            " WHERE database = currentDatabase() AND active AND table IN {tables:Array(String)} GROUP BY table",
            {"tables": [source.table for source in SOURCES]},
        )
        blocks = dict(zip(frame["T"].tolist(), frame["Block"].tolist(), strict=True))
        return [(int(blocks.get(source.table, 0)), _LAST) for source in SOURCES]

    def _between(self, source: Source, asked: Sequence[Expression], mark: Mark, upto: Mark) -> list[Line]:
        """Lines behind `mark` up to `upto` that match any of the conditions; `matches` tells which.

        Parts of old inserts are left out by name. A part that was merged meanwhile has another name and is read.
        """
        where = Conditions()
        flags = [f"Match{number}" for number in range(len(asked))]
        matches = [f"{condition(one, source.fields, where)} AS {flag}" for one, flag in zip(asked, flags, strict=True)]
        params = {"block": mark[0], "offset": mark[1], "upto": upto[0], "old": self._old(source, mark[0])}
        frame = self._engine.query(
            f"SELECT {columns(source)}, {', '.join(matches)} FROM {source.table}"
            " WHERE _part NOT IN {old:Array(String)} AND _block_number BETWEEN {block:Int64} AND {upto:Int64}"
            " AND (_block_number > {block:Int64} OR _block_offset > {offset:Int64})"
            f" AND ({' OR '.join(flags)}) ORDER BY _block_number, _block_offset LIMIT {self._settings.batch}",
            {**where.params, **params},
        )
        return lines(source, frame, flags)

    def _old(self, source: Source, block: int) -> list[str]:
        frame = self._engine.query(
            "SELECT name AS N FROM system.parts WHERE database = currentDatabase() AND active"
            " AND table = {table:String} AND max_block_number < {block:Int64}",
            {"table": source.table, "block": block},
        )
        return [str(name) for name in frame["N"].tolist()]


_LAST = 10**15  # no insert has so many lines


def position(marks: Iterable[Mark]) -> str:
    """Marks as they travel."""
    return "-".join(f"{block}.{offset}" for block, offset in marks)


def position_marks(text: str) -> list[Mark] | None:
    """The marks of a position, None for an empty text; `BadInputError` for what is no position."""
    if not text:
        return None
    match = _MARK.fullmatch(text)
    if match is None:
        raise BadInputError(f"{text!r} is no position in a tail")
    numbers = [int(number) for number in match.groups()]
    return [(numbers[0], numbers[1]), (numbers[2], numbers[3])]


def _marks(after: str, newest: list[Mark]) -> list[Mark]:
    """Where to begin; behind the newest of a store that has been emptied since."""
    asked = position_marks(after)
    return newest if asked is None else [min(mark, limit) for mark, limit in zip(asked, newest, strict=True)]


async def _within(seconds: float, event: asyncio.Event) -> bool:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
            return True
    return False
