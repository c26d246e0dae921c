"""Forecasts of every service as series: made once an hour beside everything else, written every minute.

`windvane_forecast{service, namespace, signal, bound, share, horizon}` has at each time what is expected for that time
and the horizon: a sample lies at the time it was written, never in the future.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
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
_IDLE = 19

Keep = Callable[[contextlib.AsyncExitStack, Coroutine[Any, Any, None]], None]


class Forecasts:
    """The loop of one store."""

    def __init__(self, ask: AskRange, writer: SampleWriter, clock: Clock, metrics: Metrics) -> None:
        self._outlook = Outlook(ask)
        self._writer = writer
        self._clock = clock
        self.made = Made()
        """The newest; its `at` is 0 before the first."""
        self.error = ""
        """Why the last making failed; empty when it did not."""
        self._seconds = metrics.gauge("windvane_forecast_seconds", "How long the last making of forecasts took")
        self._series = metrics.gauge("windvane_forecast_series", "Series of forecasts that are written")
        self._failures = metrics.counter("windvane_forecast_failures_total", "Makings of forecasts that failed")

    async def run(self) -> None:
        """Make and write until cancelled."""
        threads = ThreadPoolExecutor(1, thread_name_prefix="forecasts", initializer=_yield_to_others)
        loop = asyncio.get_running_loop()
        next_at = self._clock.monotonic() + _SETTLE
        try:
            while True:
                await self._clock.sleep(WRITE_EVERY)
                if self._clock.monotonic() >= next_at:
                    next_at = self._clock.monotonic() + EVERY
                    await loop.run_in_executor(threads, self.make)
                await loop.run_in_executor(threads, self.write)
        finally:
            await asyncio.to_thread(threads.shutdown)

    def make(self) -> None:
        """Forecast anew; the forecasts of before stay in force when that fails."""
        began = self._clock.monotonic()
        try:
            self.made = self._outlook.make(self._clock.now_ns() // 10**9)
            self.error = ""
        except Exception as error:  # a defect here must not end the server
            self._failures.inc()
            self.error = error.message if isinstance(error, WindvaneError) else f"{type(error).__name__}: {error}"
            log.exception("forecasts could not be made, those of before stay")
        self._seconds.set(self._clock.monotonic() - began)

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


def _yield_to_others() -> None:
    """Let this thread run when nothing else wants to, where the system has such a thing for threads."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _IDLE)
