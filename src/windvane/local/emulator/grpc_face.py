"""gRPC listener of an emulated application: any unary method, bytes in, bytes out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import grpc
import grpc.aio

from windvane.local.emulator.behaviour import Answer
from windvane.local.emulator.headers import Header

Respond = Callable[[str, list[Header]], Awaitable[Answer]]
# HTTP status → gRPC, for an annotation that names only the former (grpc's own mapping for proxies)
_FROM_HTTP = {
    400: "INTERNAL", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "UNIMPLEMENTED", 429: "UNAVAILABLE",
    500: "INTERNAL", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "UNAVAILABLE",
}  # fmt: skip


class GrpcFace(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpcio ships no types
    """Listens on one address and port while started."""

    def __init__(self, host: str, port: int, respond: Respond) -> None:
        self._address, self._respond = f"{host}:{port}", respond
        self._server: grpc.aio.Server | None = None

    async def start(self) -> None:
        """OSError when the port is taken."""
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers((self,))
        try:
            server.add_insecure_port(self._address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {self._address}: {error}") from error
        await server.start()
        self._server = server

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop(grace=None)
            self._server = None

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        method = handler_call_details.method

        async def unary(_: bytes, context: grpc.aio.ServicerContext) -> bytes:
            headers = [(name, value) for name, value in context.invocation_metadata() if isinstance(value, str)]
            answer = await self._respond(method, headers)
            if answer.failure is not None:
                name = answer.failure.grpc_status or _FROM_HTTP.get(answer.failure.status or 503, "UNKNOWN")
                await context.abort(grpc.StatusCode[name], "emulated failure")
            return b"x" * answer.size

        return grpc.unary_unary_rpc_method_handler(unary)
