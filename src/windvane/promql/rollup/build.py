"""Days that are over become rollups.

A day is rolled when the next one is over too: by then nearly all late samples have come, and the
sample of midnight, which ends the day's last bucket but stands in the next day's partition, is
settled. What changes later is seen in the numbers of the partitions' blocks (late samples), or of
their mutations and rows (a deletion is a mutation of every partition, of which few lose rows), and
the day is rolled again, as long as its samples are kept. A day is made aside and put in place as a
whole.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from windvane.kit.clock import Clock
from windvane.kit.errors import WindvaneError
from windvane.promql.arrange import arrange
from windvane.promql.rollup import kernels
from windvane.promql.value import Floats, Ids, Times
from windvane.store.api import Engine, Limits

log = logging.getLogger(__name__)

DAY_MS = 86_400_000
WIDTHS = {300_000: "samples_5m", 3_600_000: "samples_1h"}
"""Bucket widths in milliseconds, and their tables."""
_GRACE_MS = 2 * 3_600_000
_SAMPLES_AT_ONCE = 8_000_000
_PATIENT = Limits(seconds=600)

PARTITIONS = """
SELECT toDate(partition) AS Day, max(max_block_number) AS Blocks,
    max(toInt64OrZero(splitByChar('_', name)[5])) AS Changes,
    if(max(has_lightweight_delete), -1, toInt64(sum(rows))) AS Rows
FROM system.parts WHERE active AND database = currentDatabase() AND table = 'samples' GROUP BY Day
"""
"""Rows masked by a lightweight DELETE are still counted, so that their number tells nothing then: -1."""
_ROLLED = "SELECT Day, Blocks, Changes, Rows, NextBlocks, NextChanges, NextRows FROM rolled_days FINAL"


@dataclass(frozen=True, slots=True)
class Newest:
    """How new a partition is: numbers of its newest block and mutation, and its rows (-1: not known).

    All 0 when there is no such partition.
    """

    blocks: int = 0
    changes: int = 0
    rows: int = 0

    def newer_than(self, then: Newest) -> bool:
        """Whether samples came or went since `then`. Nothing but a deletion mutates samples."""
        mutated = self.changes > then.changes
        return self.blocks > then.blocks or (mutated and (self.rows != then.rows or self.rows < 0))


@dataclass(frozen=True, slots=True)
class RolledDays:
    """Which days are rolled, and the partitions of samples as they are now. Days are counted from the epoch."""

    partitions: dict[int, Newest]
    rolled: dict[int, tuple[Newest, Newest]]

    @classmethod
    def of(cls, engine: Engine) -> RolledDays:
        """As the store has it."""
        parts, rolled = engine.query(PARTITIONS), engine.query(_ROLLED)
        return cls(
            {day: Newest(*numbers) for day, *numbers in _rows(parts)},
            {day: (Newest(*numbers[:3]), Newest(*numbers[3:])) for day, *numbers in _rows(rolled)},
        )

    def current(self, day: int) -> tuple[Newest, Newest]:
        """The partition of a day and that of the next, as they are now."""
        return self.partitions.get(day, Newest()), self.partitions.get(day + 1, Newest())

    def stale(self, day: int) -> bool:
        """Whether samples came or went since the day was rolled. Partitions that expired did not change."""
        return any(now.newer_than(then) for now, then in zip(self.current(day), self.rolled[day], strict=True))


class RollupBuilder:
    """Rolls days; `advance` blocks and may be called again at any time, from one thread."""

    def __init__(self, engine: Engine, clock: Clock, kept_seconds: float | None) -> None:
        self._engine = engine
        self._clock = clock
        self._kept_ms = None if kept_seconds is None else int(kept_seconds * 1000)

    @property
    def possible(self) -> bool:
        """Samples must stay long enough to be rolled."""
        return self._kept_ms is None or self._kept_ms >= 2 * DAY_MS

    def advance(self) -> list[datetime.date]:
        """Roll every day that is due, oldest first; the days rolled."""
        days = RolledDays.of(self._engine)
        due = [day for day in sorted(days.partitions) if self._due(day, days)]
        for day in due:
            self._roll(day, days)
        return [_date(day) for day in due]

    def _due(self, day: int, days: RolledDays) -> bool:
        now = self._clock.now_ns() // 1_000_000
        over = now >= (day + 2) * DAY_MS + _GRACE_MS
        whole = self._kept_ms is None or day * DAY_MS > now - self._kept_ms  # nothing of it expired yet
        return over and (day not in days.rolled or (whole and days.stale(day)))

    def _roll(self, day: int, days: RolledDays) -> None:
        for table in WIDTHS.values():
            self._engine.command(f"DROP TABLE IF EXISTS `{table}_new`")
            self._engine.command(f"CREATE TABLE `{table}_new` AS `{table}`")
        for ids, offsets, times, values in self._samples(day):
            for width, table in WIDTHS.items():
                self._write(f"{table}_new", ids, *kernels.buckets(offsets, times, values, width))
        for table in WIDTHS.values():
            self._engine.command(f"ALTER TABLE `{table}` REPLACE PARTITION '{_date(day)}' FROM `{table}_new`")
            self._engine.command(f"DROP TABLE `{table}_new`")
        own, following = days.current(day)
        self._engine.command(
            "INSERT INTO rolled_days (Day, Blocks, Changes, Rows, NextBlocks, NextChanges, NextRows, Written) "
            "SELECT {d:Date}, {a:Int64}, {b:Int64}, {c:Int64}, {e:Int64}, {f:Int64}, {g:Int64}, now64(3)",
            {
                "d": str(_date(day)), "a": own.blocks, "b": own.changes, "c": own.rows,
                "e": following.blocks, "f": following.changes, "g": following.rows,
            },
        )  # fmt: skip

    def _samples(self, day: int) -> Iterator[tuple[Ids, Times, Times, Floats]]:
        """The day's samples, in series order, some series at a time."""
        span = {"after": day * DAY_MS, "until": (day + 1) * DAY_MS}
        counts = self._engine.query(f"SELECT Id, count() AS N FROM samples WHERE {_DAY} GROUP BY Id ORDER BY Id", span,
                                    limits=_PATIENT)  # fmt: skip
        ids, number = counts["Id"].to_numpy(np.uint64), counts["N"].to_numpy(np.int64).cumsum()
        for group in np.split(ids, _cuts(number)):
            if len(group):
                frame = self._engine.query(_SAMPLES, {**span, "low": int(group[0]), "high": int(group[-1])},
                                           limits=_PATIENT)  # fmt: skip
                columns = (frame["Id"].to_numpy(), frame["T"].to_numpy(), frame["Value"].to_numpy())
                offsets, times, values, _ = arrange(group, *columns)
                yield group, offsets, times, values

    def _write(self, table: str, ids: Ids, offsets: Times, ends: Times, facts: Floats) -> None:
        columns: dict[str, object] = {"Id": np.repeat(ids, np.diff(offsets)), "Time": ends.astype("<M8[ms]")}
        for name, column, kind in COLUMNS:
            values = facts[:, column]
            columns[name] = values.astype(np.int64).astype("<M8[ms]") if kind == "<M8[ms]" else values.astype(kind)
        self._engine.insert_frame(table, pd.DataFrame(columns))


_DAY = "Time > fromUnixTimestamp64Milli({after:Int64}) AND Time <= fromUnixTimestamp64Milli({until:Int64})"
_SAMPLES = (
    "SELECT Id, toUnixTimestamp64Milli(Time) AS T, Value FROM samples "
    f"WHERE {_DAY} AND Id >= {{low:UInt64}} AND Id <= {{high:UInt64}}"
)
COLUMNS = (
    ("Count", kernels.COUNT, "<u4"), ("FirstTime", kernels.FIRST_TIME, "<M8[ms]"), ("First", kernels.FIRST, "<f8"),
    ("LastTime", kernels.LAST_TIME, "<M8[ms]"), ("Last", kernels.LAST, "<f8"), ("Min", kernels.MIN, "<f8"),
    ("Max", kernels.MAX, "<f8"), ("Sum", kernels.SUM, "<f8"), ("Resets", kernels.RESETS, "<u4"),
    ("Lost", kernels.LOST, "<f8"), ("Ended", kernels.ENDED, "<i8"),
)  # fmt: skip
"""A table's columns beside Id and Time: name, fact, NumPy type."""


async def run(builder: RollupBuilder, clock: Clock, seconds: float = 600.0) -> None:
    """Roll what is due, now and again until cancelled."""
    while builder.possible:
        try:
            for day in await asyncio.to_thread(builder.advance):
                log.info("rolled the samples of %s", day)
        except WindvaneError as error:
            log.warning("rollups: %s; they are tried again", error)
        await clock.sleep(seconds)
    log.info("no rollups: samples are kept for less than two days")
    await asyncio.Event().wait()


def _cuts(cumulated: Times) -> list[int]:
    """Where to cut series into groups of at most so many samples (a single series may exceed it)."""
    groups = cumulated // _SAMPLES_AT_ONCE
    return [int(place) + 1 for place in np.flatnonzero(np.diff(groups))]


def _rows(frame: pd.DataFrame) -> Iterator[list[int]]:
    days = pd.to_datetime(frame["Day"]).to_numpy("<M8[D]").astype(np.int64)
    yield from ([int(day), *map(int, rest)] for day, rest in zip(days, frame.iloc[:, 1:].to_numpy(), strict=True))


def _date(day: int) -> datetime.date:
    return datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
