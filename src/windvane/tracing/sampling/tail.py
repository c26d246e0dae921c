"""Tail sampling of what is stored: traces are decided minute by minute, and what is not kept is taken out.

Spans are stored when they are acknowledged, and all of them are counted. A minute is decided when it is
over for `decision_wait`: one query of facts, one decision, one INSERT of all decisions, which is the only state;
whatever is interrupted goes on from there. Every `remove_every` the spans of traces that were not kept are
masked (ADR 0018), with those that came late in the meantime. Only spans that everybody else has counted are
taken out: `counted` is a SQL condition that tells them.
"""

from __future__ import annotations

import asyncio
import datetime
import logging
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from windvane.kit.clock import Clock
from windvane.kit.errors import WindvaneError
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine
from windvane.tracing.sampling.decide import SECONDS, Decisions, decide
from windvane.tracing.sampling.facts import PATIENT, SPREAD, Window, ask, minutes
from windvane.tracing.sampling.policies import TailSampling

log = logging.getLogger(__name__)

INTERVAL = 10.0
"""Seconds between two looks at the clock."""
CATCH_UP = 3_600
"""So many seconds back at most a server decides that was away, or without policies."""
_DAY = 86_400


def everything() -> str:
    """Where nobody else counts spans: all may be taken out."""
    return "1"


@dataclass(frozen=True, slots=True)
class Removal:
    """SQL of the spans to be taken out of some minutes, which are those of `days`."""

    where: str
    days: tuple[str, ...]


class TailSampler:
    """The pass over one store; `sampling` may be exchanged at any time. `tick` blocks; one at a time runs."""

    def __init__(
        self,
        engine: Engine,
        sampling: TailSampling,
        *,
        clock: Clock,
        metrics: Metrics,
        counted: Callable[[], str] = everything,
    ) -> None:
        self.sampling = sampling
        self._engine = engine
        self._clock = clock
        self._counted = counted
        self._lock = threading.Lock()
        self._start = self._decided = self._removed = self._pruned = 0
        self._traces = metrics.counter(
            "windvane_tail_sampling_traces_total", "Traces decided, by policy", ("policy", "decision")
        )
        self._spans = metrics.counter("windvane_tail_sampling_spans_removed_total", "Spans of traces that are not kept")
        self._seconds = metrics.histogram("windvane_tail_sampling_seconds", "Time of one pass that did something")
        self._failures = metrics.counter("windvane_tail_sampling_failures_total", "Passes that failed and are repeated")
        self._upto = metrics.gauge("windvane_tail_sampling_decided_timestamp_seconds", "The newest minute decided")

    async def run(self) -> None:
        """Pass until cancelled."""
        while True:
            try:
                await asyncio.to_thread(self.tick)
            except WindvaneError as error:
                log.warning("tail sampling: a pass failed, the next one repeats it: %s", error)
            await self._clock.sleep(INTERVAL)

    def tick(self) -> None:
        """Decide the minutes that are due, and take out what is not kept when it is time."""
        with self._lock:
            try:
                self._tick()
            except BaseException:
                self._failures.inc()
                raise

    def _tick(self) -> None:
        sampling, now = self.sampling, self._clock.now_ns() // 10**9
        if not self._start:
            self._recover(now)
        due = _minute(now - int(sampling.decision_wait)) - SECONDS
        if due <= self._decided:
            return
        with self._seconds.time():
            for minute in self._minutes(self._decided + SECONDS, due):
                until = minute + 2 * SECONDS + int(sampling.decision_wait)
                self._decide(sampling, Window(minute, minute, min(_minute(now), _minute(until))))
            self._decided = due
            self._upto.set(due)
            if due - self._removed >= sampling.remove_every:
                self._remove(sampling, now)
                self._prune(now)

    def _recover(self, now: int) -> None:
        """Where to go on: behind the newest decision, or with the present minute when there was none."""
        frame = self._engine.query(
            "SELECT count() AS Rows, toUnixTimestamp(min(Minute)) AS Low, toUnixTimestamp(max(Minute)) AS High"
            " FROM trace_decisions"
        )
        present = _minute(now)
        if not int(frame["Rows"][0]):
            self._start, self._decided, self._removed = present, present - SECONDS, present - SECONDS
            return
        low, high = int(frame["Low"][0]), int(frame["High"][0])
        self._start, self._decided = low, high
        self._removed = max(low, high - CATCH_UP) - SECONDS
        if high < present - CATCH_UP:
            self._decided = present - CATCH_UP

    def _minutes(self, low: int, high: int) -> list[int]:
        """The minutes of a time in which spans began."""
        frame = self._engine.query(
            "SELECT DISTINCT toUnixTimestamp(toStartOfMinute(Timestamp)) AS Minute FROM otel_traces"
            f" WHERE {minutes(low, high)} ORDER BY Minute",
            limits=PATIENT,
        )
        return [int(minute) for minute in frame["Minute"].tolist()]

    def _decide(self, sampling: TailSampling, window: Window) -> None:
        facts = ask(self._engine, sampling, window)
        if not facts.ids:
            return
        decisions = decide(facts, sampling)
        frame = pd.DataFrame(
            {
                "Minute": facts.minute.astype("datetime64[s]"),
                "TraceId": facts.ids,
                "Weight": decisions.weight,
                "Policy": decisions.policy,
                "Spans": facts.spans.astype(np.uint32),
                "Decided": pd.Timestamp(self._clock.now_ns(), unit="ns").floor("ms"),
            }
        )
        self._engine.insert_frame("trace_decisions", frame)
        for (policy, kept), count in tally(decisions).items():
            self._traces.labels(policy, "kept" if kept else "dropped").inc(count)

    def _remove(self, sampling: TailSampling, now: int) -> None:
        """Decide what came late, then mask the spans of all traces that are not kept."""
        low = max(self._start, self._removed - int(sampling.late) + SECONDS)
        if low <= self._decided:
            self._decide(sampling, Window(low, self._decided, _minute(now)))
            removal = self._removal(low, self._decided)
            frame = self._engine.query(
                f"SELECT count() AS Spans FROM otel_traces WHERE {removal.where}", limits=PATIENT
            )
            spans = int(frame["Spans"][0])
            for day in removal.days if spans else ():
                self._engine.command(
                    f"DELETE FROM otel_traces IN PARTITION '{day}' WHERE {removal.where}"
                    " SETTINGS lightweight_deletes_sync = 2"
                )
            self._spans.inc(spans)
        self._removed = self._decided

    def _removal(self, low: int, high: int) -> Removal:
        dropped = (
            "SELECT TraceId FROM trace_decisions WHERE Weight = 0 AND"
            f" Minute BETWEEN toDateTime({low - SPREAD}) AND toDateTime({high})"
        )
        where = f"{minutes(low, high)} AND TraceId IN ({dropped}) AND ({self._counted()})"
        return Removal(where, tuple(_days(low, high)))

    def _prune(self, now: int) -> None:
        """Forget traces that were not kept, once a day: nothing comes so late."""
        today = now // _DAY
        if today == self._pruned:
            return
        frame = self._engine.query(
            "SELECT DISTINCT toString(toDate(Minute)) AS Day FROM trace_decisions"
            f" WHERE Weight = 0 AND Minute < toDateTime({(today - 1) * _DAY})"
        )
        for day in frame["Day"].tolist():
            self._engine.command(f"ALTER TABLE trace_decisions DELETE IN PARTITION '{day}' WHERE Weight = 0")
        self._pruned = today


def tally(decisions: Decisions) -> Counter[tuple[str, bool]]:
    """How many traces each policy kept or dropped; '' for those that no policy keeps."""
    return Counter(zip(decisions.policy.tolist(), (decisions.weight > 0).tolist(), strict=True))


def _minute(seconds: int) -> int:
    return seconds // SECONDS * SECONDS


def _days(low: int, high: int) -> Iterator[str]:
    for day in range(low // _DAY, high // _DAY + 1):
        yield str(datetime.datetime.fromtimestamp(day * _DAY, datetime.UTC).date())
