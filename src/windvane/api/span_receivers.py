"""Spans over HTTP in Zipkin's and Jaeger's formats: POST /api/v2/spans, /api/v1/spans and /api/traces.

202 says that the spans are stored. Spans that were refused while others of their request were not
are told in the answer's text.
"""

from __future__ import annotations

from collections.abc import Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from windvane.api.bodies import body_of
from windvane.api.errors import retry_headers, status_of
from windvane.ingest.compression import UnknownEncodingError
from windvane.ingest.spans import Format, SpanReceiver, jaeger_format, zipkin_v1_format, zipkin_v2_format
from windvane.kit.errors import LimitError, WindvaneError


def zipkin_routes(receiver: SpanReceiver) -> list[BaseRoute]:
    """Where Zipkin's reporters send."""
    return [
        Route("/api/v2/spans", _endpoint(receiver, lambda request: zipkin_v2_format(_kind(request))), methods=["POST"]),
        Route("/api/v1/spans", _endpoint(receiver, lambda request: zipkin_v1_format(_kind(request))), methods=["POST"]),
    ]


def jaeger_routes(receiver: SpanReceiver) -> list[BaseRoute]:
    """Where Jaeger's clients send thrift; GET of the same path is Jaeger's query API."""

    def chosen(request: Request) -> Format:
        return jaeger_format(_kind(request), request.query_params.get("format", ""))

    return [Route("/api/traces", _endpoint(receiver, chosen), methods=["POST"])]


def _kind(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _endpoint(receiver: SpanReceiver, choose: Callable[[Request], Format]):  # type: ignore[no-untyped-def]
    async def receive(request: Request) -> Response:
        try:
            wanted = choose(request)
            body = await body_of(request, receiver.message_bytes)
            done = await receiver.receive(wanted, body, request.headers.get("content-encoding", ""))
        except ClientDisconnect:
            return Response(status_code=400)
        except WindvaneError as error:
            return PlainTextResponse(f"{error}\n", _status(error), retry_headers(error))
        return PlainTextResponse(f"{done.message}\n" if done.rejected else "", 202)

    return receive


def _status(error: WindvaneError) -> int:
    if isinstance(error, UnknownEncodingError):
        return 415
    return 413 if isinstance(error, LimitError) else status_of(error)
