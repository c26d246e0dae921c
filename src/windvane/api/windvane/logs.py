"""Own routes that search log lines: pages, counts by time, names for completion, patterns, lines of a trace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.windvane import logs_models as models
from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.logs_json import fields_json, lines_json, moment, pattern_json
from windvane.api.windvane.telemetry import PREFIX, seconds
from windvane.api.windvane.traces import MAX_VALUES, choice, whole, window
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration
from windvane.store.api import Engine
from windvane.tracing import completion as sampling
from windvane.tracing.filters.parse import parse
from windvane.tracing.logs.completion import fields as find_fields
from windvane.tracing.logs.histogram import BYS, MAX_BUCKETS, histogram
from windvane.tracing.logs.lines import Line
from windvane.tracing.logs.patterns import READ, patterns
from windvane.tracing.logs.places import SORTS, Cursor
from windvane.tracing.logs.search import LineQuery, find
from windvane.tracing.logs.sources import KINDS, chosen
from windvane.tracing.logs.traces import trace_lines
from windvane.tracing.pages import digest

DEFAULT_LINES, MAX_LINES = 100, 5_000
DEFAULT_BUCKETS = 60
MAX_PATTERNS = 1_000

Q = Parameter("q", "What a line must satisfy, in the query bar's language; everything if absent.")
KIND = Parameter("kind", f"Which lines: {', '.join(KINDS)} (OTLP logs, access logs, both).", default="all")
_WINDOW = (
    Parameter("start", "Earliest time, seconds since the epoch; an hour before the end if absent.", "number"),
    Parameter("end", "Latest time, seconds since the epoch; now if absent.", "number"),
)
_LINES = RouteDoc(
    "Log lines that match a query",
    models.LogLines,
    (
        Q,
        KIND,
        *_WINDOW,
        Parameter("limit", f"How many lines at most (up to {MAX_LINES}).", "integer", default=DEFAULT_LINES),
        Parameter("sort", f"The order: {', '.join(SORTS)}.", default="newest"),
        Parameter("cursor", "`next` of the page before; its time bounds stay those of the first page."),
    ),
    "OTLP logs and access-log entries merged in the order of time, over all matches and not only those of a page.",
)
_HISTOGRAM = RouteDoc(
    "Log lines by time",
    models.LogHistogram,
    (
        Q,
        KIND,
        *_WINDOW,
        Parameter("buckets", f"About how many buckets (up to {MAX_BUCKETS}).", "integer", default=DEFAULT_BUCKETS),
        Parameter("step", "Length of a bucket, such as 30s, instead of their number."),
        Parameter("by", f"What tells the series apart: {', '.join(BYS)}.", default="severity"),
    ),
    "Severity of an access-log entry: error for 5xx, gRPC server faults and requests without an answer, warn for 4xx "
    "and other gRPC errors, else info. Status (2xx …) is that of access-log entries.",
)
_FIELDS = RouteDoc(
    "Names and values of log lines for completion",
    models.LogFields,
    (
        Q,
        KIND,
        *_WINDOW,
        Parameter("name", "Only fields with this name."),
        Parameter("limit", f"How many values of each (up to {MAX_VALUES}).", "integer", default=10),
    ),
    f"Taken from the newest {sampling.SAMPLE} lines of each kind in the window that satisfy the query.",
)
_PATTERNS = RouteDoc(
    "Patterns of log lines",
    models.LogPatterns,
    (
        Q,
        KIND,
        *_WINDOW,
        Parameter("baseline_start", "Earliest time of a window to compare with, seconds since the epoch.", "number"),
        Parameter("baseline_end", "Latest time of it; just before `start` if absent.", "number"),
        Parameter("limit", f"How many patterns at most (up to {MAX_PATTERNS}).", "integer", default=50),
    ),
    "Lines grouped into templates: what has digits and words that differ among lines alike become `<*>`. Of more than "
    f"{READ} matching lines of a kind the newest are grouped.",
)
_TRACE = RouteDoc(
    "Log lines of a trace",
    models.TraceLines,
    (
        Parameter("id", "The trace's id.", place="path"),
        Parameter("limit", f"How many lines at most (up to {MAX_LINES}).", "integer", default=1_000),
    ),
    "Lines that name the trace, and lines that name a request id which its spans or access-log entries name.",
)


def routes(engine: Engine, clock: Clock) -> list[BaseRoute]:
    """The routes; times that are not given count from the clock."""

    def lines(request: Request) -> Response:
        asked = _Asked.of(request.query_params, clock)
        found = find(engine, asked.query)
        return _json({"lines": lines_json(engine, found), "next": asked.next_page(found)})

    def counts(request: Request) -> Response:
        params = request.query_params
        query, by = line_query(params, clock), choice(params, "by", BYS)
        found = histogram(engine, query, _step_ns(params, query), by)
        series = [{"name": one.name, "counts": one.counts} for one in found.series]
        start, step_ms = moment(found.start_ns), found.step_ns / 1e6
        return _json({"start": start, "step_ms": step_ms, "total": found.total, "by": by, "series": series})

    def fields(request: Request) -> Response:
        params = request.query_params
        name, limit = params.get("name", ""), whole(params, "limit", 10, MAX_VALUES)
        return _json(fields_json(find_fields(engine, line_query(params, clock), name, limit)))

    def shapes(request: Request) -> Response:
        params = request.query_params
        query = line_query(params, clock)
        baseline = _baseline(params, query)
        found = patterns(engine, query, baseline, whole(params, "limit", 50, MAX_PATTERNS))
        listed = [pattern_json(one, found.read, compared=baseline is not None) for one in found.patterns]
        return _json({"lines": found.lines, "read": found.read, "patterns": listed})

    def of_trace(request: Request) -> Response:
        trace_id = str(request.path_params["id"]).lower().zfill(32)
        found = trace_lines(engine, trace_id, whole(request.query_params, "limit", 1_000, MAX_LINES))
        body = {"trace_id": trace_id, "request_ids": found.request_ids, "more": found.more}
        return _json({**body, "lines": lines_json(engine, found.lines)})

    return [
        documented(f"{PREFIX}/logs", lines, _LINES),
        documented(f"{PREFIX}/logs/histogram", counts, _HISTOGRAM),
        documented(f"{PREFIX}/logs/fields", fields, _FIELDS),
        documented(f"{PREFIX}/logs/patterns", shapes, _PATTERNS),
        documented(f"{PREFIX}/traces/{{id}}/logs", of_trace, _TRACE),
    ]


def line_query(params: QueryParams, clock: Clock) -> LineQuery:
    """The query, its tables and time bounds."""
    start_ns, end_ns = window(params, clock)
    return LineQuery(start_ns, end_ns, chosen(params.get("kind", "all")), parse(params.get("q", "")))


@dataclass(frozen=True, slots=True)
class _Asked:
    query: LineQuery
    digest: int

    @classmethod
    def of(cls, params: QueryParams, clock: Clock) -> _Asked:
        """What a request for a page asks; a cursor brings the time bounds of the first page along."""
        sort = choice(params, "sort", SORTS)
        query = replace(line_query(params, clock), sort=sort, limit=whole(params, "limit", DEFAULT_LINES, MAX_LINES))
        asked, cursor = digest(params.get("q", ""), sort, params.get("kind", "all")), params.get("cursor", "")
        if cursor:
            found = Cursor.parse(cursor)
            if found.query != asked:
                raise BadInputError("the cursor is of another query: q, sort and kind must stay the same")
            query = replace(query, start_ns=found.start_ns, end_ns=found.end_ns, after=found.place)
        return cls(query, asked)

    def next_page(self, found: list[Line]) -> str | None:
        """The cursor behind a full page."""
        if len(found) < self.query.limit:
            return None
        return Cursor(found[-1].place, self.query.start_ns, self.query.end_ns, self.digest).text()


_STEPS_MS = (1, 2, 5, 10, 20, 50, 100, 200, 500)
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200)
_STEPS_NS = (*(step * 10**6 for step in _STEPS_MS), *(step * 10**9 for step in _STEPS_S))
_DAY_NS = 86_400 * 10**9


def _step_ns(params: QueryParams, query: LineQuery) -> int:
    """The step asked for, or the round one that gives at most about so many buckets."""
    span = query.end_ns - query.start_ns + 1
    text = params.get("step", "")
    if text:
        step = round(parse_duration(text) * 1e9)
        if step <= 0 or span // step >= MAX_BUCKETS:
            raise BadInputError(f"step {text!r} gives more than {MAX_BUCKETS} buckets")
        return step
    wanted = span / whole(params, "buckets", DEFAULT_BUCKETS, MAX_BUCKETS - 1)
    for step in _STEPS_NS:
        if step >= wanted:
            return step
    return max(1, -int(-wanted // _DAY_NS)) * _DAY_NS


def _baseline(params: QueryParams, query: LineQuery) -> tuple[int, int] | None:
    start, end = seconds(params, "baseline_start"), seconds(params, "baseline_end")
    if start is None:
        if end is not None:
            raise BadInputError("baseline_end is given without baseline_start")
        return None
    end_ns = query.start_ns - 1 if end is None else end
    if start > end_ns:
        raise BadInputError("baseline_start is after baseline_end")
    return start, end_ns


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
