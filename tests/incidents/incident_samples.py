"""Anomalies, calls and a judge that says what it is told to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from windvane.analytics.baselines import Found, Judgement, Reading, Scope, StateError, Watched
from windvane.analytics.red import Incident as Stretch
from windvane.analytics.red import Signal
from windvane.incidents.grouping import Calls
from windvane.incidents.values import Anomaly

NOW = 1_767_787_200
"""A Wednesday, noon (Unix seconds)."""
FRONT, CART, STOCK, OTHER = (("shop", name) for name in ("front", "cart", "stock", "other"))
CALLS = Calls([(FRONT, CART), (CART, STOCK), (FRONT, OTHER)])
"""front calls cart and other; cart calls stock."""


def scope(node: tuple[str, str]) -> Scope:
    return Scope("service", *node)


def odd(
    node: tuple[str, str] | Scope, signal: Signal = "latency", start: int = NOW, end: int = NOW, factor: float = 2.0
) -> Anomaly:
    """Odd from start to end, and still."""
    of = node if isinstance(node, Scope) else scope(node)
    return Anomaly(of, signal, start, end, True, factor, 9.0, 100.0, 100.0 * factor)


@dataclass
class ScriptedJudge:
    """Answers with what `odd` says; every signal of `known` has a reading."""

    odd: list[Anomaly] = field(default_factory=list)
    known: tuple[Scope, ...] = (scope(FRONT), scope(CART))
    learnt: list[int] = field(default_factory=list)
    changes: list[tuple[Scope, int]] = field(default_factory=list)
    fails: Exception | None = None
    advanced: list[int] = field(default_factory=list)

    def learn(self, until_s: int, progress: Callable[[float], None] | None = None) -> None:
        if progress is not None:
            progress(0.5)
        self.learnt.append(until_s)

    def advance(self, until_s: int) -> Judgement:
        if self.fails is not None:
            raise self.fails
        self.advanced.append(until_s)
        found = [
            Found(
                one.scope, Stretch(one.signal, one.start, one.end, one.factor, one.open), one.expected, one.seen,
                one.score,
            )
            for one in self.odd
        ]  # fmt: skip
        readings = [Reading(one, "latency", until_s, 1.0, 110.0, 100.0, 90.0, 150.0) for one in self.known]
        return Judgement(until_s, found, readings)

    def changed(self, scope: Scope, at: int) -> None:
        self.changes.append((scope, at))

    def dump(self) -> bytes:
        return b"learnt\xff\x00" + str(self.learnt).encode()

    def restore(self, state: bytes) -> None:
        if not state.startswith(b"learnt\xff\x00"):
            raise StateError("of another version")
        self.learnt.append(-1)

    @property
    def watched(self) -> Watched:
        return Watched({"service": len(self.known)}, {}, NOW - 86_400, NOW)
