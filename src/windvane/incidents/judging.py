"""Who judges, as a contract; and its findings as the values of this room."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Protocol

from windvane.analytics.baselines import Found, Judgement, Reading, Scope, Watched
from windvane.incidents.recent import Minute
from windvane.incidents.values import Anomaly


class Judge(Protocol):
    """`windvane.analytics.baselines.Watcher`, or what stands for it. One call at a time; every call may block."""

    def learn(self, until_s: int, progress: Callable[[float], None] | None = None) -> None:
        """Learn history up to a time (Unix seconds); `progress` is told the share that is done."""

    def advance(self, until_s: int) -> Judgement:
        """Judge the minutes up to a time that were not judged before."""

    def changed(self, scope: Scope, at: int) -> None:
        """Something was deployed or configured that may have moved what is normal."""

    def dump(self) -> bytes:
        """All that was learnt."""

    def restore(self, state: bytes) -> None:
        """Take up what was learnt; `StateError` where that cannot be."""

    @property
    def watched(self) -> Watched:
        """How much is watched."""


def anomalies(found: Iterable[Found]) -> list[Anomaly]:
    """What was found odd."""
    return [
        Anomaly(
            one.scope, one.incident.signal, one.incident.start, one.incident.end, one.incident.open,
            one.incident.factor, one.score, one.expected, one.seen,
        )
        for one in found
    ]  # fmt: skip


def minutes(readings: Iterable[Reading]) -> list[Minute]:
    """Readings, as charts and series have them."""
    return [
        Minute(
            one.scope, one.signal, one.at,
            (_known(one.seen), _known(one.expected), _known(one.low), _known(one.high)), one.score,
        )
        for one in readings
    ]  # fmt: skip


def _known(value: float | None) -> float:
    return math.nan if value is None else value
