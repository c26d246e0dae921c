"""Counters that carry their watermark: families of running totals, written with the number they count up to.

All totals, and the number of the last commit that they count, are written with one timestamp in one
INSERT. One INSERT into one partition is atomic: after a crash the newest such number and the totals
beside it are the state to go on from, so every row is counted once (ADR 0001). A new series is preceded by
a zero, so that its first increase counts; a series that was idle for long ends with a staleness marker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from windvane.ingest.families import Family
from windvane.store.api import Engine, Limits
from windvane.store.series import NAME, STALE, SampleWriter, series_id

# Nobody waits for a tick; the first one after a long pause has much to count.
PATIENT = Limits(seconds=600.0)

Own = tuple[Mapping[str, str], float]
"""Labels of a series, with its name, and its value."""


class RunningTotals:
    """Families of one watermark. `recover` first, and again after any error; not safe from several threads.

    `interval` and `idle` are seconds: between two writes, and until an unchanged series ends.
    """

    def __init__(
        self, engine: Engine, watermark: str, families: Sequence[Family], *, interval: float, idle: float
    ) -> None:
        self._engine = engine
        self._writer = SampleWriter(engine)
        self._name = watermark
        self._interval_ms, self._idle_ms = int(interval * 1_000), idle * 1_000
        self.families = families
        self.watermark = self.time_ms = 0
        self.dropped = False

    @property
    def live(self) -> int:
        """How many series there are."""
        return sum(family.ids.size for family in self.families)

    def next_ms(self, now_ms: int) -> int:
        """When the next write is: never twice at one time."""
        return max(now_ms, self.time_ms + 2)

    def write(self, upto: int, now_ms: int, known: Sequence[int], own: Sequence[Own] = ()) -> int:
        """Write every total at `next_ms(now_ms)`, and the watermark; how many samples that were.

        `known` are the families' lengths before rows were added; `own` is written besides. Afterwards
        `dropped` tells whether rows of families have other numbers.
        """
        zero_ms = max(self.time_ms, now_ms - 2 * self._interval_ms) + 1
        now_ms = self.next_ms(now_ms)
        upto = max(upto, self.watermark)
        if not upto and not any(map(len, self.families)):
            self.time_ms = now_ms
            return 0
        for family in self.families:
            family.announce(self._engine, now_ms)
        samples = self._write([({NAME: self._name}, float(upto)), *own], now_ms, zero_ms, known)
        self.watermark, self.time_ms = upto, now_ms
        return samples

    def _write(self, own: Sequence[Own], now_ms: int, zero_ms: int, known: Sequence[int]) -> int:
        ids = [self._writer.ids([labels for labels, _ in own], np.full(len(own), now_ms))]
        values = [np.array([value for _, value in own])]
        zeros = [family.ids[old:].ravel() for family, old in zip(self.families, known, strict=True)]
        idle = [np.flatnonzero(family.changed < now_ms - self._idle_ms) for family in self.families]
        for family, rows in zip(self.families, idle, strict=True):
            totals = family.values()
            totals[rows] = STALE
            ids.append(family.ids.ravel())
            values.append(totals.ravel())
        count, begun = sum(map(len, ids)), sum(map(len, zeros))
        times = np.concatenate([np.full(count, now_ms), np.full(begun, zero_ms)])
        stored = self._writer.write_ids(
            np.concatenate([*ids, *zeros]), times, np.concatenate([*values, np.zeros(begun)])
        )
        self.dropped = any(map(len, idle))
        for family, rows in zip(self.families, idle, strict=True):
            if len(rows):
                family.drop(rows)
        return stored

    def recover(self, now_ms: int) -> None:
        """Go on from the newest watermark in the store and the totals written with it; families must be empty."""
        last = self._engine.query(_LAST_TICK, {"id": series_id({NAME: self._name})})
        if last.empty:
            return
        self.time_ms, self.watermark = int(last["at"][0]), int(last["value"][0])
        for family in self.families:
            self._recover_family(family, now_ms)

    def beside(self, name: str) -> float | None:
        """The value of another sample of the last write."""
        found = self._engine.query(
            f"SELECT any(Value) AS value, count() AS n FROM samples WHERE {_THEN} AND Id = {{id:UInt64}}",
            {"at": self.time_ms, "id": series_id({NAME: name})},
        )
        return float(found["value"][0]) if found["n"][0] else None

    def _recover_family(self, family: Family, now_ms: int) -> None:
        layout = family.layout
        own = self._engine.query(_LABELS_THEN, {"at": self.time_ms, "name": layout.anchor}, limits=PATIENT)
        last_seen_ms = []
        for labels, seen_ms in zip(own["Labels"].tolist(), own["seen"].tolist(), strict=True):
            if set(labels) <= set(layout.labels):
                family.row({name: labels.get(name, "") for name in layout.labels}, known=True)
                last_seen_ms.append(seen_ms)
        family.grow(now_ms)
        if not len(family):
            return
        names = sorted(set(layout.names))
        totals = self._engine.query(_TOTALS_THEN, {"at": self.time_ms, "names": names}, limits=PATIENT)
        stored = totals["Id"].to_numpy(np.uint64)
        place = np.minimum(np.searchsorted(stored, family.ids), max(len(stored) - 1, 0))
        values = np.where(stored[place] == family.ids, totals["total"].to_numpy(np.float64)[place], 0.0)
        family.restore(values, np.array(last_seen_ms, np.int64))


_LAST_TICK = (
    "SELECT toUnixTimestamp64Milli(Time) AS at, Value AS value FROM samples WHERE Id = {id:UInt64} "
    "ORDER BY Time DESC LIMIT 1"
)
_THEN = "Time = fromUnixTimestamp64Milli({at:Int64}) AND NOT isNaN(Value)"
_LABELS_THEN = (
    "SELECT any(Labels) AS Labels, toUnixTimestamp64Milli(max(LastSeen)) AS seen FROM series "
    "WHERE Name = {name:String} AND Id IN (SELECT Id FROM samples WHERE "
    f"{_THEN} AND Id IN (SELECT Id FROM series WHERE Name = {{name:String}})) GROUP BY Id ORDER BY Id"
)
_TOTALS_THEN = (
    "SELECT Id, any(Value) AS total FROM samples WHERE "
    f"{_THEN} AND Id IN (SELECT Id FROM series WHERE Name IN {{names:Array(String)}}) GROUP BY Id ORDER BY Id"
)
