"""Which tenant a request is of: HTTP requests and gRPC calls go to the parts of the tenant they name.

Without tenants (`off`) the header is ignored and everything is the default tenant's, as it is for a
request that names none. With tenants, one that is not known yet is made by its first write; reading
from a tenant that never wrote anything is an error, so that a mistyped name is noticed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeAlias

import grpc
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from windvane.api.errors import error_response
from windvane.app.settings import TenantSettings
from windvane.app.tenant import Common, Identity, Tenant
from windvane.ingest.grpc_server import abort
from windvane.kit.errors import BadInputError, LimitError, NotFoundError, WindvaneError
from windvane.kit.metrics import Metrics
from windvane.store.tenants import database_of, existing

HEADERS = ("x-scope-orgid", "x-tenant")
_WRITES = frozenset(
    {"/v1/traces", "/v1/logs", "/v1/metrics", "/api/v1/write", "/api/v1/push", "/api/v2/spans", "/api/v1/spans",
     "/api/traces", "/api/windvane/v1/logs/import"}
)  # fmt: skip
Names: TypeAlias = Iterable[tuple[bytes | str, bytes | str]]


class Tenants:
    """The tenants of a server. Use from its event loop; `close` stops all but the default one."""

    def __init__(self, default: Tenant, settings: TenantSettings, common: Common, metrics: Metrics) -> None:
        self.default = default
        self._settings = settings
        self._common = common
        self._metrics = metrics
        self._running: dict[str, asyncio.Task[Tenant]] = {}
        self._stack = contextlib.AsyncExitStack()
        self._known = frozenset[str]()

    @property
    def enabled(self) -> bool:
        """Whether requests name tenants."""
        return self._settings.enabled

    async def start(self) -> None:
        """Learn which tenants wrote before."""
        if self._settings.enabled:
            self._known = await asyncio.to_thread(existing, self.default.engine)

    async def end_tails(self) -> None:
        """End the streams that would go on for ever, so that the listeners can stop."""
        self.default.tail.close()
        for task in self._running.values():
            if task.done() and not task.cancelled() and task.exception() is None:
                task.result().tail.close()

    async def close(self) -> None:
        """Stop every tenant that was started; what they acknowledged is stored."""
        await asyncio.gather(*self._running.values(), return_exceptions=True)
        await self._stack.aclose()

    async def of(self, headers: Names, *, writes: bool) -> Tenant:
        """The tenant that headers (or gRPC metadata) name.

        `BadInputError` for a name that cannot be one, `NotFoundError` for a tenant that is not there and is
        not to be made by this request, `LimitError` when there are too many.
        """
        name = _named(headers) if self._settings.enabled else ""
        if not name:
            return self.default
        if name not in self._running:
            database = database_of(name)
            self._admit(name, writes)
            self._running[name] = asyncio.create_task(self._start(name, database))
        return await asyncio.shield(self._running[name])

    def _admit(self, name: str, writes: bool) -> None:
        """Whether this request may start the tenant, and make it if it is new."""
        allowed = self._settings.names
        if allowed is not None and name not in allowed:
            raise NotFoundError(f"tenant {name!r} is not one of this server's (--tenants {','.join(sorted(allowed))})")
        if allowed is None and name not in self._known and not writes:
            raise NotFoundError(f"tenant {name!r} has not written anything yet")
        if len(self._running) >= self._settings.most:
            raise LimitError(
                f"tenant {name!r} would be one more than the {self._settings.most} that --max-tenants allows"
            )

    async def _start(self, name: str, database: str) -> Tenant:
        retention = self._settings.retention.get(name, self._common.settings.retention)
        own = Identity(database, retention, self._metrics.child("tenant", name))
        try:
            async with contextlib.AsyncExitStack() as stack:
                tenant = await Tenant.start(own, self._common, stack)
                self._stack.push_async_callback(stack.pop_all().aclose)
        except BaseException:
            del self._running[name]  # the next request tries again
            raise
        return tenant


def _named(headers: Names) -> str:
    for name, value in headers:
        key = name.decode("latin-1") if isinstance(name, bytes) else name
        if key.lower() in HEADERS:
            try:
                return value.decode() if isinstance(value, bytes) else value
            except UnicodeDecodeError:
                raise BadInputError(f"header {key} is not UTF-8") from None
    return ""


def dispatched(tenants: Tenants, pick: Callable[[Tenant], ASGIApp]) -> ASGIApp:
    """One ASGI application that is, for each request, its tenant's."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await pick(tenants.default)(scope, receive, send)
            return
        try:
            tenant = await tenants.of(scope["headers"], writes=scope["method"] == "POST" and scope["path"] in _WRITES)
        except WindvaneError as error:
            answer = error_response(Request(scope), error)
            await answer(scope, receive, send)
            return
        await pick(tenant)(scope, receive, send)

    return application


class TenantServices(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The gRPC services of whichever tenant a call names; all of them write."""

    def __init__(self, tenants: Tenants) -> None:
        self._tenants = tenants

    def service(self, handler_call_details: Any) -> Any:
        """The handler of the call's method; one that first finds the tenant when the call names one."""
        handler = handler_of(self._tenants.default.services, handler_call_details)
        metadata = [(key, value) for key, value in handler_call_details.invocation_metadata or ()]
        if handler is None or not any(key in HEADERS for key, _ in metadata):
            return handler

        async def call(request: bytes | AsyncIterator[bytes], context: Any) -> bytes:
            try:
                tenant = await self._tenants.of(metadata, writes=True)
            except WindvaneError as error:
                await abort(context, error)
                raise  # never reached: abort raises
            return await _behaviour(handler_of(tenant.services, handler_call_details))(request, context)

        if handler.request_streaming:
            return grpc.stream_unary_rpc_method_handler(call)
        return grpc.unary_unary_rpc_method_handler(call)


def handler_of(services: Sequence[grpc.GenericRpcHandler], details: Any) -> Any:
    """The handler that one of the services has for a call, or None."""
    return next((found for service in services if (found := service.service(details)) is not None), None)


def _behaviour(handler: Any) -> Callable[[Any, Any], Awaitable[bytes]]:
    found: Callable[[Any, Any], Awaitable[bytes]] = handler.stream_unary or handler.unary_unary
    return found
