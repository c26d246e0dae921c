"""Forecasts of every service as series: made once an hour beside everything else, written every minute.

`windvane_forecast{service, namespace, signal, bound, share, horizon}` has at each time what is expected for that time
and the horizon: a sample lies at the time it was written, never in the future.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine
from typing import Any

import numpy as np

from windvane.analytics.outlook import HORIZONS, Made, Outlook
from windvane.analytics.releases.read import AskRange
from windvane.kit.clock import Clock
from windvane.kit.errors import WindvaneError
from windvane.kit.metrics import Metrics
from windvane.store.series import NAME, SampleWriter

log = logging.getLogger(__name__)

METRIC = "windvane_forecast"
EVERY = 3_600.0
WRITE_EVERY = 60.0
_SETTLE = 120.0
"""Seconds after the start before the past is read: a server that starts has better to do."""
_REST = 3.0
"""After each piece of work a pause, so many times as long: a quarter of the time of one processor at most."""
_DONE = object()

Keep = Callable[[contextlib.AsyncExitStack, Coroutine[Any, Any, None]], None]


class Forecasts:
    """The loop of one store."""

    def __init__(self, ask: AskRange, writer: SampleWriter, clock: Clock, metrics: Metrics) -> None:
        self._outlook = Outlook(ask)
        self._writer = writer
        self._clock = clock
        self.error = ""
        """Why the last making failed; empty when it did not."""
        self._seconds = metrics.gauge("windvane_forecast_seconds", "How long the last making of forecasts worked")
        self._series = metrics.gauge("windvane_forecast_series", "Series of forecasts that are written")
        self._failures = metrics.counter("windvane_forecast_failures_total", "Makings of forecasts that failed")

    @property
    def made(self) -> Made:
        """The newest; its `at` is 0 before the first."""
        return self._outlook.made

    async def run(self) -> None:
        """Make and write until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._make_always())
            group.create_task(self._write_always())

    async def _make_always(self) -> None:
        await self._clock.sleep(_SETTLE)
        while True:
            began = self._clock.monotonic()
            await self.make()
            await self._clock.sleep(max(0.0, EVERY - (self._clock.monotonic() - began)))

    async def _write_always(self) -> None:
        while True:
            await self._clock.sleep(WRITE_EVERY)
            await _finished(self.write)

    async def make(self) -> None:
        """Forecast anew; the forecasts of before stay in force when that fails."""
        pieces, worked = self._outlook.make(self._clock.now_ns() // 10**9), 0.0
        try:
            while True:
                began = self._clock.monotonic()
                if await _finished(next, pieces, _DONE) is _DONE:
                    break
                took = self._clock.monotonic() - began
                worked += took
                await self._clock.sleep(_REST * took)
            self.error = ""
        except Exception as error:  # a defect here must not end the server
            self._failures.inc()
            self.error = error.message if isinstance(error, WindvaneError) else f"{type(error).__name__}: {error}"
            log.exception("forecasts could not be made, those of before stay")
        self._seconds.set(worked)

    def write(self) -> None:
        """Write what is expected now of each horizon; nothing once the path is used up."""
        now = self._clock.now_ns() // 10**9
        labels: list[dict[str, str]] = []
        values: list[float] = []
        for path in self.made.paths if now - self.made.at <= EVERY + _SETTLE else ():
            for horizon, ahead in HORIZONS.items():
                for bound, share, value in path.at(now + ahead):
                    labels.append({
                        NAME: METRIC, "service": path.service[1], "namespace": path.service[0], "signal": path.signal,
                        "bound": bound, "share": share, "horizon": horizon,
                    })  # fmt: skip
                    values.append(value)
        self._series.set(len(values))
        try:
            self._writer.write(labels, np.full(len(values), now * 1_000, np.int64), np.array(values, dtype=np.float64))
        except WindvaneError as error:
            log.warning("forecasts were not written, the next minute tries again: %s", error)


async def _finished(function: Callable[..., object], *args: object) -> object:
    """What a function in a thread answers; who is cancelled waits for its end, for the store closes after us."""
    work = asyncio.ensure_future(asyncio.to_thread(function, *args))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        with contextlib.suppress(Exception):
            await work
        raise
