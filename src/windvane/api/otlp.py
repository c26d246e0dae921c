"""OTLP over HTTP: POST /v1/traces, /v1/logs and /v1/metrics (also where Prometheus takes metrics)."""

from __future__ import annotations

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from windvane.api.bodies import body_of
from windvane.ingest.otlp import OtlpReceiver
from windvane.kit.errors import LimitError

_PATHS = {
    "/v1/traces": "traces",
    "/v1/logs": "logs",
    "/v1/metrics": "metrics",
    "/api/v1/otlp/v1/metrics": "metrics",
}


def routes(receiver: OtlpReceiver, *, body_bytes: int = 64 << 20) -> list[BaseRoute]:
    """The routes of all signals; a body longer than `body_bytes` is refused unread (413)."""
    return [Route(path, _endpoint(receiver, signal, body_bytes), methods=["POST"]) for path, signal in _PATHS.items()]


def _endpoint(receiver: OtlpReceiver, signal: str, limit: int):  # type: ignore[no-untyped-def]
    async def export(request: Request) -> Response:
        try:
            body = await body_of(request, limit)
        except LimitError:
            return Response(status_code=413)
        except ClientDisconnect:
            return Response(status_code=400)
        answer = await receiver.export_http(
            signal,
            body,
            request.headers.get("content-type", ""),
            request.headers.get("content-encoding", ""),
        )
        return Response(answer.body, answer.status, dict(answer.headers), answer.content_type)

    return export
