"""What every face of Prometheus's HTTP API shares: the envelope of answers, errors, compression, CORS.

A handler is a blocking function of the request's parameters; it runs in the thread pool, where its
answer is compressed as well, so that a large one never holds up the event loop. While it runs, the
endpoint watches for the client to go away and then sets `Params.cancelled`. Parameters come from the
form in the body and from the URL, the body's first, as in Go's `FormValue`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from urllib.parse import parse_qs

import cramjam
import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Match, Route

from windvane.api.prometheus_params import EARLIEST, LATEST, Params, milliseconds, named
from windvane.kit.errors import WindvaneError
from windvane.promql.errors import QueryError

__all__ = [
    "EARLIEST",
    "LATEST",
    "ApiError",
    "Handler",
    "Params",
    "api_route",
    "compressed",
    "endpoint",
    "error_response",
    "fallback",
    "milliseconds",
    "named",
    "read_params",
    "success",
]

_MAX_BODY = 4 << 20
_WORTH_COMPRESSING = 1024
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
_CORS = {
    "Access-Control-Allow-Headers": "Accept, Authorization, Content-Type, Origin",
    "Access-Control-Allow-Methods": "GET, POST, OPTIONS",
    "Access-Control-Expose-Headers": "Date",
}


class ApiError(WindvaneError):
    """An error of a given Prometheus type: bad_data, execution, timeout, canceled, unavailable, not_found, internal."""

    def __init__(self, error_type: str, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.status = status or _STATUS_BY_TYPE[error_type]


Handler = Callable[[Params], "bytes | Response | None"]
"""What answers a request: JSON in its envelope, a whole response, or None for 204 No Content."""


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
    status = getattr(error, "status", _STATUS_BY_TYPE[kind])
    return Response(body, status_code=status, media_type="application/json")


def api_route(path: str, handler: Handler, methods: Iterable[str] = ("GET",)) -> Route:
    """A route under `/api/v1/` for a blocking handler."""
    return Route(f"/api/v1/{path}", endpoint(handler), methods=list(methods))


def endpoint(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """An asynchronous endpoint around a blocking handler; its errors become Prometheus's."""

    def answer(params: Params) -> Response:
        try:
            body = handler(params)
        except WindvaneError as error:
            return error_response(error)
        if body is None:
            return Response(status_code=204)
        if isinstance(body, Response):
            return body
        return compressed(body, params.headers, "application/json")

    async def respond(request: Request) -> Response:
        try:
            params = await read_params(request)
        except WindvaneError as error:
            response = error_response(error)
        else:
            response = await _watched(request, answer, params)
        return _shared(request, response)

    return respond


def fallback() -> list[BaseRoute]:
    """What answers the rest of `/api/v1/`: OPTIONS, 405 where another method would do, else 404."""

    async def respond(request: Request) -> Response:
        if request.method == "OPTIONS":
            return _shared(request, Response(status_code=204))
        known = (route.matches(request.scope)[0] for route in request.app.routes if isinstance(route, Route))
        if Match.PARTIAL in known:
            return PlainTextResponse("Method Not Allowed\n", 405)
        return PlainTextResponse("404 page not found\n", 404)

    methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
    return [Route("/api/v1/{path:path}", respond, methods=methods, include_in_schema=False)]


async def read_params(request: Request) -> Params:
    """Parameters of the form in the body and of the URL."""
    values: dict[str, list[str]] = {}
    if request.method in ("POST", "PUT"):
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > _MAX_BODY:
                raise QueryError(f"request body is larger than {_MAX_BODY} bytes")
        try:
            values = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=10_000)
        except ValueError as error:
            raise QueryError(f"error parsing form values: {error}") from None
    for name in set(request.query_params):
        values.setdefault(name, []).extend(request.query_params.getlist(name))
    return Params(values, request.path_params, request.headers)


async def _watched(request: Request, answer: Callable[[Params], Response], params: Params) -> Response:
    """The answer, computed in a thread; the thread learns when the client goes away."""

    async def watch() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass
        params.cancelled.set()

    watcher = asyncio.create_task(watch())
    try:
        return await run_in_threadpool(answer, params)
    finally:
        watcher.cancel()


def compressed(body: bytes, headers: Mapping[str, str], media_type: str) -> Response:
    """A response in the encoding that the client accepts and that is fastest; short ones as they are."""
    if len(body) < _WORTH_COMPRESSING:
        return Response(body, media_type=media_type)
    encoding, vary = _encoding(headers.get("accept-encoding", "")), {"Vary": "Accept-Encoding"}
    if encoding is None:
        return Response(body, media_type=media_type, headers=vary)
    packed = bytes((cramjam.zstd if encoding == "zstd" else cramjam.gzip).compress(body, 1))
    return Response(packed, media_type=media_type, headers={"Content-Encoding": encoding, **vary})


def _encoding(accepted: str) -> str | None:
    """`zstd`, `gzip` or None, from an Accept-Encoding header."""
    offers = [offer.strip().lower().partition(";") for offer in accepted.split(",")]
    names = {name.strip() for name, _, weight in offers if not _ZERO.fullmatch(weight.replace(" ", ""))}
    return next((name for name in ("zstd", "gzip") if name in names), None)


_ZERO = re.compile(r"q=0(?:\.0*)?")


def _shared(request: Request, response: Response) -> Response:
    """The response with what lets pages of other origins read it: any, or those of `app.state.cors_origin`."""
    origin = request.headers.get("origin")
    if not origin:
        return response
    allowed: re.Pattern[str] | None = getattr(request.app.state, "cors_origin", None)
    response.headers.update(_CORS)
    response.headers.add_vary_header("Origin")
    if allowed is None:
        response.headers["Access-Control-Allow-Origin"] = "*"
    elif allowed.fullmatch(origin):
        response.headers["Access-Control-Allow-Origin"] = origin
    return response
