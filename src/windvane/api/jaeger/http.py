"""Jaeger's JSON API (the one its UI, Grafana and Kiali speak): services, operations, traces, dependencies.

Every answer is the envelope `{"data", "total", "limit", "offset", "errors"}`; times of traces are
microseconds since the epoch, those of dependencies milliseconds.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote_plus

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from windvane.api.jaeger import metrics, params, v3
from windvane.api.jaeger.answers import Handler, envelope, guarded, guarded_body, unknown_path
from windvane.api.jaeger.otlp_upload import read_upload
from windvane.api.jaeger.queries import DEFAULT_LIMIT, FOREVER_NS, NOT_FOUND, JaegerQueries
from windvane.api.jaeger.trace_json import trace_id_text, trace_json
from windvane.kit.errors import BadInputError
from windvane.tracing import search
from windvane.tracing.model import Trace
from windvane.tracing.service_paths import MAX_TRACES

DEFAULT_LOOKBACK_NS = 48 * 3_600 * 10**9
DEPENDENCIES_LOOKBACK_MS = 24 * 3_600 * 1_000
UPLOAD_BYTES = 64 << 20
_MICRO, _MILLI = 1_000, 1_000_000


def routes(queries: JaegerQueries, prefix: str = "") -> list[BaseRoute]:
    """The routes under `{prefix}/api`, those of api_v3 included."""
    face = _Face(queries)

    def get(path: str, answer: Handler) -> Route:
        return Route(prefix + path, guarded(answer), methods=["GET"])

    return [
        get("/api/services", face.services),
        get("/api/services/{service:path}/operations", face.operation_names),
        get("/api/operations", face.operations),
        get("/api/traces", face.find),
        get("/api/traces/{trace_id:path}", face.trace),
        Route(f"{prefix}/api/archive/{{trace_id:path}}", guarded(face.archive), methods=["POST"]),
        Route(f"{prefix}/api/transform", guarded_body(_transformed, UPLOAD_BYTES), methods=["POST"]),
        get("/api/dependencies", face.dependencies),
        get("/api/deep-dependencies", face.paths),
        get("/analytics/v1/dependencies", face.paths),
        *metrics.routes(queries, prefix),
        *v3.routes(queries, prefix),
    ]


def fallback(prefix: str = "") -> list[BaseRoute]:
    """Go's 404 for every other path under `{prefix}/api`: mount it after all other routes."""
    return [Route(prefix + "/api/{path:path}", unknown_path, methods=["GET", "HEAD", "POST"])]


class _Face:
    def __init__(self, queries: JaegerQueries) -> None:
        self._queries = queries

    def services(self, _: Request) -> dict[str, Any]:
        names = self._queries.services()
        return envelope(names, total=len(names))

    def operation_names(self, request: Request) -> dict[str, Any]:
        service = unquote_plus(request.path_params["service"])
        names = list(dict.fromkeys(item.name for item in self._queries.operations(service)))
        return envelope(names, total=len(names))

    def operations(self, request: Request) -> dict[str, Any]:
        service = request.query_params.get("service", "")
        if not service:
            raise BadInputError("parameter 'service' is required")
        found = self._queries.operations(service, request.query_params.get("spanKind", ""))
        return envelope([{"name": item.name, "spanKind": item.kind} for item in found], total=len(found))

    def find(self, request: Request) -> dict[str, Any]:
        given = request.query_params
        query, raw = trace_query(given, self._queries.now_ns()), params.boolean(given, "raw")
        asked = _trace_ids(given)
        if asked:
            return self._by_ids(asked, raw=raw)
        return _traces(self._queries.find(query, raw=raw))

    def _by_ids(self, asked: list[str], *, raw: bool) -> dict[str, Any]:
        traces = self._queries.by_ids(asked, raw=raw)
        found = {trace.trace_id for trace in traces}
        missing = [
            {"msg": NOT_FOUND, "traceID": trace_id_text(trace_id)}
            for trace_id in dict.fromkeys(asked)
            if trace_id not in found
        ]
        return _traces(traces, missing or None)

    def trace(self, request: Request) -> dict[str, Any]:
        given, (trace_id, window) = request.query_params, _trace_and_window(request)
        read = self._queries.whole if params.boolean(given, "inferred") else self._queries.one
        return _traces([read(trace_id, window, raw=params.boolean(given, "raw"))])

    def archive(self, request: Request) -> dict[str, Any]:
        trace_id, window = _trace_and_window(request)
        params.boolean(request.query_params, "raw")  # refused when malformed, without a meaning otherwise
        self._queries.archive(trace_id, window)
        return envelope([], errors=[])

    def dependencies(self, request: Request) -> dict[str, Any]:
        given = request.query_params
        end_ns = params.moment_ns(given, "endTs", _MILLI, self._queries.now_ns())
        start_ns = params.bounded(end_ns - params.integer(given, "lookback", DEPENDENCIES_LOOKBACK_MS) * _MILLI)
        service = given.get("service", "")
        found = [
            {"parent": parent, "child": child, "callCount": calls}
            for parent, child, calls in self._queries.dependencies(start_ns, end_ns)
            if not service or service in (parent, child)
        ]
        return envelope(found)

    def paths(self, request: Request) -> dict[str, Any]:
        """Jaeger answers here with samples; these are the paths of real traces, in the same shape."""
        given, now_ns = request.query_params, self._queries.now_ns()
        end_ns = params.moment_ns(given, "end", _MICRO, now_ns) or now_ns  # the UI sends 0 for now
        start_ns = params.moment_ns(given, "start", _MICRO, 0) or end_ns - DEFAULT_LOOKBACK_NS
        query = search.TraceQuery(
            start_ns, end_ns, given.get("service", ""), given.get("operation", ""), limit=MAX_TRACES
        )
        return {
            "dependencies": [
                {
                    "path": [{"service": service, "operation": operation} for service, operation in path.entries],
                    "attributes": [
                        {"key": "exemplar_trace_id", "value": trace_id_text(trace_id)} for trace_id in path.exemplars
                    ],
                }
                for path in self._queries.paths(query)
            ]
        }


def trace_query(given: QueryParams, now_ns: int) -> search.TraceQuery:
    """A search from Jaeger's parameters; `BadInputError` carries Jaeger's message."""
    query = search.TraceQuery(
        service=given.get("service", ""),
        operation=given.get("operation", ""),
        start_ns=params.moment_ns(given, "start", _MICRO, now_ns - DEFAULT_LOOKBACK_NS),
        end_ns=params.moment_ns(given, "end", _MICRO, now_ns),
        tags=params.tags(given),
        limit=params.parse_int(given["limit"], bits=32) if given.get("limit") else DEFAULT_LIMIT,
        min_duration_ns=params.duration_ns(given, "minDuration"),
        max_duration_ns=params.duration_ns(given, "maxDuration"),
    )
    if query.limit <= 0:
        raise BadInputError("invalid parameter: limit must be greater than 0")
    if query.start_ns > query.end_ns:
        raise BadInputError("invalid parameter: start time must be before end time")
    if query.min_duration_ns and query.max_duration_ns and query.max_duration_ns < query.min_duration_ns:
        raise BadInputError("'maxDuration' should be greater than 'minDuration'")
    return query


def _trace_ids(given: QueryParams) -> list[str]:
    try:
        return [params.parse_trace_id(text) for text in given.getlist("traceID")]
    except BadInputError as error:
        raise BadInputError(f"cannot parse traceID param: {error.message}") from None


def _trace_and_window(request: Request) -> tuple[str, tuple[int, int] | None]:
    given, trace_id = request.query_params, params.parse_trace_id(request.path_params["trace_id"])
    if not given.get("start") and not given.get("end"):
        return trace_id, None
    low, high = (params.moment_ns(given, name, _MICRO, d) for name, d in (("start", 0), ("end", FOREVER_NS)))
    return trace_id, (low, high)


def _traces(traces: list[Trace], errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return envelope([trace_json(trace) for trace in traces], errors=errors)


def _transformed(body: bytes) -> dict[str, Any]:
    return _traces(read_upload(body))
