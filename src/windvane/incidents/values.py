"""Incidents as values: what was odd together, what it is put down to, what people said of it.

Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from windvane.analytics.baselines import Scope
from windvane.analytics.red import Signal

Severity = Literal["page", "ticket"]
Verdict = Literal["not-an-anomaly", "confirmed"]
VERDICTS: tuple[Verdict, ...] = ("not-an-anomaly", "confirmed")
Unit = Literal["share", "ms", "/min"]
UNITS: Mapping[Signal, Unit] = {"errors": "share", "latency": "ms", "rate": "/min"}
"""Of expectations and of what was seen: requests a minute, milliseconds, the share (0 to 1) that failed."""


Node = tuple[str, str]
"""Namespace and name of a service."""


def node_of(scope: Scope) -> Node:
    """The service that a scope belongs to."""
    return scope.namespace, scope.service


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A signal of a scope that was odd from `start` to `end`, and is still if `open`.

    `factor` is the largest departure (seen over expected; of errors, over the budget), `score` its greatest
    surprise (-log10 of a tail probability, 0 to 20); `expected` and `seen` as in `UNITS`, None where unknown.
    """

    scope: Scope
    signal: Signal
    start: int
    end: int
    open: bool
    factor: float
    score: float
    expected: float | None
    seen: float | None

    @property
    def key(self) -> tuple[Scope, Signal]:
        return self.scope, self.signal

    @property
    def node(self) -> Node:
        """The service that it belongs to."""
        return node_of(self.scope)

    @property
    def departure(self) -> float:
        """How many times too many, or too few: 1 or more."""
        factor = max(self.factor, 1e-3)
        return max(factor, 1.0 / factor) if self.signal == "rate" else max(factor, 1.0)


@dataclass(frozen=True, slots=True)
class Event:
    """Something that became of an incident, in plain words."""

    at: int
    text: str


@dataclass(frozen=True, slots=True)
class Change:
    """What was changed near the first odd moment: a configuration, or a version that appeared."""

    at: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True)
class Feedback:
    """What a person said of an incident."""

    verdict: Verdict
    note: str
    at: int


@dataclass(frozen=True, slots=True)
class Incident:
    """Anomalies that belong together; the first is where it seems to begin.

    `opened` is when it was noticed, `end` its last odd minute once it is over. `joined` is the incident that it
    turned out to be a part of ("" for none): it is not listed any more. `why` is the answer of root cause analysis,
    as the API gives it.
    """

    id: str
    opened: int
    severity: Severity
    title: str
    anomalies: tuple[Anomaly, ...]
    end: int | None = None
    joined: str = ""
    events: tuple[Event, ...] = ()
    changes: tuple[Change, ...] = ()
    why: Mapping[str, Any] | None = None
    asked: tuple[int, ...] = ()
    """When root cause analysis was asked."""
    feedback: Feedback | None = None
    labels: Mapping[str, str] | None = None
    """The labels of the alert that was sent of it, which stay while it lasts (severity alone may grow)."""

    @property
    def open(self) -> bool:
        return self.end is None

    @property
    def closed(self) -> int:
        """When it was last heard of: of one that is over, when that was noticed."""
        return self.events[-1].at if self.events else self.opened

    @property
    def start(self) -> int:
        """The first bad moment."""
        return min(one.start for one in self.anomalies)

    @property
    def last(self) -> int:
        """The last odd minute so far."""
        return max(one.end for one in self.anomalies)

    @property
    def leading(self) -> Anomaly:
        return self.anomalies[0]

    @property
    def node(self) -> Node:
        """The leading service."""
        return self.leading.node

    @property
    def services(self) -> list[tuple[str, str]]:
        """Namespace and name of every service that has a part in it, the leading one first."""
        return list(dict.fromkeys(one.node for one in self.anomalies))

    @property
    def silenced(self) -> bool:
        """Whether people said that it is none."""
        return self.feedback is not None and self.feedback.verdict == "not-an-anomaly"


def to_json(one: Incident) -> dict[str, Any]:
    """An incident as what JSON can hold."""
    return asdict(one)


def from_json(found: Mapping[str, Any]) -> Incident:
    """The incident that `to_json` wrote."""
    given = dict(found)
    given["anomalies"] = tuple(Anomaly(**{**one, "scope": Scope(**one["scope"])}) for one in found["anomalies"])
    given["events"] = tuple(Event(**one) for one in found["events"])
    given["changes"] = tuple(Change(**one) for one in found["changes"])
    given["asked"] = tuple(found["asked"])
    given["feedback"] = Feedback(**found["feedback"]) if found["feedback"] else None
    return Incident(**given)


@dataclass(frozen=True, slots=True)
class Watching:
    """What the loop does: since when, the minute judged last, how much is judged by how many days of history.

    `learning` is 0 to 1 while history is being learnt, `trouble` why nothing is judged at present.
    """

    since: int | None = None
    last: int | None = None
    services: int = 0
    scopes: int = 0
    days: float = 0.0
    learning: float | None = None
    trouble: str | None = None


@dataclass(frozen=True, slots=True)
class Course:
    """One signal of a scope over an incident, a value a minute; NaN is unknown."""

    scope: Scope
    signal: Signal
    times: list[int]
    seen: list[float] = field(default_factory=list)
    expected: list[float] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)
