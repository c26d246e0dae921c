"""What `analytics/why` answers, as OpenAPI describes it; values come from `windvane.analytics.explain`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel


class QueryRefOf(BaseModel):
    """PromQL over a time (Unix seconds)."""

    kind: Literal["query"]
    query: str
    start: int
    end: int


class TraceRefOf(BaseModel):
    """A trace."""

    kind: Literal["trace"]
    id: str


class VersionRefOf(BaseModel):
    """A version of the configuration."""

    kind: Literal["version"]
    number: int


class ServiceRefOf(BaseModel):
    """A service."""

    kind: Literal["service"]
    namespace: str
    name: str


RefOf = QueryRefOf | TraceRefOf | VersionRefOf | ServiceRefOf


class EvidenceOf(BaseModel):
    """One thing seen that speaks for a cause; `at` (Unix seconds) where it has a moment, `ref` where to look it up."""

    kind: Literal["series", "edge", "trace", "self-time", "flags", "codes", "change", "version", "demand"]
    text: str
    at: float | None
    ref: RefOf | None


class SegmentOf(BaseModel):
    """A piece of the paragraph, and where its claim can be looked up. The texts joined are the paragraph."""

    text: str
    ref: RefOf | None


class ChangeOf(BaseModel):
    """What changed near the onset. `service` (NAME.NAMESPACE) is whom it concerns, "" where that is nobody in
    question; `relevance` (0 to 1) how directly."""

    at: float
    kind: Literal["configuration", "version", "replicas", "split"]
    text: str
    ref: RefOf | None
    service: str
    relevance: float


class OnlyOf(BaseModel):
    """What of a service is concerned, where the rest of it is fine: `by` is version, workload or pod."""

    by: str
    value: str


class CauseOf(BaseModel):
    """Where it may begin: a service, or (with `caller`) the way from a caller to it.

    `kind`: `service` (itself), `way` (between caller and service), `unreachable` (it takes no connections), `caller`
    (it is asked otherwise than usual by this caller), `demand` (asked otherwise from outside).
    `usual` and `now` are milliseconds a call, the share that failed, or requests a minute, as its `signal` is (the
    symptom's, unless failures that are timeouts were followed as time); `explains` the share (0 to 1) of the excess
    that is its own; `flags` the response flags of calls that failed.
    """

    service: str
    namespace: str
    caller: str | None
    kind: Literal["service", "way", "unreachable", "caller", "demand"]
    text: str
    explains: float
    confidence: float
    departure: float
    usual: float
    now: float
    calls_per_minute: float
    path: list[str]
    signal: Literal["errors", "latency", "rate"]
    flags: dict[str, float]
    only: OnlyOf | None
    evidence: list[EvidenceOf]


class Why(BaseModel):
    """Causes of what a service shows, likeliest first; none (`abstained`, and notes on what was looked at) where
    nothing is out of the usual.

    `since` is the first minute at its worst, `onset` when it began, as exactly as scrapes allow.
    """

    service: str
    namespace: str
    signal: Literal["errors", "latency", "rate"] | None
    since: int | None
    at: int
    onset: float | None
    causes: list[CauseOf]
    notes: list[str]
    abstained: bool
    explanation: list[SegmentOf]
    changes: list[ChangeOf]
    language: Literal["en", "zh"]
