"""What the analyses of traces answer. Times are milliseconds (float), shares 0 to 1; lists come in their order."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel

from windvane.api.windvane.analysis_choice import TraceChoice


class Named(BaseModel):
    """A service and one of its operations."""

    service: str
    operation: str


class Quantiles(BaseModel):
    """Of the traces' durations."""

    p50: float
    p95: float
    p99: float


class PathSection(Named):
    """A piece of the critical path: a span, and when since the trace's start it was what the trace waited for."""

    span_id: str
    start_ms: float
    duration_ms: float


class PathOperation(Named):
    """An operation's part of one trace: on the critical path, and its self time on it or not."""

    spans: int
    path_ms: float
    share: float
    self_ms: float


class TracePath(BaseModel):
    """The critical path of one trace; the sections' durations add up to `duration_ms`, that of its root span.

    `start` is the root span's, ISO 8601. `roots` counts spans whose parent is missing, the root among them: with more
    than one the path is that of the main root's part only.
    """

    trace_id: str
    service: str
    operation: str
    start: str
    duration_ms: float
    spans: int
    roots: int
    sections: list[PathSection]
    operations: list[PathOperation]


class BandShare(BaseModel):
    """Of the traces around a quantile: milliseconds a trace, and the share of their time."""

    mean_ms: float
    share: float


class Bands(BaseModel):
    """The traces around each quantile of duration."""

    p50: BandShare
    p95: BandShare
    p99: BandShare


class Owned(BaseModel):
    """What is owned of the traces' latency: in all, and around each quantile."""

    traces: int
    path_ms: float
    self_ms: float
    share: float
    at: Bands


class ServiceOwner(Owned):
    """A service and the latency it owns."""

    service: str


class OperationOwner(ServiceOwner):
    """An operation and the latency it owns."""

    operation: str


class EdgeOwner(ServiceOwner):
    """A service as it is called by another (`caller` is empty at the entry), and the latency it owns there."""

    caller: str


class WhatIf(Named):
    """Durations if the own work of an operation (or of a whole service: empty) took `faster` less time."""

    faster: float
    affected: int
    before_ms: Quantiles
    after_ms: Quantiles


class TracesRead(BaseModel):
    """How much was read; `truncated` when the limit was reached and older traces were left out.

    `estimated_traces` is how many those stand for by their weights: more than `traces` where some were sampled. All
    else counts what was read.
    """

    traces: int
    estimated_traces: float
    spans: int
    truncated: bool


class PathsAnswer(TracesRead):
    """The critical paths of many traces: who owns their latency, and what would help."""

    duration_ms: Quantiles
    services: list[ServiceOwner]
    operations: list[OperationOwner]
    edges: list[EdgeOwner]
    what_if: list[WhatIf]


class FlameNode(Named):
    """Spans with the same way of services and operations above them; `parent` indexes the list, -1 at the top."""

    parent: int
    depth: int
    spans: int
    traces: int
    errors: int
    total_ms: float
    self_ms: float
    path_ms: float


class FlameAnswer(TracesRead):
    """An aggregate flame graph, parents before children; `left_out` nodes were too small."""

    total_ms: float
    nodes: list[FlameNode]
    left_out: int


class ComparedSide(BaseModel):
    """A place in one of the two traces."""

    spans: int
    errors: int
    total_ms: float
    self_ms: float
    path_ms: float


class ComparedPlace(Named):
    """The same way of services and operations in both traces; `parent` indexes the list, -1 at the top."""

    parent: int
    depth: int
    change: Literal["added", "removed", "slower", "faster", "more", "fewer", "failed", "recovered", "same"]
    a: ComparedSide
    b: ComparedSide


class ComparedTrace(BaseModel):
    """One of the two."""

    trace_id: str
    duration_ms: float


class ComparisonAnswer(BaseModel):
    """Two traces side by side, parents before children."""

    a: ComparedTrace
    b: ComparedTrace
    places: list[ComparedPlace]


class CohortsQuestion(BaseModel):
    """Two sets of traces to tell apart.

    Without a `baseline` it is the selection's service and times alone. What is in both sets counts in the selection.
    `rate` is the share of false findings (Benjamini and Hochberg) or the chance of any (Holm) that is accepted;
    `support` traces of both sets together must have a property for it to be compared.
    """

    model_config = {"extra": "forbid"}

    selection: TraceChoice
    baseline: TraceChoice | None = None
    rate: float = 0.05
    correction: Literal["benjamini-hochberg", "holm"] = "benjamini-hochberg"
    support: int = 10
    limit: int = 100


class Estimate(BaseModel):
    """A value and its 95 % confidence interval."""

    value: float
    low: float
    high: float


class CohortProperty(BaseModel):
    """Something a trace has: `key` and `value` by kind.

    attribute: its name with its scope (`span.`, `resource.`) and its value; operation and failing: service and
    operation; edge: calling and called service; duration: least and greatest milliseconds of the trace.
    """

    kind: Literal["attribute", "operation", "failing", "edge", "duration"]
    key: str
    value: str


class CohortCount(BaseModel):
    """How many traces of a set have a property, and their share."""

    traces: int
    share: float


class CohortDifference(CohortProperty):
    """A property that one set has more often; `also` are properties of the very same traces.

    `difference` and `ratio` are of the selection's share to the baseline's; `adjusted` is the corrected p-value.
    """

    also: list[CohortProperty]
    selection: CohortCount
    baseline: CohortCount
    difference: Estimate
    ratio: Estimate
    p: float
    adjusted: float
    example: str


class LatencyCount(BaseModel):
    """Traces of a set with the operation, and its durations."""

    traces: int
    p50_ms: float
    p95_ms: float


class CohortLatency(Named):
    """An operation (both empty: the whole trace) that takes longer in one set.

    `chance`: that of a trace of the selection being slower than one of the baseline.
    """

    selection: LatencyCount
    baseline: LatencyCount
    chance: Estimate
    p: float
    adjusted: float


class CohortSize(BaseModel):
    """The traces of a set; `overlap` more were in the other set, too. `estimated_traces`: by weights, if sampled."""

    traces: int
    estimated_traces: float
    truncated: bool
    overlap: int = 0


class CohortsAnswer(BaseModel):
    """What tells the sets apart, the surest first, among so many comparisons; `found` differences in all."""

    selection: CohortSize
    baseline: CohortSize
    comparisons: int
    correction: str
    rate: float
    found: int
    differences: list[CohortDifference]
    latencies: list[CohortLatency]


class ErrorRootFound(Named):
    """Where failures begin: `reached` traces failed as a whole with it; `chain` is an example's way up."""

    spans: int
    traces: int
    reached: int
    chain: list[Named]
    trace_id: str
    span_id: str


class RepeatFound(BaseModel):
    """Similar calls one after the other under one parent; the example is the parent with most of them."""

    caller: Named
    called: Named
    traces: int
    parents: int
    calls: float
    most: int
    time_ms: float
    path_ms: float
    trace_id: str
    span_id: str


class StormHop(BaseModel):
    """What became of the example at one cluster."""

    cluster: str
    entries: int
    attempts: int
    failed: int


class StormFound(BaseModel):
    """Requests that became too many attempts at a cluster, and one example's way."""

    cluster: str
    route: str
    requests: int
    retried: int
    stormy: int
    attempts: int
    most: int
    failed: int
    request_id: str
    trace_id: str
    way: list[StormHop]


class SlowFound(Named):
    """An operation that became slower than in the baseline window."""

    spans: int
    slow: int
    above: int
    p: float
    adjusted: float
    baseline_spans: int
    baseline_p50_ms: float
    baseline_p99_ms: float
    p50_ms: float
    times: float
    example_ms: float
    trace_id: str
    span_id: str


class FindingsAnswer(TracesRead):
    """What stands out in the traces of a window; lists without a finding are empty."""

    error_roots: list[ErrorRootFound]
    n_plus_one: list[RepeatFound]
    retried: list[RepeatFound]
    retry_storms: list[StormFound]
    slow: list[SlowFound]


class ExemplarFound(BaseModel):
    """A trace that a point of a metric is made of; `value` in the metric's unit, `time` ISO 8601."""

    trace_id: str
    time: str
    value: float
    source: Literal["exemplar", "access log", "span"]


class ExemplarsAnswer(BaseModel):
    """Traces of a point, the nearest in value first."""

    metric: str
    exemplars: list[ExemplarFound]


def milliseconds(nanoseconds: float) -> float:
    """Nanoseconds as milliseconds, no digit lost."""
    return round(nanoseconds / 1e6, 6)


def fields_of(value: Any, *names: str) -> dict[str, Any]:
    """Chosen fields of a record."""
    return {name: getattr(value, name) for name in names}
