"""Jaeger's JSON API (the one its UI, Grafana and Kiali speak): services, operations, traces.

Every answer is the envelope `{"data", "total", "limit", "offset", "errors"}`; an error has the
envelope with `data: null`, as text, because that is what Jaeger's Go handler sends. Parameters,
defaults and messages are Jaeger's; times are microseconds since the epoch.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote_plus

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from windvane.api.errors import retry_headers, status_of
from windvane.api.jaeger_json import trace_id_text, trace_json
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, NotFoundError, WindvaneError
from windvane.store.api import Engine
from windvane.tracing import search
from windvane.tracing.adjust import adjust
from windvane.tracing.assembly import read_traces
from windvane.tracing.duration import parse_go_duration
from windvane.tracing.model import Trace

DEFAULT_LIMIT = 100
DEFAULT_LOOKBACK_NS = 48 * 3_600 * 10**9

_TRUE = {"1", "t", "T", "TRUE", "true", "True"}
_HEX = re.compile(r"[0-9a-fA-F]{1,32}")
_INTEGER = re.compile(r"[+-]?\d+")


def routes(engine: Engine, clock: Clock, max_skew_ns: int = 0) -> list[BaseRoute]:
    """The routes under `/api`; `max_skew_ns` bounds clock-skew correction (0: report only)."""
    face = _Face(engine, clock, max_skew_ns)
    return [
        Route("/api/services", _guarded(face.services), methods=["GET"]),
        Route("/api/services/{service:path}/operations", _guarded(face.operation_names), methods=["GET"]),
        Route("/api/operations", _guarded(face.operations), methods=["GET"]),
        Route("/api/traces", _guarded(face.find), methods=["GET"]),
        Route("/api/traces/{trace_id:path}", _guarded(face.trace), methods=["GET"]),
    ]


class _Face:
    def __init__(self, engine: Engine, clock: Clock, max_skew_ns: int) -> None:
        self._engine = engine
        self._clock = clock
        self._max_skew_ns = max_skew_ns

    def services(self, _: Request) -> dict[str, Any]:
        names = search.services(self._engine)
        return _envelope(names, total=len(names))

    def operation_names(self, request: Request) -> dict[str, Any]:
        service = unquote_plus(request.path_params["service"])
        names = list(dict.fromkeys(item.name for item in search.operations(self._engine, service)))
        return _envelope(names, total=len(names))

    def operations(self, request: Request) -> dict[str, Any]:
        service = request.query_params.get("service", "")
        if not service:
            raise BadInputError("parameter 'service' is required")
        found = search.operations(self._engine, service, request.query_params.get("spanKind", ""))
        return _envelope([{"name": item.name, "spanKind": item.kind} for item in found], total=len(found))

    def find(self, request: Request) -> dict[str, Any]:
        query = trace_query(request.query_params, self._clock.now_ns())
        asked = [parse_trace_id(text) for text in request.query_params.getlist("traceID")]
        if asked:
            return self._by_ids(asked, request)
        return _envelope(self._shown(search.find_traces(self._engine, query), request))

    def _by_ids(self, asked: list[str], request: Request) -> dict[str, Any]:
        traces = read_traces(self._engine, asked)
        found = {trace.trace_id for trace in traces}
        missing = [
            {"msg": "trace not found", "traceID": trace_id_text(trace_id)}
            for trace_id in dict.fromkeys(asked)
            if trace_id not in found
        ]
        return _envelope(self._shown(traces, request), errors=missing or None)

    def trace(self, request: Request) -> dict[str, Any]:
        trace_id = parse_trace_id(request.path_params["trace_id"])
        params = request.query_params
        window = None
        if params.get("start") or params.get("end"):
            window = (_micros(params, "start", 0), _micros(params, "end", self._clock.now_ns()))
        traces = read_traces(self._engine, [trace_id], window)
        if not traces:
            raise NotFoundError("trace not found")
        return _envelope(self._shown(traces, request))

    def _shown(self, traces: list[Trace], request: Request) -> list[dict[str, Any]]:
        raw = request.query_params.get("raw", "") in _TRUE
        return [trace_json(trace if raw else adjust(trace, self._max_skew_ns)) for trace in traces]


def trace_query(params: QueryParams, now_ns: int) -> search.TraceQuery:
    """A search from Jaeger's parameters; `BadInputError` carries Jaeger's message."""
    query = search.TraceQuery(
        service=params.get("service", ""),
        operation=params.get("operation", ""),
        start_ns=_micros(params, "start", now_ns - DEFAULT_LOOKBACK_NS),
        end_ns=_micros(params, "end", now_ns),
        tags=_tags(params),
        limit=_limit(params),
        min_duration_ns=_duration(params, "minDuration"),
        max_duration_ns=_duration(params, "maxDuration"),
    )
    if query.min_duration_ns and query.max_duration_ns and query.max_duration_ns < query.min_duration_ns:
        raise BadInputError("'maxDuration' should be greater than 'minDuration'")
    return query


def parse_trace_id(text: str) -> str:
    """32 hex characters of an id given as hex (1 to 32 characters) or base64 (either alphabet, padded or not)."""
    if _HEX.fullmatch(text):
        return text.lower().zfill(32)
    try:
        standard = text.rstrip("=").replace("-", "+").replace("_", "/")
        raw = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) not in (8, 16):
        raise BadInputError(f"malformed trace ID {text!r}: expected 1 to 32 hex characters, or base64 of 8 or 16 bytes")
    return raw.hex().zfill(32)


def _micros(params: QueryParams, name: str, default_ns: int) -> int:
    text = params.get(name, "")
    if not text:
        return default_ns
    return max(0, min(_integer(text, name) * 1_000, (1 << 63) - 1))


def _integer(text: str, name: str, bits: int = 64) -> int:
    if not _INTEGER.fullmatch(text):
        raise BadInputError(f"unable to parse param '{name}': strconv.ParseInt: parsing \"{text}\": invalid syntax")
    if not -(1 << bits - 1) <= int(text) < 1 << bits - 1:
        raise BadInputError(f"unable to parse param '{name}': strconv.ParseInt: parsing \"{text}\": value out of range")
    return int(text)


def _limit(params: QueryParams) -> int:
    text = params.get("limit", "")
    return _integer(text, "limit", bits=32) if text else DEFAULT_LIMIT


def _duration(params: QueryParams, name: str) -> int | None:
    text = params.get(name, "")
    if not text:
        return None
    try:
        return parse_go_duration(text) or None
    except BadInputError as error:
        raise BadInputError(f"unable to parse param '{name}': {error.message}") from None


def _tags(params: QueryParams) -> dict[str, str]:
    tags: dict[str, str] = {}
    for text in params.getlist("tag"):
        key, colon, value = text.partition(":")
        if not colon:
            raise BadInputError(f"malformed 'tag' parameter, expecting key:value, received: {text}")
        tags[key] = value
    for text in params.getlist("tags"):
        tags |= _json_tags(text)
    return tags


def _json_tags(text: str) -> dict[str, str]:
    try:
        loaded = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"malformed 'tags' parameter, cannot unmarshal JSON: {error}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise BadInputError("malformed 'tags' parameter, cannot unmarshal JSON: expected an object of strings")
    for key, value in loaded.items():
        if not isinstance(value, str):
            raise BadInputError(f"malformed 'tags' parameter, cannot unmarshal JSON: the value of {key!r} is no string")
    return loaded


def _envelope(data: Any, *, total: int = 0, errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}


def _guarded(answer: Callable[[Request], dict[str, Any]]) -> Callable[[Request], Response]:
    """An endpoint that prints the answer, or the error the way Jaeger does."""

    def endpoint(request: Request) -> Response:
        try:
            return _json(request, answer(request))
        except WindvaneError as error:
            status = status_of(error)
            body = _envelope(None, errors=[{"code": status, "msg": error.message}])
            headers = {"X-Content-Type-Options": "nosniff", **retry_headers(error)}
            return Response(orjson.dumps(body) + b"\n", status, headers=headers, media_type="text/plain; charset=utf-8")

    return endpoint


def _json(request: Request, body: dict[str, Any]) -> Response:
    pretty = request.query_params.get("prettyPrint", "false")
    if pretty in ("", "false"):
        return Response(orjson.dumps(body), media_type="application/json")
    text = orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
    return Response(_INDENT.sub(lambda spaces: spaces[0] * 2, text), media_type="application/json")


_INDENT = re.compile(r"^ +", re.MULTILINE)
