"""The loop: each minute, some seconds after its end so that scrapes have landed, what is new is judged in a thread.

Nothing is imported, learnt or asked until the store has Istio's metrics. While the store does not answer the loop waits
and says so; alerts that were sent stay confirmed. What the judge has learnt is stored now and then and at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

from windvane.alerting.manager import Notification, Notifier
from windvane.analytics.baselines import StateError, Watched
from windvane.incidents.desk import Desk
from windvane.incidents.judging import Judge
from windvane.incidents.values import Watching
from windvane.kit.clock import Clock
from windvane.kit.errors import WindvaneError
from windvane.store.api import Engine

log = logging.getLogger(__name__)

_SEEN = (
    "SELECT 1 FROM series WHERE Name = 'istio_requests_total'"
    " AND LastSeen >= fromUnixTimestamp64Milli({since:Int64}) LIMIT 1"
)
_LATELY = 30 * 60 * 1_000


@dataclass(frozen=True, slots=True)
class WatchTimes:
    """Seconds: between judgements, from a minute's end until it is judged, between two times that what was learnt is
    stored."""

    interval: int = 60
    settle: int = 10
    keep: int = 600


class Watch:
    """Watches one store. `run` judges until cancelled; `close` keeps what was learnt."""

    def __init__(
        self, desk: Desk, engine: Engine, judge: Callable[[], Judge], *, clock: Clock, times: WatchTimes | None = None
    ) -> None:
        self._desk, self._engine, self._make, self._clock = desk, engine, judge, clock
        self._times = times or WatchTimes()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="incidents")  # learning may take long
        self._judge: Judge | None = None
        self._kept = 0
        self._stopping = False
        self._ready = False
        self.state = Watching()

    async def run(self, notifier: Notifier) -> None:
        """Judge each minute until cancelled; then wait for what is under way."""
        self.state = replace(self.state, since=self._now())
        while True:
            await self._clock.sleep(self._pause())
            told = await self._in_thread(self._turn)
            if told:
                notifier.send(told)

    def close(self) -> None:
        """Keep what was learnt. Blocks."""
        self._thread.shutdown()
        if self._judge is not None and self._ready:
            try:
                self._desk.archive.keep_learnt(self._judge.dump(), self._clock.now_ns())
            except WindvaneError as error:
                log.warning("what is usual was learnt, but cannot be kept: %s", error)

    def _pause(self) -> float:
        """Seconds to the next time that a minute may be judged."""
        now, times = self._clock.now_ns() / 1e9, self._times
        return times.interval - (now - times.settle) % times.interval

    async def _in_thread(self, work: Callable[[], list[Notification]]) -> list[Notification]:
        task = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            self._stopping = True
            with contextlib.suppress(Exception):
                await task  # what writes to the store is never left behind
            raise

    def _turn(self) -> list[Notification]:
        """One minute; what goes wrong is told, and tried again in the next."""
        until = (self._now() - self._times.settle) // self._times.interval * self._times.interval
        try:
            judge = self._able(until)
            if judge is None:
                return self._desk.nothing(until)
            watched, told = self._desk.minute(judge, until)
        except _StoppedError:
            return []
        except WindvaneError as error:
            return self._troubled(error.message)
        except Exception as error:  # a defect of ours must not end the watch, nor the server
            log.exception("watching for incidents failed")
            return self._troubled(f"a defect of Windvane ({type(error).__name__}: {error}); see the server's log")
        self._went_well(until, watched)
        self._keep(judge)
        return told

    def _able(self, until: int) -> Judge | None:
        """A judge that has learnt what there is; None while there is nothing to judge."""
        if self._judge is None:
            params = {"since": self._clock.now_ns() // 1_000_000 - _LATELY}
            if self._engine.query(_SEEN, params).empty:
                self.state = replace(self.state, trouble=None)
                return None
            self._judge = self._make()
        if not self._ready:
            self._learn(self._judge, until)
            self._ready, self._kept = True, until
        return self._judge

    def _learn(self, judge: Judge, until: int) -> None:
        """Take up what was learnt before, or learn."""
        kept = self._desk.archive.learnt()
        if kept is not None:
            try:
                judge.restore(kept)
            except StateError as error:
                log.warning("what was learnt before cannot be used, so history is learnt anew: %s", error)
            else:
                return
        self._progress(0.0)
        judge.learn(until, self._progress)
        self.state = replace(self.state, learning=None)

    def _progress(self, share: float) -> None:
        if self._stopping:
            raise _StoppedError
        self.state = replace(self.state, learning=min(1.0, max(0.0, share)))

    def _troubled(self, reason: str) -> list[Notification]:
        if reason != self.state.trouble:
            log.warning("incidents are not looked for at present: %s", reason)
        self.state = replace(self.state, trouble=reason)
        return self._desk.still_told()

    def _went_well(self, until: int, watched: Watched) -> None:
        if self.state.trouble:
            log.info("incidents are looked for again")
        services, scopes = watched.scopes.get("service", 0), sum(watched.scopes.values())
        self.state = replace(
            self.state, last=until, services=services, scopes=scopes, days=watched.days, learning=None, trouble=None
        )

    def _keep(self, judge: Judge) -> None:
        now = self._now()
        if now - self._kept >= self._times.keep:
            self._kept = now
            try:
                self._desk.archive.keep_learnt(judge.dump(), self._clock.now_ns())
            except WindvaneError as error:
                log.warning("what is usual was learnt, but cannot be kept: %s", error)

    def _now(self) -> int:
        return self._clock.now_ns() // 10**9


class _StoppedError(Exception):
    """The server ends while history is being learnt."""
