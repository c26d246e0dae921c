"""The HTTP API of Prometheus v1: queries, metadata of series, status.

Parameters come from the URL and from a form in the body (the body first, as in Go's FormValue).
Handlers block and run in the thread pool. Every answer has Prometheus's envelope, errors too.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import parse_qs

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from windvane import __version__
from windvane.api.prometheus_json import query_data, series_count, success
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.kit.values import parse_duration
from windvane.promql.catalog import Window
from windvane.promql.engine import QueryEngine, QueryOptions, QueryResult
from windvane.promql.errors import ParseError, QueryError
from windvane.promql.parse import parse_selector, round_half_away
from windvane.promql.syntax import Selector

_T = TypeVar("_T")
_MAX_BODY = 4 << 20
_MAX_SECONDS = 1e13
_ESCAPED = re.compile(r"_([0-9a-fA-F]{1,6})_")
_STATUS_BY_TYPE = {
    "bad_data": 400,
    "execution": 422,
    "timeout": 503,
    "canceled": 499,
    "unavailable": 503,
    "not_found": 404,
    "internal": 500,
}
_TYPE_BY_KIND = {
    "bad_input": "bad_data",
    "not_found": "not_found",
    "limit": "execution",
    "overloaded": "unavailable",
    "unavailable": "unavailable",
}


@dataclass(frozen=True, slots=True)
class StatusInfo:
    """What `/api/v1/status/…` tells of this server; times in milliseconds, retention as Prometheus writes it."""

    started_ms: int
    retention: str = "none"
    scrape_interval: str = "5s"
    directory: str = ""


class Params:
    """Parameters of one request."""

    def __init__(self, values: Mapping[str, list[str]], path: Mapping[str, str]) -> None:
        self._values = values
        self.path = path

    def text(self, name: str) -> str:
        """The first value, '' when absent."""
        return next(iter(self._values.get(name, [])), "")

    def all(self, name: str) -> list[str]:
        """Every value."""
        return self._values.get(name, [])

    def time(self, name: str, default: int) -> int:
        """A time in milliseconds, given as Unix seconds or RFC 3339."""
        return _checked(name, self.text(name), _time) if self.text(name) else default

    def duration(self, name: str, default: float | None = None) -> float | None:
        """Seconds, given as a number or a duration."""
        return _checked(name, self.text(name), _duration) if self.text(name) else default

    def limit(self) -> int:
        """How many results at most; 0 means all."""
        return _checked("limit", self.text("limit"), _natural) if self.text("limit") else 0


Handler = Callable[[Params], bytes]


def routes(queries: QueryEngine, clock: Clock, info: StatusInfo) -> list[BaseRoute]:
    """The routes of the API on one query engine; times default to now on `clock`."""
    face = _Face(queries, clock, info)
    both, get = ["GET", "POST"], ["GET"]
    table: list[tuple[str, Handler, list[str]]] = [
        ("query", face.query, both),
        ("query_range", face.query_range, both),
        ("labels", face.labels, both),
        ("label/{name:path}/values", face.label_values, get),
        ("series", face.series, both),
        ("metadata", lambda _: success(b"{}"), get),
        ("query_exemplars", lambda _: success(b"[]"), both),
        ("rules", lambda _: success(b'{"groups":[]}'), get),
        ("alerts", lambda _: success(b'{"alerts":[]}'), get),
        ("targets", lambda _: success(b'{"activeTargets":[],"droppedTargets":[]}'), get),
        ("status/buildinfo", face.buildinfo, get),
        ("status/config", face.config, get),
        ("status/flags", lambda _: success(b"{}"), get),
        ("status/runtimeinfo", face.runtimeinfo, get),
    ]
    return [Route(f"/api/v1/{path}", _endpoint(handler), methods=methods) for path, handler, methods in table]


def _endpoint(handler: Handler) -> Callable[[Request], Any]:
    async def endpoint(request: Request) -> Response:
        try:
            params = await _params(request)
            return _json(await run_in_threadpool(handler, params))
        except WindvaneError as error:
            return _error(error)

    return endpoint


async def _params(request: Request) -> Params:
    values: dict[str, list[str]] = {}
    if request.method == "POST":
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY:
                raise QueryError(f"request body is larger than {_MAX_BODY} bytes")
        try:
            values = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10_000)
        except ValueError as error:
            raise QueryError(f"error parsing form values: {error}") from None
    for name in set(request.query_params) - set(values):
        values[name] = request.query_params.getlist(name)
    return Params(values, request.path_params)


def _json(body: bytes, status: int = 200) -> Response:
    return Response(body, status_code=status, media_type="application/json")


def _error(error: WindvaneError) -> Response:
    kind = getattr(error, "error_type", _TYPE_BY_KIND.get(error.kind, "internal"))
    body = orjson.dumps({"status": "error", "errorType": kind, "error": error.message})
    return _json(body, _STATUS_BY_TYPE[kind])


class _Face:
    def __init__(self, queries: QueryEngine, clock: Clock, info: StatusInfo) -> None:
        self._queries = queries
        self._clock = clock
        self._info = info

    def _now(self) -> int:
        return self._clock.now_ns() // 1_000_000

    def query(self, params: Params) -> bytes:
        """`/query`: one moment."""
        at = params.time("time", self._now())
        with _named("query"):
            result = self._queries.instant(params.text("query"), at, _options(params))
        return _answer(result, params)

    def query_range(self, params: Params) -> bytes:
        """`/query_range`: from start to end in steps."""
        for name in ("start", "end", "step"):
            if not params.text(name):
                raise QueryError(f'invalid parameter "{name}": cannot parse "" to a valid {_KIND[name]}')
        step = _ms(params.duration("step")) or 0
        start, end = params.time("start", 0), params.time("end", 0)
        if step <= 0:
            raise QueryError(
                'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
                "Try a positive integer"
            )
        if end < start:
            raise QueryError('invalid parameter "end": end timestamp must not be before start time')
        with _named("query"):
            result = self._queries.range(params.text("query"), start, end, step, _options(params))
        return _answer(result, params)

    def labels(self, params: Params) -> bytes:
        """`/labels`: label names."""
        names = self._queries.catalog.label_names(_selectors(params), self._window(params), params.limit())
        return success(orjson.dumps(names))

    def label_values(self, params: Params) -> bytes:
        """`/label/<name>/values`."""
        name = unescape_label(params.path["name"])
        if not name:
            raise QueryError(f'invalid label name: "{name}"')
        catalog = self._queries.catalog
        return success(
            orjson.dumps(catalog.label_values(name, _selectors(params), self._window(params), params.limit()))
        )

    def series(self, params: Params) -> bytes:
        """`/series`: label sets."""
        selectors = _selectors(params)
        if not selectors:
            raise QueryError("no match[] parameter provided")
        return success(orjson.dumps(self._queries.catalog.series(selectors, self._window(params), params.limit())))

    def _window(self, params: Params) -> Window:
        start = params.time("start", -(1 << 53))
        end = params.time("end", 1 << 53)
        if end < start:
            raise QueryError('invalid parameter "end": end timestamp must not be before start timestamp')
        return Window(start, end)

    def buildinfo(self, _: Params) -> bytes:
        """`/status/buildinfo`: what answers, and its version."""
        info = {
            "version": __version__,
            "revision": "",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
            "application": "Windvane",
        }
        return success(orjson.dumps(info))

    def config(self, _: Params) -> bytes:
        """`/status/config`: the part of a Prometheus configuration that clients read."""
        interval = self._info.scrape_interval
        text = f"global:\n  scrape_interval: {interval}\n  evaluation_interval: 1m\nscrape_configs: []\n"
        return success(orjson.dumps({"yaml": text}))

    def runtimeinfo(self, _: Params) -> bytes:
        """`/status/runtimeinfo`: since when, where, how long data are kept."""
        started = datetime.datetime.fromtimestamp(self._info.started_ms / 1000, datetime.UTC)
        now = datetime.datetime.fromtimestamp(self._now() / 1000, datetime.UTC)
        info = {
            "startTime": started.isoformat().replace("+00:00", "Z"),
            "serverTime": now.isoformat().replace("+00:00", "Z"),
            "CWD": self._info.directory,
            "reloadConfigSuccess": True,
            "corruptionCount": 0,
            "storageRetention": self._info.retention,
        }
        return success(orjson.dumps(info))


_KIND = {"start": "timestamp", "end": "timestamp", "step": "duration"}


@contextmanager
def _named(name: str) -> Iterator[None]:
    """Says which parameter a parse error is about, as Prometheus does."""
    try:
        yield
    except ParseError as error:
        error.message = f'invalid parameter "{name}": {error.message}'
        raise


def _options(params: Params) -> QueryOptions:
    lookback = _ms(params.duration("lookback_delta"))
    return QueryOptions(params.duration("timeout"), lookback, explain=params.text("stats") == "all")


def _answer(result: QueryResult, params: Params) -> bytes:
    warnings, limit = result.warnings, params.limit()
    if limit and series_count(result.value) > limit:
        warnings = (*warnings, "results truncated due to limit")
    stats = result.stats if params.text("stats") else None
    return success(query_data(result.value, limit, stats), warnings, result.infos)


def _selectors(params: Params) -> list[Selector]:
    with _named("match[]"):
        return [parse_selector(text) for text in params.all("match[]")]


def _checked(name: str, text: str, read: Callable[[str], _T]) -> _T:
    try:
        return read(text)
    except (ValueError, BadInputError):
        raise QueryError(f'invalid parameter "{name}": cannot parse {text!r} to a valid {_WANTED[read]}') from None


def _time(text: str) -> int:
    try:
        seconds = float(text)
    except ValueError:
        moment = datetime.datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError(text) from None
        return round(moment.timestamp() * 1000)
    if not abs(seconds) < _MAX_SECONDS:
        raise ValueError(text)
    return round_half_away(seconds * 1000)


def _duration(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = parse_duration(text)
    if not abs(seconds) < _MAX_SECONDS:
        raise ValueError(text)
    return seconds


def _natural(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise ValueError(text)
    return int(text)


_WANTED: dict[object, str] = {_time: "timestamp", _duration: "duration", _natural: "limit"}


def _ms(seconds: float | None) -> int | None:
    return None if seconds is None else round_half_away(seconds * 1000)


def unescape_label(name: str) -> str:
    """A label name from a URL path: `U__` starts one with `_hex_` for what classic names cannot hold."""
    if not name.startswith("U__"):
        return name
    rest = name[3:].replace("__", "\0")
    decoded = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), rest)
    return decoded.replace("\0", "_")
