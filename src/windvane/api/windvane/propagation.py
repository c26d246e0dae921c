"""Own routes about lost trace context: `/api/windvane/v1/traces/propagation`, and `/traces/{id}` made whole."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.windvane.analysis import json
from windvane.api.windvane.analysis_choice import trace_id
from windvane.api.windvane.analysis_models import milliseconds
from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX
from windvane.api.windvane.traces import WINDOW, moment, whole, window
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, NotFoundError
from windvane.store.api import Engine
from windvane.tracing import inferred
from windvane.tracing.adjust import adjust
from windvane.tracing.archive import read_kept
from windvane.tracing.model import Attributes, Span
from windvane.tracing.propagation import report
from windvane.tracing.propagation.advice import Advice
from windvane.tracing.propagation.formats import Recognised
from windvane.tracing.propagation.judge import Verdict

Certainty = Literal["seen", "likely", "unknown"]


class Share(BaseModel):
    """A share of calls, and its 95 % interval."""

    value: float
    low: float
    high: float


class CallCounts(BaseModel):
    """What became of calls: `lost` is `seen` (proven) and `likely` (by timing) ones; `unknown` more may be lost.

    `own` calls were made for no request. `shortened` of the lost kept half of the trace id; `renamed` of the continued
    came under a new request id. `share` is lost of all that were made for requests.
    """

    calls: int
    continued: int
    lost: int
    seen: int
    likely: int
    unknown: int
    own: int
    shortened: int
    renamed: int
    share: Share


class Edge(BaseModel):
    """A workload's calls to one destination."""

    destination: str
    counts: CallCounts


class TraceFormat(BaseModel):
    """A format of trace context in use, the headers that carry it, and how that is known."""

    name: str
    headers: list[str]
    certainty: Certainty
    evidence: str


class DroppedHeader(BaseModel):
    """A header that is not handed on, and how sure that is."""

    header: str
    certainty: Certainty


class LostCall(BaseModel):
    """A call that began a trace of its own, and the request it was made for: one of `candidates`.

    Span ids are empty for spans that were not sampled.
    """

    inbound_trace: str
    inbound_span: str
    outbound_trace: str
    outbound_span: str
    destination: str
    start: str
    by: Literal["request id", "timing"]
    candidates: int


class Language(BaseModel):
    """What a workload is written in, as telemetry.sdk.language has it ("" for unknown)."""

    name: str
    certainty: Certainty
    evidence: str


class Change(BaseModel):
    """What to change: the headers to hand on, and a snippet in `language` ("" when there is none)."""

    text: str
    headers: list[str]
    language: str
    snippet: str


class WorkloadPropagation(BaseModel):
    """One workload that makes calls.

    `status`: it `loses` context, `keeps` it, it is `unclear`, or all calls are its `own`. Of its lost calls
    `request_id_kept` came with the request id of a request; `own_traces`: its own tracer began their traces.
    """

    workload: str
    namespace: str
    proxies: int
    served: int
    status: Literal["loses", "keeps", "unclear", "own"]
    certainty: Certainty
    counts: CallCounts
    edges: list[Edge]
    request_id_kept: int
    own_traces: bool
    dropped: list[DroppedHeader]
    formats: list[TraceFormat]
    language: Language
    advice: Change | None
    examples: list[LostCall]


class PropagationAnswer(BaseModel):
    """Where trace context is lost: workloads that make calls, the largest share first.

    `start` is later than asked when the window holds more than is read at once (`truncated`).
    """

    start: str
    end: str
    truncated: bool
    served: int
    calls: int
    formats: list[TraceFormat]
    workloads: list[WorkloadPropagation]


class InferredLink(BaseModel):
    """A subtrace joined to the request its first call was probably made for, one of `candidates`."""

    parent_trace: str
    parent_span: str
    trace: str
    span: str
    destination: str
    by: Literal["request id", "timing"]
    candidates: int
    confidence: float


class TraceSpan(BaseModel):
    """A span; `original_trace_id` differs from the trace's for spans that were attached to it."""

    span_id: str
    parent_id: str
    original_trace_id: str
    service: str
    name: str
    kind: str
    status: str
    start: str
    duration_ms: float
    attributes: dict[str, object]
    resource: dict[str, object]
    warnings: list[str]


class TraceAnswer(BaseModel):
    """A trace, by start of its spans; `inferred` links when asked, `truncated` when a limit left subtraces out."""

    trace_id: str
    start: str
    duration_ms: float
    spans: list[TraceSpan]
    inferred: list[InferredLink]
    truncated: bool


_PROPAGATION = RouteDoc(
    "Where trace context is lost, and what to change",
    PropagationAnswer,
    (
        *WINDOW,
        Parameter("workload", "Only this workload."),
        Parameter("namespace", "Only workloads of this namespace."),
    ),
    "From what sidecars served and called, by access logs where they name traces, else by spans.",
)
_TRACE = RouteDoc(
    "A trace, whole where headers were not handed on",
    TraceAnswer,
    (
        Parameter("id", "Trace id, up to 32 hex characters.", place="path"),
        Parameter("inferred", "1 to attach subtraces that calls of this trace began.", "integer", default=0),
        Parameter("depth", f"So many levels of subtraces at most (up to {inferred.MAX_DEPTH}).", "integer",
                  default=inferred.MAX_DEPTH),
        Parameter("limit", f"So many spans at most (up to {inferred.MAX_SPANS}).", "integer",
                  default=inferred.MAX_SPANS),
    ),
    "Attached spans keep their ids; the first of each subtrace has `windvane.inferred` attributes and a warning.",
)  # fmt: skip


def routes(engine: Engine, clock: Clock) -> list[BaseRoute]:
    """The routes; mount them behind those of `traces/…` with fixed names."""

    def propagation(request: Request) -> Response:
        params = request.query_params
        found = report.propagation(engine, window(params, clock))
        return json(_answer(found, params.get("workload", ""), params.get("namespace", "")))

    def trace(request: Request) -> Response:
        params, asked = request.query_params, trace_id(request.path_params["id"])
        found = read_kept(engine, [asked])
        if not found:
            raise NotFoundError(f"trace {asked} not found")
        shown = inferred.Inferred(found[0], [], False)
        if asked_to_infer(params):
            depth = whole(params, "depth", inferred.MAX_DEPTH, inferred.MAX_DEPTH)
            limit = whole(params, "limit", inferred.MAX_SPANS, inferred.MAX_SPANS)
            shown = inferred.infer(engine, found[0], depth=depth, spans=limit)
        return json(_trace(shown))

    return [
        documented(f"{PREFIX}/traces/propagation", propagation, _PROPAGATION),
        documented(f"{PREFIX}/traces/{{id}}", trace, _TRACE),
    ]


def asked_to_infer(params: QueryParams) -> bool:
    """Whether `inferred` is asked for (1 or true)."""
    text = params.get("inferred", "0")
    if text not in ("0", "1", "true", "false"):
        raise BadInputError(f"inferred {text!r}: expected 0 or 1")
    return text in ("1", "true")


def _answer(found: report.Propagation, name: str, namespace: str) -> PropagationAnswer:
    return PropagationAnswer(
        start=moment(found.start_ns), end=moment(found.end_ns), truncated=found.truncated, served=found.served,
        calls=found.calls, formats=[_format(one) for one in found.formats],
        workloads=[
            _workload(one) for one in found.workloads if name in ("", one.name) and namespace in ("", one.namespace)
        ],
    )  # fmt: skip


def _workload(one: report.Workload) -> WorkloadPropagation:
    return WorkloadPropagation(
        workload=one.name, namespace=one.namespace, proxies=one.proxies, served=one.served, status=one.verdict.status,
        certainty=one.certainty, counts=_counts(one.verdict),
        edges=[Edge(destination=edge.destination, counts=_counts(edge.verdict)) for edge in one.edges],
        request_id_kept=one.request_id_kept, own_traces=one.own_traces,
        dropped=[DroppedHeader(header=drop.header, certainty=drop.certainty) for drop in one.dropped],
        formats=[_format(found) for found in one.formats],
        language=Language(**{name: getattr(one.language, name) for name in ("name", "certainty", "evidence")}),
        advice=_change(one.advice), examples=[_example(lost) for lost in one.examples],
    )  # fmt: skip


def _change(advice: Advice | None) -> Change | None:
    if advice is None:
        return None
    return Change(text=advice.text, headers=list(advice.headers), language=advice.language, snippet=advice.snippet)


def _counts(verdict: Verdict) -> CallCounts:
    share = verdict.share()
    names = ("calls", "continued", "lost", "seen", "likely", "unknown", "own", "shortened", "renamed")
    return CallCounts(
        **{name: getattr(verdict, name) for name in names},
        share=Share(value=share.value, low=share.low, high=share.high),
    )


def _format(one: Recognised) -> TraceFormat:
    return TraceFormat(
        name=one.format.name, headers=list(one.format.headers), certainty=one.certainty, evidence=one.evidence
    )


def _example(lost: report.Example) -> LostCall:
    names = ("inbound_trace", "inbound_span", "outbound_trace", "outbound_span", "destination", "by", "candidates")
    return LostCall(**{name: getattr(lost, name) for name in names}, start=moment(lost.start_ns))


def _trace(shown: inferred.Inferred) -> TraceAnswer:
    trace = adjust(shown.trace)
    return TraceAnswer(
        trace_id=trace.trace_id, start=moment(trace.start_ns), duration_ms=milliseconds(trace.duration_ns),
        spans=[_span(span) for span in trace.spans], truncated=shown.truncated,
        inferred=[
            InferredLink(**{name: getattr(link, name) for name in InferredLink.model_fields}) for link in shown.links
        ],
    )  # fmt: skip


def _span(span: Span) -> TraceSpan:
    return TraceSpan(
        span_id=span.span_id, parent_id=span.parent_id,
        original_trace_id=str(span.attributes.get(inferred.ORIGINAL, span.trace_id)), service=span.service,
        name=span.name, kind=span.kind.lower(), status=span.status.lower(), start=moment(span.start_ns),
        duration_ms=milliseconds(span.duration_ns), attributes=_plain(span.attributes), resource=_plain(span.resource),
        warnings=list(span.warnings),
    )  # fmt: skip


def _plain(attributes: Attributes) -> dict[str, object]:
    return {key: value.hex() if isinstance(value, bytes) else value for key, value in attributes.items()}
