"""Tempo's HTTP API, as Grafana's Tempo data source and Kiali call it: search, traces, tags, metrics.

Mounted under a prefix beside the other faces, and at the root of an address of its own. Errors are
Tempo's: a line of text with the status. Searches differ in one thing: they return the newest traces
by real order, not whichever were found first.
"""

from __future__ import annotations

import string
from collections.abc import Callable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from windvane import __version__
from windvane.api import tempo_json, tempo_params
from windvane.api.errors import retry_headers, status_of
from windvane.api.otlp_traces import JsonWriter, traces_protobuf
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, NotFoundError, WindvaneError
from windvane.signals.otlp.wire import block
from windvane.store.api import Engine
from windvane.tracing.assembly import read_traces
from windvane.tracing.model import Span
from windvane.tracing.traceql.errors import TraceQLError
from windvane.tracing.traceql.fields import matcher
from windvane.tracing.traceql.metrics import MetricsRequest, TraceMetrics
from windvane.tracing.traceql.parse import parse_filter, parse_reference
from windvane.tracing.traceql.plan import hint
from windvane.tracing.traceql.search import Request as SearchRequest
from windvane.tracing.traceql.search import TraceSearch
from windvane.tracing.traceql.syntax import Attribute, Reference, Scope
from windvane.tracing.traceql.tags import (
    INTRINSICS,
    SCOPES,
    TagRequest,
    lenient_condition,
    tag_names,
    tag_values,
)
from windvane.tracing.traceql.view import TraceView

PREFIX = "/tempo"
API_LEVEL = "2.9.0"
"""The version of Tempo whose API this is; clients choose by it what they ask."""
_PROTOBUF = "application/protobuf"
_MAX_EXEMPLARS = 1_000
_SCOPE_NAMES = {scope.value: scope for scope in SCOPES}


def routes(engine: Engine, clock: Clock, prefix: str = PREFIX) -> list[BaseRoute]:
    """The routes, each under `prefix`."""
    face = _Face(engine, clock)
    answers: dict[str, Callable[[Request], Response]] = {
        "/api/search": face.search,
        "/api/traces/{trace_id}": face.trace,
        "/api/v2/traces/{trace_id}": face.trace_v2,
        "/api/search/tags": face.tags,
        "/api/v2/search/tags": face.tags_v2,
        "/api/search/tag/{tag:path}/values": face.values,
        "/api/v2/search/tag/{tag:path}/values": face.values_v2,
        "/api/metrics/query_range": face.query_range,
        "/api/metrics/query": face.query,
        "/api/echo": lambda _: PlainTextResponse("echo"),
        "/api/status/buildinfo": _build_info,
        "/api/overrides": lambda _: _json({}),
        "/status/services": lambda _: PlainTextResponse("windvane: Running\n"),
        "/ready": lambda _: PlainTextResponse("ready\n"),
    }
    return [Route(prefix + path, _guarded(answer), methods=["GET"]) for path, answer in answers.items()]


class _Face:
    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._search = TraceSearch(engine, clock)
        self._metrics = TraceMetrics(self._search)

    def search(self, request: Request) -> Response:
        params = request.query_params
        wanted = SearchRequest(
            tempo_params.window(params, self._clock.now_ns()),
            tempo_params.integer(params, "limit", tempo_params.DEFAULT_LIMIT),
            tempo_params.integer(params, "spss", tempo_params.DEFAULT_SPANS, 0) or tempo_params.MAX_SPANS,
        )
        return _json(tempo_json.search_json(self._search.search(tempo_params.search_pipeline(params), wanted)))

    # Traces

    def trace(self, request: Request) -> Response:
        spans = self._spans(request)
        if _wants_protobuf(request):
            return Response(traces_protobuf(spans), media_type=_PROTOBUF)
        return _json({"batches": JsonWriter(generic=True).resource_spans(spans)})

    def trace_v2(self, request: Request) -> Response:
        spans = _filtered(self._spans(request), request)
        if _wants_protobuf(request):
            return Response(block(1, traces_protobuf(spans)), media_type=_PROTOBUF)
        return _json({"trace": {"resourceSpans": JsonWriter(generic=True).resource_spans(spans)}, "metrics": {}})

    def _spans(self, request: Request) -> list[Span]:
        trace_id = parse_trace_id(request.path_params["trace_id"])
        traces = read_traces(self._engine, [trace_id], tempo_params.trace_window(request.query_params))
        if not traces:
            raise NotFoundError("trace not found")
        return list(traces[0].spans)

    # Tags

    def tags(self, request: Request) -> Response:
        names = self._names(request)
        known = {name for scope in names for name in names[scope]}
        limit = tempo_params.integer(request.query_params, "limit", 10_000, 0) or 10_000
        return _json({"tagNames": sorted(known)[:limit], "metrics": {}})

    def tags_v2(self, request: Request) -> Response:
        names = self._names(request)
        return _json(
            {"scopes": [{"name": scope, "tags": tags} for scope, tags in names.items() if tags], "metrics": {}}
        )

    def _names(self, request: Request) -> dict[str, list[str]]:
        asked = request.query_params.get("scope", "")
        if asked not in ("", "all", "none", "intrinsic", *_SCOPE_NAMES):
            raise BadInputError(f"invalid scope: {asked}")
        scopes = [_SCOPE_NAMES[asked]] if asked in _SCOPE_NAMES else [] if asked == "intrinsic" else list(SCOPES)
        found = tag_names(self._engine, scopes, self._tag_request(request))
        names = {scope.value: tags for scope, tags in found.items()}
        return names if asked in _SCOPE_NAMES else {**names, "intrinsic": list(INTRINSICS)}

    def _tag_request(self, request: Request) -> TagRequest:
        params = request.query_params
        return TagRequest(
            tempo_params.window(params, self._clock.now_ns()),
            lenient_condition(params.get("q", "") or "{ }"),
            min(tempo_params.integer(params, "limit", 1_000, 0) or 1_000, 10_000),
        )

    def values(self, request: Request) -> Response:
        values = tag_values(self._engine, _tag(request.path_params["tag"]), self._tag_request(request))
        return _json({"tagValues": [tempo_json.tag_value_json(value)["value"] for value in values], "metrics": {}})

    def values_v2(self, request: Request) -> Response:
        reference = parse_reference(request.path_params["tag"])
        values = tag_values(self._engine, reference, self._tag_request(request))
        return _json({"tagValues": [tempo_json.tag_value_json(value) for value in values], "metrics": {}})

    # Metrics

    def query_range(self, request: Request) -> Response:
        params = request.query_params
        query = tempo_params.metrics_query(params)
        slots = tempo_params.metrics_slots(params, self._clock.now_ns(), instant=False)
        exemplars = tempo_params.integer(params, "exemplars", 0, 0)
        hinted = hint(query.hints, "exemplars")
        if hinted is not None:
            exemplars = 100 if hinted is True else int(hinted) if isinstance(hinted, int) else exemplars
        series = self._metrics.evaluate(query, MetricsRequest(slots, max(0, min(exemplars, _MAX_EXEMPLARS))))
        return _json(tempo_json.range_json(series, slots.times_ms()))

    def query(self, request: Request) -> Response:
        query = tempo_params.metrics_query(request.query_params)
        slots = tempo_params.metrics_slots(request.query_params, self._clock.now_ns(), instant=True)
        return _json(tempo_json.instant_json(self._metrics.evaluate(query, MetricsRequest(slots))))


def parse_trace_id(text: str) -> str:
    """32 hex characters of an id given with at most as many; the messages are Tempo's."""
    for position, character in enumerate(text):
        if character not in string.hexdigits:
            raise BadInputError(
                f"trace IDs can only contain hex characters: invalid character '{character}' at position {position + 1}"
            )
    if len(text) > 32:
        raise BadInputError("trace IDs can't be larger than 128 bits")
    return text.lower().zfill(32)


def _filtered(spans: list[Span], request: Request) -> list[Span]:
    """The spans that `q` matches and, unless `keep_hierarchy` is false, all above them."""
    text = request.query_params.get("q", "").strip()
    if not text:
        return spans
    matches, view = matcher(parse_filter(text).expression), TraceView(spans)
    places = {place for place in range(len(spans)) if matches(view, place)}
    if request.query_params.get("keep_hierarchy", "true") not in ("false", "0"):
        places |= view.ancestors(places)
    return [spans[place] for place in sorted(places)]


def _tag(name: str) -> Reference:
    """The field of a tag's name without a scope: an intrinsic of that name, else an attribute."""
    try:
        return parse_reference(name)
    except TraceQLError:
        return Attribute(Scope.ANY, name)


def _wants_protobuf(request: Request) -> bool:
    return _PROTOBUF in request.headers.get("accept", "")


def _build_info(_: Request) -> Response:
    return _json(
        {
            "version": API_LEVEL,
            "revision": f"windvane-{__version__}",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
        }
    )


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


def _guarded(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """An endpoint whose errors are a line of text, as Tempo's are."""

    def endpoint(request: Request) -> Response:
        try:
            return answer(request)
        except WindvaneError as error:
            text = f"invalid TraceQL query: {error.message}" if isinstance(error, TraceQLError) else error.message
            headers = {"X-Content-Type-Options": "nosniff", **retry_headers(error)}
            return PlainTextResponse(text + "\n", status_of(error), headers)

    return endpoint
