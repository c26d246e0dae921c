"""Jaeger's faces on addresses of their own, where Jaeger's clients look for them.

With tenants, a request here must name one, as Jaeger demands it: 401 `missing tenant header` or
`unknown tenant` over HTTP, UNAUTHENTICATED or PERMISSION_DENIED over gRPC. The default tenant is
asked on the server's own address.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any

import grpc
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from windvane.api.jaeger import grpc_service
from windvane.app.tenant import Tenant
from windvane.app.tenants import HEADERS, Names, Tenants, handler_of
from windvane.ingest.grpc_server import abort
from windvane.kit.errors import BadInputError, NotFoundError, WindvaneError

MISSING, UNKNOWN, EXTRA = "missing tenant header", "unknown tenant", "extra tenant header"


def dispatched(tenants: Tenants) -> ASGIApp:
    """One ASGI application that is, for each request, its tenant's."""

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        tenant = tenants.default
        if scope["type"] == "http" and tenants.enabled:
            try:
                tenant = await _tenant(tenants, scope["headers"])
            except _RefusedError as refused:
                await PlainTextResponse(refused.message, 401)(scope, receive, send)
                return
        await tenant.jaeger(scope, receive, send)

    return serve


class _RefusedError(Exception):
    """Jaeger's refusal of a request for its tenant."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


async def _tenant(tenants: Tenants, headers: Names) -> Tenant:
    named = [value for key, value in headers if _text(key).lower() in HEADERS]
    if not any(named):
        raise _RefusedError(MISSING)
    if len(named) > 1:
        raise _RefusedError(EXTRA)
    try:
        return await tenants.of(headers, writes=False)
    except (NotFoundError, BadInputError):
        raise _RefusedError(UNKNOWN) from None


def _text(value: bytes | str) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else value


class QueryServices(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Jaeger's gRPC query services of whichever tenant a call names, and the health of the server."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants
        self._health = grpc_service.health_service()

    def service(self, handler_call_details: Any) -> Any:
        """The handler of the call's method; with tenants, one that first finds the tenant."""
        health = self._health.service(handler_call_details)
        if health is not None:
            return health
        handler = handler_of(self._tenants.default.jaeger_services, handler_call_details)
        if handler is None or not self._tenants.enabled:
            return handler
        metadata = list(handler_call_details.invocation_metadata or ())

        async def own(context: Any) -> Any:
            tenant = await _of_call(self._tenants, metadata, context)
            return handler_of(tenant.jaeger_services, handler_call_details)

        return _streaming(own) if handler.response_streaming else _answering(own)


def _answering(own: Any) -> Any:
    async def call(request: bytes, context: Any) -> bytes:
        found: bytes = await (await own(context)).unary_unary(request, context)
        return found

    return grpc.unary_unary_rpc_method_handler(call)


def _streaming(own: Any) -> Any:
    async def call(request: bytes, context: Any) -> AsyncIterator[bytes]:
        async for part in (await own(context)).unary_stream(request, context):
            yield part

    return grpc.unary_stream_rpc_method_handler(call)


async def _of_call(tenants: Tenants, metadata: Iterable[tuple[str, str | bytes]], context: Any) -> Tenant:
    try:
        return await _tenant(tenants, list(metadata))
    except _RefusedError as refused:
        code = grpc.StatusCode.UNAUTHENTICATED if refused.message == MISSING else grpc.StatusCode.PERMISSION_DENIED
        await context.abort(code, refused.message)
        raise
    except WindvaneError as error:
        await abort(context, error)
        raise
