"""Jaeger's api_v3 over HTTP: OTLP instead of Jaeger's own model, protobuf's JSON instead of the envelope.

Lists without entries and fields with protobuf's default are left out, so an empty answer is `{}`.
Parameters have camelCase names; the snake_case ones of before are read too.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from windvane.api.jaeger import params
from windvane.api.jaeger.answers import Handler, guarded
from windvane.api.jaeger.queries import FOREVER_NS, JaegerQueries
from windvane.api.jaeger.v3_params import V3Params, malformed, trace_query
from windvane.api.otlp_traces import JsonWriter
from windvane.kit.errors import BadInputError, NotFoundError
from windvane.tracing.model import Span, Trace
from windvane.tracing.summaries import TraceSummary

NO_TRACES = "No traces found"
WARNINGS = "@jaeger@warnings"


def routes(queries: JaegerQueries, prefix: str = "") -> list[BaseRoute]:
    """The routes under `{prefix}/api/v3`."""
    face = _Face(queries)

    def get(path: str, answer: Handler) -> Route:
        return Route(f"{prefix}/api/v3/{path}", guarded(answer, error_body), methods=["GET"])

    return [
        get("services", face.services),
        get("operations", face.operations),
        get("traces", face.find),
        get("traces/{trace_id:path}", face.trace),
        get("trace-summaries", face.summaries),
        get("dependencies", face.dependencies),
        get("capabilities", face.capabilities),
    ]


def error_body(status: int, message: str) -> dict[str, Any]:
    """The body of api_v3's errors."""
    return {"error": {"httpCode": status, "message": message}}


class _Face:
    def __init__(self, queries: JaegerQueries) -> None:
        self._queries = queries

    def services(self, _: Request) -> dict[str, Any]:
        return filled(services=self._queries.services())

    def operations(self, request: Request) -> dict[str, Any]:
        given = V3Params(request.query_params)
        found = self._queries.operations(given.text("service"), given.text("spanKind"))
        return filled(operations=[{"name": item.name, "spanKind": item.kind or "internal"} for item in found])

    def trace(self, request: Request) -> dict[str, Any]:
        given = V3Params(request.query_params)
        try:
            trace_id = params.parse_trace_id(request.path_params["trace_id"])
        except BadInputError as error:
            raise malformed("trace_id", error.message) from None
        low, high = given.time("startTime"), given.time("endTime")
        window = None if low is None and high is None else (low or 0, FOREVER_NS if high is None else high)
        return _result(self._queries.by_ids([trace_id], window, raw=given.flag("rawTraces")))

    def find(self, request: Request) -> dict[str, Any]:
        given = V3Params(request.query_params)
        return _result(self._queries.find(trace_query(given), raw=given.flag("query.rawTraces")))

    def summaries(self, request: Request) -> dict[str, Any]:
        given = V3Params(request.query_params)
        given.flag("query.rawTraces")  # refused when malformed, without a meaning otherwise
        return filled(summaries=[summary_json(one) for one in self._queries.summaries(trace_query(given))])

    def dependencies(self, request: Request) -> dict[str, Any]:
        given = V3Params(request.query_params)
        low, high = given.time("startTime"), given.time("endTime")
        for name, value in (("startTime", low), ("endTime", high)):
            if value is None:
                raise malformed(name, "a time is required")
        assert low is not None
        assert high is not None
        if low >= high:
            raise malformed("endTime", "must be after startTime")
        found = self._queries.dependencies(low, high)
        return filled(dependencies=[filled(parent=p, child=c, callCount=str(calls)) for p, c, calls in found])

    def capabilities(self, _: Request) -> dict[str, Any]:
        """What a search may ask beyond the least: no service, and conditions that one span must meet together."""
        return {"search": {"withoutServiceName": True, "sameSpanConjunction": True}}


def _result(traces: list[Trace]) -> dict[str, Any]:
    if not traces:
        raise NotFoundError(NO_TRACES)
    writer = JsonWriter()
    spans = [writer.resource_spans(with_warnings(trace.spans)) for trace in traces]
    return {"result": {"resourceSpans": [batch for batches in spans for batch in batches]}}


def with_warnings(spans: Iterable[Span]) -> list[Span]:
    """Spans as Jaeger hands them out in OTLP, which has no field for warnings: as an attribute."""
    return [
        replace(span, attributes={**span.attributes, WARNINGS: list(span.warnings)}) if span.warnings else span
        for span in spans
    ]


def summary_json(summary: TraceSummary) -> dict[str, Any]:
    """A TraceSummary message as protobuf's JSON."""
    return filled(
        traceId=summary.trace_id,
        rootServiceName=summary.root_service,
        rootOperationName=summary.root_name,
        minStartTimeUnixNano=str(summary.start_ns),
        maxEndTimeUnixNano=str(summary.end_ns),
        spanCount=summary.spans,
        errorSpanCount=summary.errors,
        orphanSpanCount=summary.orphans,
        services=[
            filled(name=service.name, spanCount=service.spans, errorSpanCount=service.errors)
            for service in summary.services
        ],
    )


def filled(**fields: Any) -> dict[str, Any]:
    """The fields that differ from protobuf's default."""
    return {name: value for name, value in fields.items() if value}
