"""Whole traces where an application forgot the headers: subtraces joined to the requests they were made for.

A sidecar that is handed no context begins a trace anew. The request it was made for is told by the request id, when
that was handed on, else by time: it was being served when the call began. An inferred link has a confidence: by request
id, one over the number of served requests with that id; by timing, one over the number served at the moment, times the
share of such calls that are made for requests at all (`windvane.tracing.propagation.judge`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from windvane.store.api import Engine
from windvane.tracing.archive import read_kept
from windvane.tracing.model import Attributes, Span, Trace
from windvane.tracing.propagation.calls import Calls, Requests, read_calls
from windvane.tracing.propagation.judge import Judged, chance_of_cause, judge_calls
from windvane.tracing.propagation.keys import among
from windvane.tracing.propagation.lookup import Fact, ServedByNode, destination_of, facts, key, lower_half

MAX_DEPTH, MAX_SPANS, MAX_SUBTRACES = 8, 20_000, 1_000
LEAST_CONFIDENCE = 0.05

_AROUND_NS = 300 * 10**9
INFERRED, CONFIDENCE, BY, ORIGINAL = (
    f"windvane.inferred{name}" for name in ("", ".confidence", ".by", ".trace_id")
)  # fmt: skip
"""Attributes of spans that were attached: the first three of a subtrace's root, the last of all its spans."""


@dataclass(frozen=True, slots=True)
class InferredLink:
    """A call that was probably made for a request: ids of both spans; `candidates` requests come into question."""

    parent_trace: str
    parent_span: str
    trace: str
    span: str
    destination: str
    by: Literal["request id", "timing"]
    candidates: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Inferred:
    """A trace with what was attached to it; `truncated` when a limit left subtraces out."""

    trace: Trace
    links: list[InferredLink]
    truncated: bool


def infer(engine: Engine, trace: Trace, *, depth: int = MAX_DEPTH, spans: int = MAX_SPANS) -> Inferred:
    """Attach the subtraces that calls of this trace's services began, level by level.

    Nothing is attached below `depth` levels, nor a subtrace that would make more than so many `spans`, nor more than
    `MAX_SUBTRACES` at a level. A subtrace goes to its most probable request alone; a link less sure than
    `LEAST_CONFIDENCE`, and a call whose spans were not kept, are left out.
    """
    whole, links, truncated = list(trace.spans), list[InferredLink](), False
    seen, level = {trace.trace_id}, [trace]
    for _ in range(depth):
        found = [one for one in _calls_of(engine, level) if one.call.trace_id not in seen]
        truncated |= len(found) > MAX_SUBTRACES
        level = []
        for one, below in _subtraces(engine, found[:MAX_SUBTRACES]):
            if len(whole) + len(below.spans) > spans:
                truncated = True
                continue
            seen.add(below.trace_id)
            links.append(one.link(below))
            whole += _attached(below, trace.trace_id, links[-1])
            level.append(below)
        if not level:
            break
    order = sorted(whole, key=lambda span: (span.start_ns, span.span_id))
    return Inferred(Trace(trace.trace_id, tuple(order)), links, truncated)


@dataclass(frozen=True, slots=True)
class _Call:
    """A call in a trace of its own, and the most probable request it was made for."""

    call: Fact
    start_ns: int
    parent: Span
    candidates: int
    by_id: bool
    confidence: float

    def link(self, below: Trace) -> InferredLink:
        return InferredLink(
            self.parent.trace_id, self.parent.span_id, below.trace_id, self._first_span(below),
            destination_of(self.call.cluster), "request id" if self.by_id else "timing", self.candidates,
            self.confidence,
        )  # fmt: skip

    def _first_span(self, below: Trace) -> str:
        """The call's span, or the first of those above it: an application's tracer may have begun the trace."""
        spans = {span.span_id: span for span in below.spans}
        own = [span for span in below.spans if _node(span, "Client") == self.call.node] or list(below.spans)
        span = min(own, key=lambda span: (abs(span.start_ns - self.start_ns), span.span_id))
        passed = set[str]()
        while span.parent_id in spans and span.span_id not in passed:
            passed.add(span.span_id)
            span = spans[span.parent_id]
        return span.span_id


def _calls_of(engine: Engine, traces: Sequence[Trace]) -> list[_Call]:
    """Calls in other traces that were probably made for requests served in these, the surest first."""
    servers = [span for trace in traces for span in trace.spans if _node(span, "Server")]
    if not servers:
        return []
    window = (
        max(0, min(span.start_ns for span in servers) - _AROUND_NS),
        max(span.end_ns for span in servers) + _AROUND_NS,
    )
    calls = read_calls(engine, window, sorted({_node(span, "Server") for span in servers}))
    judged = judge_calls(calls, settled=False)
    found = list(_linked(engine, calls, judged, servers))
    return sorted(found, key=lambda one: (-one.confidence, one.start_ns, one.call.trace_id))


def _linked(engine: Engine, calls: Calls, judged: Judged, servers: Sequence[Span]) -> Iterator[_Call]:
    """The calls that have one of these server spans among their candidates."""
    served, index, wanted = calls.served, ServedByNode(calls.served), dict[int, tuple[int, int, bool]]()
    own = np.flatnonzero(
        among(served.trace, np.array(sorted({lower_half(span.trace_id) for span in servers}), np.uint64))
    )
    mine = set(own.tolist())
    for row in _possible(judged, served.take(own)):
        candidates, by_id = index.candidates(judged.made, row)
        requests = [one for one in candidates.tolist() if one in mine]
        if requests:
            wanted[row] = (requests[0], len(candidates), by_id)
    told = facts(engine, [(judged.made, wanted), (calls.served, [one for one, _, _ in wanted.values()])])
    for row, (request, count, by_id) in wanted.items():
        call, origin = told.get(key(judged.made, row)), told.get(key(calls.served, request))
        sure = (1.0 if by_id else chance_of_cause(judged, row)) / count
        if call is None or origin is None or sure < LEAST_CONFIDENCE:
            continue
        parent = _serving(servers, origin, int(calls.served.start[request]))
        if parent is not None:
            yield _Call(call, int(judged.made.start[row]), parent, count, by_id, sure)


def _possible(judged: Judged, served: Requests) -> list[int]:
    """Calls in other traces, made while one of these requests was served or with its id."""
    made, found = judged.made, np.zeros(len(judged.made), np.bool_)
    for row in range(len(served)):
        during = (made.start >= served.start[row]) & (made.start <= served.end[row])
        same = (made.request == served.request[row]) & (made.request > 0)
        found |= (made.node == served.node[row]) & (during | same)
    return np.flatnonzero(found & ~judged.continued).tolist()


def _serving(servers: Sequence[Span], origin: Fact, start_ns: int) -> Span | None:
    """The span of a served request."""
    own = [one for one in servers if one.trace_id == origin.trace_id and _node(one, "Server") == origin.node]
    return min(own, key=lambda one: (abs(one.start_ns - start_ns), one.span_id), default=None)


def _subtraces(engine: Engine, found: Sequence[_Call]) -> Iterator[tuple[_Call, Trace]]:
    """Each other trace once, with the surest call that leads to it."""
    first: dict[str, _Call] = {}
    for one in found:
        first.setdefault(one.call.trace_id, one)
    for trace in read_kept(engine, list(first)):
        yield first[trace.trace_id], trace


def _attached(below: Trace, trace_id: str, link: InferredLink) -> list[Span]:
    """A subtrace's spans as part of another trace: the linked span has a parent now, and says how sure that is."""
    return [_moved(span, trace_id, link) for span in below.spans]


def _moved(span: Span, trace_id: str, link: InferredLink) -> Span:
    attributes: Attributes = {**span.attributes, ORIGINAL: span.trace_id}
    if span.span_id != link.span:
        return dataclasses.replace(span, trace_id=trace_id, attributes=attributes)
    warning = (
        f"parent inferred by {link.by}, confidence {link.confidence:.2f}: the application did not hand on the trace;"
        f" this span began trace {span.trace_id}"
    )
    return dataclasses.replace(
        span, trace_id=trace_id, parent_id=link.parent_span, warnings=(*span.warnings, warning),
        attributes={**attributes, INFERRED: True, CONFIDENCE: round(link.confidence, 4), BY: link.by},
    )  # fmt: skip


def _node(span: Span, kind: str) -> str:
    """The node id of the sidecar whose span of this kind it is; "" for any other span."""
    node = str(span.attributes.get("node_id", ""))
    return node if span.kind == kind and node.startswith("sidecar~") else ""
