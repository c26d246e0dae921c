"""The gRPC listener: services are given as generic handlers over bytes, so no generated code is needed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

import grpc

from windvane.ingest.accounting import LOGS, METRICS, TRACES
from windvane.ingest.otlp import OtlpReceiver
from windvane.kit.errors import LimitError, OverloadedError, UnavailableError, WindvaneError
from windvane.kit.values import Address
from windvane.signals.otlp import responses

_CODES = {code.value[0]: code for code in grpc.StatusCode}


@dataclass(frozen=True, slots=True)
class GrpcSettings:
    """`message_bytes` bounds one message; `stop_seconds` is how long running calls may take at the end."""

    message_bytes: int = 64 << 20
    stop_seconds: float = 5.0


class GrpcServer:
    """A gRPC server on one address; port 0 asks the system for one (`port` tells it)."""

    def __init__(
        self, address: Address, services: Sequence[grpc.GenericRpcHandler], settings: GrpcSettings | None = None
    ) -> None:
        self._address = address
        self._services = services
        self._settings = settings or GrpcSettings()
        self._server: Any = None
        self.port = address.port

    async def start(self) -> None:
        """Listen; `UnavailableError` when the address cannot be had."""
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", self._settings.message_bytes),
                ("grpc.max_send_message_length", self._settings.message_bytes),
                ("grpc.so_reuseport", 0),
            ],
        )
        self._server.add_generic_rpc_handlers(tuple(self._services))
        try:
            self.port = self._server.add_insecure_port(str(self._address))
        except RuntimeError as error:
            raise UnavailableError(f"cannot listen for gRPC on {self._address}: {error}") from None
        await self._server.start()

    async def stop(self) -> None:
        """Stop accepting, let running calls end. Idempotent."""
        if self._server is not None:
            await self._server.stop(self._settings.stop_seconds)
            self._server = None


def otlp_services(receiver: OtlpReceiver) -> list[grpc.GenericRpcHandler]:
    """OTLP's TraceService, LogsService and MetricsService."""
    return [
        unary("opentelemetry.proto.collector.trace.v1.TraceService", "Export", _exporter(receiver, TRACES)),
        unary("opentelemetry.proto.collector.logs.v1.LogsService", "Export", _exporter(receiver, LOGS)),
        unary("opentelemetry.proto.collector.metrics.v1.MetricsService", "Export", _exporter(receiver, METRICS)),
    ]


async def abort(context: grpc.aio.ServicerContext[bytes, bytes], error: WindvaneError) -> None:
    """End a call with the status for an error's kind; RetryInfo tells when to come back."""
    retry = error.retry_after if isinstance(error, OverloadedError) else None
    kind = "bad_input" if isinstance(error, LimitError) else error.kind
    details = responses.status(kind, error.message, retry, json=False)
    await context.abort(
        _CODES[responses.CODES[kind]], error.message, trailing_metadata=(("grpc-status-details-bin", details),)
    )


def unary(service: str, method: str, call: Callable[[bytes, Any], Awaitable[bytes]]) -> grpc.GenericRpcHandler:
    """A service of one method from one message to one."""
    handler = grpc.unary_unary_rpc_method_handler(call)  # no (de)serializer: bytes in, bytes out
    return grpc.method_handlers_generic_handler(service, {method: handler})


def _exporter(receiver: OtlpReceiver, signal: str) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def export(request: bytes, context: Any) -> bytes:
        try:
            done = await asyncio.shield(receiver.export(signal, request, transport="grpc"))
        except WindvaneError as error:
            await abort(context, error)
        return responses.exported(json=False, rejected=done.rejected, message=done.message)

    return export
