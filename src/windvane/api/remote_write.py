"""Prometheus remote write over HTTP: POST /api/v1/write (and /api/v1/push, as some senders call it)."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from windvane.api.bodies import body_of
from windvane.ingest.remote_write import RemoteWriteReceiver
from windvane.kit.errors import LimitError

_PATHS = ("/api/v1/write", "/api/v1/push")


def routes(receiver: RemoteWriteReceiver) -> list[BaseRoute]:
    """The receiver's routes; a body longer than its limit is refused unread (413)."""

    async def write(request: Request) -> Response:
        try:
            body = await body_of(request, receiver.message_bytes)
        except LimitError as error:
            return PlainTextResponse(f"{error}\n", 413)
        except ClientDisconnect:
            return Response(status_code=400)
        headers = request.headers
        answer = await receiver.write(body, headers.get("content-type", ""), headers.get("content-encoding"))
        return PlainTextResponse(answer.text, answer.status, dict(answer.headers))

    return [Route(path, write, methods=["POST"]) for path in _PATHS]
