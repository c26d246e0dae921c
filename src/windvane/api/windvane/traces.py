"""Own routes that search traces: result lists with the spans that matched, and what a query bar can offer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np
import orjson
from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX, seconds
from windvane.api.windvane.traces_heatmap import DEFAULT_COLUMNS, MAX_COLUMNS, heatmap_answer, heatmap_doc
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing import completion
from windvane.tracing.filters.parse import parse
from windvane.tracing.pages import SORTS, Cursor, digest
from windvane.tracing.sampling.kept import Sampled, sampled
from windvane.tracing.search import Found, TraceQuery, find
from windvane.tracing.summaries import MatchedSpan, Matches, TraceSummary, matches, summaries

Word = TypeVar("Word", bound=str)
DEFAULT_TRACES, MAX_TRACES = 20, 1_000
DEFAULT_LOOKBACK_NS = 3_600 * 10**9
MATCHED_SPANS = 3
MAX_VALUES = 1_000


class SpanMatch(BaseModel):
    """A span that satisfies the query; `start` in ISO 8601 with nanoseconds, UTC."""

    span_id: str
    service: str
    name: str
    kind: str
    status: str
    start: str
    duration_ms: float


class ServiceSpans(BaseModel):
    """Spans of one service in a trace, and how many of them failed."""

    name: str
    spans: int
    errors: int


class FoundTrace(BaseModel):
    """One trace; counts are of all its spans, `matched` of those that satisfy the query: `matches` has the earliest.

    `weight` is how many traces a `sampled` one stands for, itself included: the sum of weights estimates how many
    there were. What is counted in it is its own.
    """

    trace_id: str
    root_service: str
    root_name: str
    start: str
    duration_ms: float
    spans: int
    errors: int
    orphans: int
    services: list[ServiceSpans]
    matched: int
    matches: list[SpanMatch]
    sampled: bool
    weight: float


class FoundTraces(BaseModel):
    """A page of traces; `next` is the cursor of the page behind it, null for the last one."""

    traces: list[FoundTrace]
    next: str | None


class FieldValue(BaseModel):
    """A value and how many of the spans looked at have it."""

    value: str
    spans: int


class FieldName(BaseModel):
    """A name that a query can use; `scope` is empty for a span's own fields. `values` begin with the most frequent."""

    name: str
    scope: Literal["", "span", "resource", "scope", "event", "link"]
    spans: int
    different: int
    values: list[FieldValue]


class FieldNames(BaseModel):
    """Names in use by how many of the `spans` looked at (the newest) have them."""

    spans: int
    fields: list[FieldName]


_Q = Parameter("q", "What one span of the trace must satisfy, in the query bar's language; everything if absent.")
WINDOW = (
    Parameter(
        "start", "Earliest start of a span, seconds since the epoch; an hour before the end if absent.", "number"
    ),
    Parameter("end", "Latest start of a span, seconds since the epoch; now if absent.", "number"),
)
_TRACES = RouteDoc(
    "Traces that match a query",
    FoundTraces,
    (
        _Q,
        *WINDOW,
        Parameter("limit", f"How many traces at most (up to {MAX_TRACES}).", "integer", default=DEFAULT_TRACES),
        Parameter("sort", f"The order: {', '.join(SORTS)}.", default="newest"),
        Parameter("cursor", "`next` of the page before; its time bounds stay those of the first page."),
    ),
    "The order is that of a trace's matching spans: the latest start (newest), the earliest (oldest), the longest "
    "(slowest) or their number (most), over all matches and not only those of a page.",
)
_FIELDS = RouteDoc(
    "Names and values for completion",
    FieldNames,
    (
        _Q,
        *WINDOW,
        Parameter("name", "Only fields with this name."),
        Parameter("limit", f"How many values of each (up to {MAX_VALUES}).", "integer", default=10),
    ),
    f"Taken from the newest {completion.SAMPLE} spans of the window that satisfy the query.",
)


def routes(engine: Engine, clock: Clock) -> list[BaseRoute]:
    """The routes; times that are not given count from the clock."""

    def traces(request: Request) -> Response:
        asked = _Asked.of(request.query_params, clock)
        found = find(engine, asked.query)
        ids = [trace.trace_id for trace in found]
        spans = matches(engine, asked.query, ids, MATCHED_SPANS)
        known = sampled(engine, ids)
        listed = [
            _trace(summary, spans.get(summary.trace_id, Matches()), known.get(summary.trace_id))
            for summary in summaries(engine, ids)
        ]
        return _json({"traces": listed, "next": asked.next_page(found)})

    def fields(request: Request) -> Response:
        params = request.query_params
        asked = _Asked.of(params, clock)
        name, limit = params.get("name", ""), whole(params, "limit", 10, MAX_VALUES)
        return _json(completion.fields(engine, asked.query, name, limit))

    def heatmap(request: Request) -> Response:
        params = request.query_params
        columns = whole(params, "columns", DEFAULT_COLUMNS, MAX_COLUMNS)
        return _json(heatmap_answer(engine, _Asked.of(params, clock).query, columns).model_dump())

    return [
        documented(f"{PREFIX}/traces", traces, _TRACES),
        documented(f"{PREFIX}/traces/fields", fields, _FIELDS),
        documented(f"{PREFIX}/traces/heatmap", heatmap, heatmap_doc((_Q, *WINDOW))),
    ]


@dataclass(frozen=True, slots=True)
class _Asked:
    query: TraceQuery
    digest: int

    @classmethod
    def of(cls, params: QueryParams, clock: Clock) -> _Asked:
        """What a request asks; a cursor brings the time bounds of the first page along."""
        text, sort = params.get("q", ""), choice(params, "sort", SORTS)
        asked, cursor = digest(text, sort), params.get("cursor", "")
        after, (start_ns, end_ns) = None, window(params, clock)
        if cursor:
            found = Cursor.parse(cursor)
            if found.query != asked:
                raise BadInputError("the cursor is of another query or order: q and sort must stay the same")
            after, start_ns, end_ns = (found.rank, found.trace_id), found.start_ns, found.end_ns
        limit = whole(params, "limit", DEFAULT_TRACES, MAX_TRACES)
        return cls(TraceQuery(start_ns, end_ns, limit=limit, where=parse(text), sort=sort, after=after), asked)

    def next_page(self, found: list[Found]) -> str | None:
        """The cursor behind a full page."""
        if len(found) < self.query.limit:
            return None
        last = found[-1]
        return Cursor(last.rank, last.trace_id, self.query.start_ns, self.query.end_ns, self.digest).text()


def window(params: QueryParams, clock: Clock) -> tuple[int, int]:
    """The times asked for in nanoseconds: the last hour, or the hour before `end`, if `start` is absent."""
    start, end = seconds(params, "start"), seconds(params, "end")
    end_ns = clock.now_ns() if end is None else end
    start_ns = end_ns - DEFAULT_LOOKBACK_NS if start is None else start
    if start_ns > end_ns:
        raise BadInputError("start is after end")
    return start_ns, end_ns


def choice(params: QueryParams, name: str, words: Sequence[Word]) -> Word:
    """One of the words; the first of them if the parameter is not given."""
    text = params.get(name, words[0])
    for word in words:
        if text == word:
            return word
    raise BadInputError(f"{name} {text!r}: expected one of {', '.join(words)}")


def whole(params: QueryParams, name: str, default: int, most: int) -> int:
    """A parameter that is a whole number from 1 to `most`."""
    text = params.get(name, str(default))
    if not text.isdecimal() or not 0 < int(text) <= most:
        raise BadInputError(f"{name} {text!r}: expected a whole number from 1 to {most}")
    return int(text)


def _trace(summary: TraceSummary, found: Matches, known: Sampled | None) -> dict[str, Any]:
    return {
        "trace_id": summary.trace_id,
        "root_service": summary.root_service,
        "root_name": summary.root_name,
        "start": moment(summary.start_ns),
        "duration_ms": summary.duration_ns / 1e6,
        "spans": summary.spans,
        "errors": summary.errors,
        "orphans": summary.orphans,
        "services": summary.services,
        "matched": found.count,
        "matches": [_match(span) for span in found.spans],
        "sampled": known is not None,
        "weight": 1.0 if known is None else known.weight,
    }


def _match(span: MatchedSpan) -> dict[str, Any]:
    return {
        "span_id": span.span_id,
        "service": span.service,
        "name": span.name,
        "kind": span.kind,
        "status": span.status,
        "start": moment(span.start_ns),
        "duration_ms": span.duration_ns / 1e6,
    }


def moment(nanoseconds: int) -> str:
    """A time in ISO 8601 with nanoseconds, UTC."""
    return f"{np.datetime64(nanoseconds, 'ns')}Z"


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
