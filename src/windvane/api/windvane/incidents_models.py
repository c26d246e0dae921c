"""What routes under `/api/windvane/v1/incidents` take and answer. Times are seconds since the epoch."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

SignalWord = Literal["errors", "latency", "rate"]


class ScopeOf(BaseModel):
    """What was judged: a service, or a part of it. `detail` is the version, the workload, the caller (of an edge, as
    NAME.NAMESPACE) or the operation; empty for a service."""

    kind: Literal["service", "version", "workload", "edge", "operation"]
    namespace: str
    service: str
    detail: str


class AnomalyPart(BaseModel):
    """A signal that was odd from `start` to `end`, and is still if `open`.

    `expected` and `seen` are in `unit`: requests a minute, milliseconds (p95), or the share that failed (expected: the
    objective's budget); null where unknown. `factor` is the largest departure, seen over expected; `score` its
    greatest surprise: -log10 of a tail probability, 0 to 20.
    """

    scope: ScopeOf
    signal: SignalWord
    start: int
    end: int
    open: bool
    factor: float
    score: float
    expected: float | None
    seen: float | None
    unit: Literal["share", "ms", "/min"]


class CauseShort(BaseModel):
    """The likeliest cause in a sentence; with `caller` (NAME.NAMESPACE) it is the way from there to the service."""

    text: str
    service: str
    namespace: str
    caller: str | None
    confidence: float


class ChangeNear(BaseModel):
    """What was changed near the first bad moment. `kind` is configuration or version."""

    at: float
    kind: str
    text: str


class FeedbackOf(BaseModel):
    """What a person said of an incident."""

    verdict: Literal["not-an-anomaly", "confirmed"]
    note: str
    at: int


class IncidentOf(BaseModel):
    """Anomalies that belong together along the calls; `service` and the first anomaly are where it seems to begin.

    `start` is the first bad moment, `end` the last one (null while it goes on).
    """

    id: str
    start: int
    end: int | None
    open: bool
    severity: Literal["page", "ticket"]
    service: str
    namespace: str
    title: str
    anomalies: list[AnomalyPart]
    cause: CauseShort | None
    changes: list[ChangeNear]
    feedback: FeedbackOf | None


class WatchingOf(BaseModel):
    """What is watched: since when, the minute judged last, services and scopes judged, by how many days of history.

    `learning` is 0 to 1 while history is being learnt, else null; `trouble` says why nothing is judged at present.
    """

    since: int | None
    last: int | None
    services: int
    scopes: int
    days: float
    learning: float | None
    trouble: str | None


class IncidentList(BaseModel):
    """Incidents that went on at any time of [start, end]: open ones first, then the newest."""

    start: int
    end: int
    watching: WatchingOf
    incidents: list[IncidentOf]


class CourseOf(BaseModel):
    """One signal minute by minute: what was seen, what was expected, and the band around that; null where unknown."""

    scope: ScopeOf
    signal: SignalWord
    unit: Literal["share", "ms", "/min"]
    times: list[int]
    seen: list[float | None]
    expected: list[float | None]
    low: list[float | None]
    high: list[float | None]


class EventOf(BaseModel):
    """Something that became of an incident."""

    at: int
    text: str


class IncidentDetails(IncidentOf):
    """One incident with its signals from an hour before it to its end, what became of it, and what root cause
    analysis answered (as `analytics/why` does; null before it was asked)."""

    signals: list[CourseOf]
    events: list[EventOf]
    why: dict[str, Any] | None


class FeedbackRequest(BaseModel):
    """What is said of an incident; an empty verdict takes back what was said."""

    model_config = ConfigDict(extra="forbid")

    verdict: Literal["not-an-anomaly", "confirmed", ""]
    note: str = Field(default="", max_length=2_000)
