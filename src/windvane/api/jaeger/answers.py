"""Answers over HTTP as Jaeger's Go server writes them.

JSON is indented on `prettyPrint`; errors come from Go's `http.Error`, so their body is JSON declared
as text. Every answer carries `traceresponse`, the header by which a client learns the trace of its
request; the flags say that the trace is not recorded.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from windvane.api.bodies import body_of
from windvane.api.errors import retry_headers, status_of
from windvane.kit.errors import LimitError, WindvaneError

Handler = Callable[[Request], dict[str, Any]]
ErrorBody = Callable[[int, str], dict[str, Any]]

_INDENT = re.compile(r"^ +", re.MULTILINE)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(-.*)?")


def envelope(data: Any, *, total: int = 0, errors: list[dict[str, Any]] | None = None) -> dict[str, Any]:
    """The body of every answer of the JSON API."""
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}


def envelope_error(status: int, message: str) -> dict[str, Any]:
    """The body of the JSON API's errors."""
    return envelope(None, errors=[{"code": status, "msg": message}])


def guarded(answer: Handler, error_body: ErrorBody = envelope_error) -> Callable[[Request], Response]:
    """An endpoint that prints the answer, or the error the way Jaeger does."""

    def endpoint(request: Request) -> Response:
        try:
            return shown(request, answer(request))
        except WindvaneError as error:
            return failed(request, error, error_body)

    return endpoint


def guarded_body(
    answer: Callable[[bytes], dict[str, Any]], limit: int, error_body: ErrorBody = envelope_error
) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that reads the request's body, up to `limit` bytes (413 beyond), and answers to it."""

    async def endpoint(request: Request) -> Response:
        try:
            body = await body_of(request, limit)
        except LimitError as error:
            return go_error(request, 413, error_body(413, error.message))
        except ClientDisconnect:
            return Response(status_code=400)
        try:
            return shown(request, await run_in_threadpool(answer, body))
        except WindvaneError as error:
            return failed(request, error, error_body)

    return endpoint


def shown(request: Request, body: dict[str, Any]) -> Response:
    """A body as JSON, indented by four spaces when `prettyPrint` is given and not `false`."""
    headers = {"traceresponse": traceresponse(request)}
    if request.query_params.get("prettyPrint", "false") in ("", "false"):
        return Response(orjson.dumps(body), headers=headers, media_type="application/json")
    text = orjson.dumps(body, option=orjson.OPT_INDENT_2).decode()
    wide = _INDENT.sub(lambda spaces: spaces[0] * 2, text)
    return Response(wide, headers=headers, media_type="application/json")


def failed(request: Request, error: WindvaneError, error_body: ErrorBody) -> Response:
    """The answer for an error of ours."""
    status = status_of(error)
    return go_error(request, status, error_body(status, error.message), retry_headers(error))


def go_error(
    request: Request, status: int, body: dict[str, Any] | str, headers: Mapping[str, str] | None = None
) -> Response:
    """What Go's `http.Error` sends: the text and a line's end, as text that is not to be sniffed."""
    text = body.encode() if isinstance(body, str) else orjson.dumps(body)
    all_headers = {"X-Content-Type-Options": "nosniff", "traceresponse": traceresponse(request), **(headers or {})}
    return Response(text + b"\n", status, headers=all_headers, media_type="text/plain; charset=utf-8")


def unknown_path(request: Request) -> Response:
    """Go's answer for a path that no route has."""
    return go_error(request, 404, "404 page not found")


def traceresponse(request: Request) -> str:
    """`version-trace-span-flags` (https://www.w3.org/TR/trace-context-2/): the caller's trace if it sent one."""
    caller = _TRACEPARENT.fullmatch(request.headers.get("traceparent", ""))
    trace_id = caller[1] if caller and caller[1] != "0" * 32 else secrets.token_hex(16)
    return f"00-{trace_id}-{secrets.token_hex(8)}-00"
