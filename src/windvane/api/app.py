"""Joins the HTTP faces into one application; each face brings its own routes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from windvane.api.errors import error_response
from windvane.kit.errors import WindvaneError
from windvane.kit.metrics import Metrics


def build_app(faces: Iterable[Iterable[BaseRoute]]) -> Starlette:
    """One application of all faces, tried in the order given (the console's catch-all last)."""
    return Starlette(
        routes=[route for face in faces for route in face],
        middleware=[Middleware(GZipMiddleware, minimum_size=1024, compresslevel=4)],
        exception_handlers={WindvaneError: error_response},
    )


def health_routes(metrics: Metrics, ready: Callable[[], str | None]) -> list[BaseRoute]:
    """`/-/healthy`, `/-/ready` and `/metrics`; `ready` says what is still missing, or None."""

    async def healthy(_: Request) -> Response:
        return PlainTextResponse("Windvane is Healthy.\n")

    async def readiness(_: Request) -> Response:
        missing = ready()
        if missing:
            return PlainTextResponse(f"Windvane is not ready: {missing}\n", status_code=503)
        return PlainTextResponse("Windvane is Ready.\n")

    async def own_metrics(_: Request) -> Response:
        return Response(metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return [
        Route("/-/healthy", healthy, methods=["GET", "HEAD"]),
        Route("/-/ready", readiness, methods=["GET", "HEAD"]),
        Route("/metrics", own_metrics, methods=["GET"]),
    ]
