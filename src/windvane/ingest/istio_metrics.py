"""Istio's metrics from access logs: every few seconds the new rows are added to running totals.

A tick lets the engine sum the rows of the commits since the last one, gives each kind of traffic
its Istio labels, and writes all totals together with the number of the last commit it counted
(`windvane.ingest.running_totals`).
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from windvane.ingest import istio_sql as sql
from windvane.ingest.families import Family
from windvane.ingest.istio_families import HTTP, MESSAGES, TCP
from windvane.ingest.istio_labels import Directory, Resolver, Traffic
from windvane.ingest.istio_tcp import Connections
from windvane.ingest.running_totals import PATIENT, RunningTotals
from windvane.ingest.ticks import repeat
from windvane.kit.clock import Clock, SystemClock
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine
from windvane.store.series import NAME

__all__ = ["Directory", "IstioMetrics", "IstioMetricsSettings", "Tick"]

WATERMARK = "windvane_istio_metrics_watermark"
_SILENT = -1


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
        self._lock = threading.Lock()
        measures = metrics or Metrics()
        self._seconds = measures.histogram("windvane_istio_tick_seconds", "Time of one tick of the Istio metrics")
        self._failures = measures.counter("windvane_istio_tick_failures_total", "Ticks that failed and are repeated")
        self._live = measures.gauge("windvane_istio_series", "Live istio_* series")
        self._loaded = False
        self._forget()

    def _forget(self) -> None:
        self._http, self._messages, self._tcp = Family(HTTP), Family(MESSAGES), Family(TCP)
        self._totals = RunningTotals(
            self._engine,
            WATERMARK,
            (self._http, self._messages, self._tcp),
            interval=self._settings.interval,
            idle=self._settings.idle,
        )
        self._connections = Connections(self._engine)
        self._resolver: Resolver | None = None
        self._rows: dict[str, dict[tuple[Any, ...], int]] = {}

    async def run(self) -> None:
        """Tick until cancelled. The owner calls `tick` once more after the last commit."""
        await repeat(self.tick, self._settings.interval, self._clock, "istio metrics")

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
        totals = self._recovered(now_ms)
        known = [len(family) for family in totals.families]
        upto = int(self._engine.query(sql.NEWEST_COMMIT)["newest"][0])
        groups = self._count(upto, totals.next_ms(now_ms)) if upto > totals.watermark else 0
        build = {NAME: "istio_build", "component": "proxy", "tag": self._settings.build}
        samples = totals.write(upto, now_ms, known, [(build, 1.0)])
        if totals.dropped:
            self._rows.clear()
        self._live.set(totals.live)
        return Tick(totals.watermark, groups, samples)

    def _recovered(self, now_ms: int) -> RunningTotals:
        """The totals, read from the store first where that is due."""
        if not self._loaded:
            self._forget()
            self._totals.recover(now_ms)
            self._loaded = True
        return self._totals

    def _count(self, upto: int, now_ms: int) -> int:
        self._refresh_directory()
        span = {"after": self._totals.watermark, "upto": upto}
        requests = self._engine.query(sql.requests(), span, limits=PATIENT)
        if not requests.empty:
            self._count_requests(requests, now_ms)
        connections = self._connections.advance(span, now_ms)
        if not connections.empty:
            rows = self._family_rows(connections, self._tcp)
            amounts = connections[["opened", "closed", "sent", "received"]].to_numpy(np.int64)
            _add(self._tcp, rows, amounts, now_ms)
        return len(requests) + len(connections)

    def _count_requests(self, groups: pd.DataFrame, now_ms: int) -> None:
        rows = self._family_rows(groups, self._http)
        _add(self._http, rows, _request_amounts(groups), now_ms)
        grpc = (groups["t_protocol"] == "grpc").to_numpy(bool)
        if grpc.any():
            talking = groups[grpc]
            message_rows = self._family_rows(talking, self._messages)
            amounts = talking[["request_messages", "response_messages"]].to_numpy(np.int64)
            _add(self._messages, message_rows, amounts, now_ms)

    def _family_rows(self, groups: pd.DataFrame, family: Family) -> NDArray[np.int64]:
        """The family's row of each group, `_SILENT` for one that is not reported; labels are resolved once a kind of
        traffic and directory."""
        assert self._resolver is not None
        known = self._rows.setdefault(family.layout.anchor, {})
        columns = [groups[f"t_{name}"].tolist() for name in Traffic._fields]
        rows = []
        for key in zip(*columns, strict=True):
            row = known.get(key)
            if row is None:
                traffic = Traffic(*key)
                silent = self._resolver.is_silent(traffic)
                row = known[key] = _SILENT if silent else family.row(self._resolver.labels(traffic))
            rows.append(row)
        return np.array(rows, np.int64)

    def _refresh_directory(self) -> None:
        directory = self._directory()
        if self._resolver is None or self._resolver.directory is not directory:
            self._resolver = Resolver(directory)
            self._rows.clear()


def _add(family: Family, rows: NDArray[np.int64], amounts: NDArray[np.int64], now_ms: int) -> None:
    """Add what is reported to a family's totals."""
    family.grow(now_ms)
    told = rows != _SILENT
    if told.all():
        family.add(rows, amounts, now_ms)
    elif told.any():
        family.add(rows[told], amounts[told], now_ms)


def _request_amounts(groups: pd.DataFrame) -> NDArray[np.int64]:
    """Requests and the three histograms of each group, in the order of the HTTP family's columns."""
    columns = ["requests"]
    for letter, total in (("d", "duration_us"), ("q", "request_bytes"), ("p", "response_bytes")):
        columns += [f"{letter}{i}" for i in range(len(sql.BUCKETS))] + ["requests", total, "requests"]
    return groups[columns].to_numpy(np.int64)
