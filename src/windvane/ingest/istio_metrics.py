"""Istio's metrics from access logs: every few seconds the new rows are added to running totals.

A tick lets the engine sum the rows of the commits since the last one, gives each kind of traffic
its Istio labels, and writes all totals with one timestamp in one INSERT, together with the number
of the last commit it counted. One INSERT into one partition is atomic: after a crash the newest
such number and the totals beside it are the state to go on from, so every row is counted once.
A new series is preceded by a zero, so that its first increase counts; a series that was idle for
an hour ends with a staleness marker.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from windvane.ingest import istio_sql as sql
from windvane.ingest.istio_families import HTTP, MESSAGES, TCP, Family
from windvane.ingest.istio_labels import Directory, Resolver, Traffic
from windvane.ingest.istio_tcp import Connections
from windvane.kit.clock import Clock, SystemClock
from windvane.kit.errors import WindvaneError
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine
from windvane.store.series import NAME, STALE, SampleWriter, series_id

__all__ = ["Directory", "IstioMetrics", "IstioMetricsSettings", "Tick"]

WATERMARK = "windvane_istio_metrics_watermark"
_WATERMARK_ID = series_id({NAME: WATERMARK})

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IstioMetricsSettings:
    """`interval` seconds between ticks; `idle` seconds until an unchanged series ends; `build` is
    the `tag` of istio_build."""

    interval: float = 5.0
    idle: float = 3600.0
    build: str = "windvane"


@dataclass(frozen=True, slots=True)
class Tick:
    """What one tick did: commits counted up to, access-log rows (or connections) summed, samples written."""

    upto: int
    groups: int
    samples: int


class IstioMetrics:
    """Keeps the `istio_*` series. `tick` blocks; it may be called from any thread, one at a time runs."""

    def __init__(
        self,
        engine: Engine,
        directory: Callable[[], Directory],
        *,
        settings: IstioMetricsSettings | None = None,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._engine = engine
        self._directory = directory
        self._settings = settings or IstioMetricsSettings()
        self._clock = clock or SystemClock()
        self._writer = SampleWriter(engine)
        self._lock = threading.Lock()
        measures = metrics or Metrics()
        self._seconds = measures.histogram("windvane_istio_tick_seconds", "Time of one tick of the Istio metrics")
        self._failures = measures.counter("windvane_istio_tick_failures_total", "Ticks that failed and are repeated")
        self._live = measures.gauge("windvane_istio_series", "Live istio_* series")
        self._loaded = False
        self._forget()

    def _forget(self) -> None:
        self._http, self._messages, self._tcp = Family(HTTP), Family(MESSAGES), Family(TCP)
        self._families = (self._http, self._messages, self._tcp)
        self._connections = Connections(self._engine)
        self._watermark = self._time_ms = 0
        self._resolver: Resolver | None = None
        self._rows: dict[str, dict[tuple[Any, ...], int]] = {}

    async def run(self) -> None:
        """Tick until cancelled. The owner calls `tick` once more after the last commit."""
        while True:
            await self._clock.sleep(self._settings.interval)
            try:
                await asyncio.to_thread(self.tick)
            except WindvaneError as error:
                _log.warning("istio metrics: tick failed, the next one repeats it: %s", error)

    def tick(self) -> Tick:
        """Count all rows committed so far and write every live series.

        When it raises, nothing was counted: the next tick starts from what the store has.
        """
        with self._lock, self._seconds.time():
            try:
                return self._tick()
            except BaseException:
                self._loaded = False
                self._failures.inc()
                raise

    def _tick(self) -> Tick:
        now_ms = self._clock.now_ns() // 1_000_000
        if not self._loaded:
            self._recover(now_ms)
        previous_ms = max(self._time_ms, now_ms - int(self._settings.interval * 2_000))
        now_ms = max(now_ms, self._time_ms + 2)
        upto = int(self._engine.query(sql.NEWEST_COMMIT)["newest"][0])
        known = [len(family) for family in self._families]
        groups = self._count(upto, now_ms) if upto > self._watermark else 0
        for family in self._families:
            family.announce(self._engine, now_ms)
        samples = self._write(upto, now_ms, previous_ms + 1, known)
        self._watermark, self._time_ms = max(upto, self._watermark), now_ms
        self._live.set(sum(family.ids.size for family in self._families))
        return Tick(self._watermark, groups, samples)

    def _count(self, upto: int, now_ms: int) -> int:
        self._refresh_directory()
        span = {"after": self._watermark, "upto": upto}
        requests = self._engine.query(sql.requests(), span, limits=sql.PATIENT)
        if not requests.empty:
            self._count_requests(requests, now_ms)
        connections = self._connections.advance(span, now_ms)
        if not connections.empty:
            rows = self._family_rows(connections, self._tcp)
            self._tcp.grow(now_ms)
            amounts = connections[["opened", "closed", "sent", "received"]].to_numpy(np.int64)
            self._tcp.add(rows, amounts, now_ms)
        return len(requests) + len(connections)

    def _count_requests(self, groups: pd.DataFrame, now_ms: int) -> None:
        rows = self._family_rows(groups, self._http)
        self._http.grow(now_ms)
        self._http.add(rows, _request_amounts(groups), now_ms)
        grpc = (groups["t_protocol"] == "grpc").to_numpy(bool)
        if grpc.any():
            talking = groups[grpc]
            message_rows = self._family_rows(talking, self._messages)
            self._messages.grow(now_ms)
            amounts = talking[["request_messages", "response_messages"]].to_numpy(np.int64)
            self._messages.add(message_rows, amounts, now_ms)

    def _family_rows(self, groups: pd.DataFrame, family: Family) -> NDArray[np.int64]:
        """The family's row of each group; labels are resolved once a kind of traffic and directory."""
        assert self._resolver is not None
        known = self._rows.setdefault(family.layout.anchor, {})
        columns = [groups[f"t_{name}"].tolist() for name in Traffic._fields]
        rows = []
        for key in zip(*columns, strict=True):
            row = known.get(key)
            if row is None:
                row = known[key] = family.row(self._resolver.labels(Traffic(*key)))
            rows.append(row)
        return np.array(rows, np.int64)

    def _refresh_directory(self) -> None:
        directory = self._directory()
        if self._resolver is None or self._resolver.directory is not directory:
            self._resolver = Resolver(directory)
            self._rows.clear()

    def _write(self, upto: int, now_ms: int, zero_ms: int, known: Sequence[int]) -> int:
        """One INSERT of all totals at `now_ms`, zeros of new series just before, and the watermark."""
        if not upto and not any(map(len, self._families)):
            return 0
        own = [{NAME: WATERMARK}, {NAME: "istio_build", "component": "proxy", "tag": self._settings.build}]
        ids = [self._writer.ids(own, np.full(len(own), now_ms))]
        values = [np.array([max(upto, self._watermark), 1.0])]
        zeros = [family.ids[old:].ravel() for family, old in zip(self._families, known, strict=True)]
        idle = [np.flatnonzero(family.changed < now_ms - self._settings.idle * 1_000) for family in self._families]
        for family, rows in zip(self._families, idle, strict=True):
            totals = family.values()
            totals[rows] = STALE
            ids.append(family.ids.ravel())
            values.append(totals.ravel())
        count, begun = sum(map(len, ids)), sum(map(len, zeros))
        times = np.concatenate([np.full(count, now_ms), np.full(begun, zero_ms)])
        stored = self._writer.write_ids(
            np.concatenate([*ids, *zeros]), times, np.concatenate([*values, np.zeros(begun)])
        )
        if any(map(len, idle)):
            for family, rows in zip(self._families, idle, strict=True):
                family.drop(rows)
            self._rows.clear()
        return stored

    def _recover(self, now_ms: int) -> None:
        """Go on from the newest watermark in the store and the totals written with it."""
        self._forget()
        last = self._engine.query(_LAST_TICK, {"id": _WATERMARK_ID})
        if not last.empty:
            self._time_ms, self._watermark = int(last["at"][0]), int(last["value"][0])
            for family in self._families:
                self._recover_family(family, now_ms)
        self._loaded = True

    def _recover_family(self, family: Family, now_ms: int) -> None:
        layout = family.layout
        own = self._engine.query(_LABELS_THEN, {"at": self._time_ms, "name": layout.anchor}, limits=sql.PATIENT)
        last_seen_ms = []
        for labels, seen_ms in zip(own["Labels"].tolist(), own["seen"].tolist(), strict=True):
            if set(labels) <= set(layout.labels):
                family.row({name: labels.get(name, "") for name in layout.labels})
                last_seen_ms.append(seen_ms)
        family.grow(now_ms)
        if not len(family):
            return
        names = sorted(set(layout.names))
        totals = self._engine.query(_TOTALS_THEN, {"at": self._time_ms, "names": names}, limits=sql.PATIENT)
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


def _request_amounts(groups: pd.DataFrame) -> NDArray[np.int64]:
    """Requests and the three histograms of each group, in the order of the HTTP family's columns."""
    columns = ["requests"]
    for letter, total in (("d", "duration_us"), ("q", "request_bytes"), ("p", "response_bytes")):
        columns += [f"{letter}{i}" for i in range(len(sql.BUCKETS))] + ["requests", total, "requests"]
    return groups[columns].to_numpy(np.int64)
