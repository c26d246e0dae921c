"""A blocking client of an ASGI application, without sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from windvane.api.app import build_app


class AsgiClient:
    """`get(path, params)` against the routes given, mounted as the server mounts them."""

    def __init__(self, routes: Iterable[BaseRoute]) -> None:
        self._app: Starlette = build_app([list(routes)])

    def get(self, path: str, params: Any = None, headers: Any = None) -> httpx.Response:
        return self._answer("GET", path, params=params, headers=headers)

    def post(self, path: str, content: bytes = b"", params: Any = None, headers: Any = None) -> httpx.Response:
        """A POST of a body."""
        return self._answer("POST", path, params=params, content=content, headers=headers)

    def _answer(self, method: str, path: str, **given: Any) -> httpx.Response:
        async def request() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            async with httpx.AsyncClient(transport=transport, base_url="http://windvane") as client:
                return await client.request(method, path, **given)

        return asyncio.run(request())
