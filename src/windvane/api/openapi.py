"""`GET /api/openapi.json`: the description of Windvane's own routes, made from the routes themselves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from windvane import __version__
from windvane.api.windvane.docs import operations


def document(routes: Iterable[BaseRoute]) -> dict[str, Any]:
    """The OpenAPI 3.1 document of those routes that describe themselves."""
    paths, schemas = operations(routes)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Windvane",
            "version": __version__,
            "description": "Windvane's own routes; the other faces are Prometheus's, Jaeger's, Kiali's and OTLP's.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def openapi_routes(routes: Iterable[BaseRoute]) -> list[BaseRoute]:
    """The route that serves the document of `routes`."""
    body = orjson.dumps(document(routes), option=orjson.OPT_INDENT_2)

    async def openapi(_: Request) -> Response:
        return Response(body, media_type="application/json")

    return [Route("/api/openapi.json", openapi, methods=["GET"])]
