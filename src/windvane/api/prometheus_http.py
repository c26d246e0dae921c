"""What every face of Prometheus's HTTP API shares: parameters, the envelope of answers, errors.

Parameters come from the URL and from a form in the body (the body first, as in Go's FormValue).
Handlers block and run in the thread pool. Every answer has Prometheus's envelope, errors too.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qs

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from windvane.kit.errors import BadInputError, WindvaneError
from windvane.kit.values import parse_duration
from windvane.promql.errors import ParseError, QueryError
from windvane.promql.parse import parse_selector, round_half_away
from windvane.promql.syntax import Selector

_T = TypeVar("_T")
_MAX_BODY = 4 << 20
_MAX_SECONDS = 1e13
_STATUS_BY_TYPE = {
    "bad_data": 400,
    "execution": 422,
    "timeout": 503,
    "canceled": 499,
    "unavailable": 503,
    "not_found": 404,
    "not_acceptable": 406,
    "internal": 500,
}
_TYPE_BY_KIND = {
    "bad_input": "bad_data",
    "not_found": "not_found",
    "limit": "execution",
    "overloaded": "unavailable",
    "unavailable": "unavailable",
}


class ApiError(WindvaneError):
    """An error of a given Prometheus type: bad_data, execution, timeout, canceled, unavailable, not_found, internal."""

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


@dataclass(frozen=True, slots=True)
class Params:
    """Parameters of one request; `cancelled` is set once nobody waits for the answer any more."""

    values: Mapping[str, list[str]]
    path: Mapping[str, str]
    headers: Mapping[str, str] = field(default_factory=dict)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def text(self, name: str) -> str:
        """The first value, '' when absent."""
        return next(iter(self.values.get(name, [])), "")

    def all(self, name: str) -> list[str]:
        """Every value."""
        return self.values.get(name, [])

    def time(self, name: str, default: int) -> int:
        """A time in milliseconds, given as Unix seconds or RFC 3339."""
        return _checked(name, self.text(name), _time) if self.text(name) else default

    def duration(self, name: str, default: float | None = None) -> float | None:
        """Seconds, given as a number or a duration."""
        return _checked(name, self.text(name), _duration) if self.text(name) else default

    def natural(self, name: str, default: int = 0) -> int:
        """A number from 0."""
        return _checked(name, self.text(name), _natural) if self.text(name) else default

    def limit(self) -> int:
        """How many results at most; 0 means all."""
        return self.natural("limit")

    def selectors(self, name: str = "match[]") -> list[Selector]:
        """Series selectors."""
        with named(name):
            return [parse_selector(text) for text in self.all(name)]


Handler = Callable[[Params], bytes | Response]


def success(data: bytes, warnings: tuple[str, ...] = (), infos: tuple[str, ...] = ()) -> bytes:
    """The envelope of an answer; `data` is JSON."""
    notes = b"".join(
        b',"%s":%s' % (name, orjson.dumps(list(texts)))
        for name, texts in ((b"warnings", warnings), (b"infos", infos))
        if texts
    )
    return b'{"status":"success","data":%s%s}' % (data, notes)


def error_response(error: WindvaneError) -> Response:
    """The envelope of an error, its type and status by what the error is."""
    kind = getattr(error, "error_type", _TYPE_BY_KIND.get(error.kind, "internal"))
    body = orjson.dumps({"status": "error", "errorType": kind, "error": error.message})
    return Response(body, status_code=_STATUS_BY_TYPE[kind], media_type="application/json")


def api_route(path: str, handler: Handler, methods: Iterable[str] = ("GET",)) -> Route:
    """A route under `/api/v1/` whose handler blocks and returns JSON in an envelope (or a whole response)."""
    return Route(f"/api/v1/{path}", endpoint(handler), methods=list(methods))


def endpoint(handler: Handler) -> Callable[[Request], Any]:
    """An asynchronous endpoint around a blocking handler; its errors become Prometheus's."""

    async def answer(request: Request) -> Response:
        try:
            params = await read_params(request)
            body = await run_in_threadpool(handler, params)
            return body if isinstance(body, Response) else Response(body, media_type="application/json")
        except WindvaneError as error:
            return error_response(error)

    return answer


async def read_params(request: Request) -> Params:
    """Parameters of the URL and of a form in the body."""
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
    return Params(values, request.path_params, request.headers)


@contextmanager
def named(name: str) -> Iterator[None]:
    """Says which parameter a parse error is about, as Prometheus does."""
    try:
        yield
    except ParseError as error:
        error.message = f'invalid parameter "{name}": {error.message}'
        raise


def milliseconds(seconds: float | None) -> int | None:
    """Seconds as whole milliseconds."""
    return None if seconds is None else round_half_away(seconds * 1000)


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
