"""Where Jaeger's faces are found: below two base paths, on a shared address and on one of their own."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from windvane.api.app import build_app
from windvane.api.jaeger import http
from windvane.api.jaeger.queries import JaegerQueries

BASE_PATH = "/jaeger"
"""Where Istio's add-on puts Jaeger, and where Kiali asks as well."""


def shared_routes(queries: JaegerQueries) -> list[BaseRoute]:
    """The faces for an address that others answer on, too."""
    return [*http.routes(queries), *http.routes(queries, BASE_PATH), *http.fallback(BASE_PATH)]


def application(queries: JaegerQueries, console: str) -> Starlette:
    """The faces on an address of their own: unknown paths of the API are Go's 404, pages of Jaeger's UI lead to the
    console at the URL given."""

    def page(request: Request) -> Response:
        first, _, trace_id = request.path_params["path"].removeprefix("jaeger/").partition("/")
        return RedirectResponse(f"{console.rstrip('/')}/traces" + (f"/{trace_id}" if first == "trace" else ""), 302)

    pages = Route("/{path:path}", page, methods=["GET", "HEAD"])
    return build_app([shared_routes(queries), http.fallback(), [pages]])
