"""Jaeger's query services over gRPC, `jaeger.api_v2` and `jaeger.api_v3`, and gRPC's health service.

Handlers take and give bytes (`windvane.api.jaeger.messages`), so no generated code is needed. The
store is asked in a thread; streams are sent in chunks of whole spans.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import grpc

from windvane.api.jaeger import messages
from windvane.api.jaeger.params import parse_trace_id
from windvane.api.jaeger.queries import DEFAULT_LIMIT, JaegerQueries
from windvane.api.jaeger.v3 import with_warnings
from windvane.api.otlp_traces import traces_protobuf
from windvane.ingest.grpc_server import abort
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.signals import protobuf as pb
from windvane.signals.otlp.wire import block, integer
from windvane.tracing.model import Span

V2, V3, HEALTH = "jaeger.api_v2.QueryService", "jaeger.api_v3.QueryService", "grpc.health.v1.Health"
CAPABILITIES = "jaeger.api_v3.Capabilities"
SPANS_A_CHUNK_V2 = 10
SPANS_A_CHUNK_V3 = 1_000
SUMMARIES_A_CHUNK = 100

_SERVING = 1
_Item = TypeVar("_Item")
_Unary = Callable[[bytes], bytes]
_Stream = Callable[[bytes], Iterator[bytes]]


def query_services(queries: JaegerQueries) -> list[grpc.GenericRpcHandler]:
    """Both generations of the query service, over one tenant's store, and what searches of the newer one may ask."""
    return [_V2(queries).handler(), _V3(queries).handler(), _service(CAPABILITIES, {"GetCapabilities": _capable}, {})]


def _capable(_: bytes) -> bytes:
    """Searches without a service; conditions that one span must meet together."""
    return block(1, integer(1, 1) + integer(2, 1))


def health_service() -> grpc.GenericRpcHandler:
    """Answers that the query services serve (`Check`; to `Watch` it says that there is none, as it may)."""

    async def check(request: bytes, context: Any) -> bytes:
        try:
            service = messages.text(messages.fields(request), 1)
        except BadInputError as error:
            await abort(context, error)
            raise
        if service not in ("", V2, V3):
            await context.abort(grpc.StatusCode.NOT_FOUND, f"unknown service {service!r}")
        return integer(1, _SERVING)

    return grpc.method_handlers_generic_handler(HEALTH, {"Check": grpc.unary_unary_rpc_method_handler(check)})


class _V2:
    def __init__(self, queries: JaegerQueries) -> None:
        self._queries = queries

    def handler(self) -> grpc.GenericRpcHandler:
        unary = {
            "ArchiveTrace": self.archive,
            "GetServices": self.services,
            "GetOperations": self.operations,
            "GetDependencies": self.dependencies,
        }
        return _service(V2, unary, {"GetTrace": self.trace, "FindTraces": self.find})

    def trace(self, request: bytes) -> Iterator[bytes]:
        message = messages.fields(request)
        window = messages.window_ns(message, 2, 3)
        yield from _chunks(self._queries.one(_id_of(message), window, raw=messages.flag(message, 4)).spans)

    def find(self, request: bytes) -> Iterator[bytes]:
        asked = messages.Search.read(request)
        for trace in self._queries.find(asked.query(DEFAULT_LIMIT), raw=asked.raw):
            yield from _chunks(trace.spans)

    def archive(self, request: bytes) -> bytes:
        message = messages.fields(request)
        self._queries.archive(_id_of(message), messages.window_ns(message, 2, 3))
        return b""

    def services(self, _: bytes) -> bytes:
        return messages.strings(1, self._queries.services())

    def operations(self, request: bytes) -> bytes:
        message = messages.fields(request)
        found = self._queries.operations(messages.text(message, 1), messages.text(message, 2))
        return messages.strings(1, dict.fromkeys(item.name for item in found)) + messages.operations(2, found)

    def dependencies(self, request: bytes) -> bytes:
        message = messages.fields(request)
        start, end = messages.moment_ns(message, 1), messages.moment_ns(message, 2)
        if start is None or end is None:
            raise BadInputError("StartTime and EndTime must be initialized.")
        return messages.dependencies(self._queries.dependencies(start, end))


def _id_of(message: messages.Fields) -> str:
    raw = pb.block(message.get(1, b""))
    if not any(raw):
        raise BadInputError("uninitialized TraceID is not allowed")
    if len(raw) not in (8, 16):
        raise BadInputError("invalid length for TraceID")
    return raw.hex().zfill(32)


def _chunks(spans: Sequence[Span]) -> Iterator[bytes]:
    return (messages.spans_chunk(part) for part in _parts(spans, SPANS_A_CHUNK_V2))


def _parts(items: Sequence[_Item], size: int) -> Iterator[Sequence[_Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


class _V3:
    def __init__(self, queries: JaegerQueries) -> None:
        self._queries = queries

    def handler(self) -> grpc.GenericRpcHandler:
        unary = {
            "GetServices": self.services,
            "GetOperations": self.operations,
            "GetDependencies": self.dependencies,
        }
        streams = {"GetTrace": self.trace, "FindTraces": self.find, "FindTraceSummaries": self.summaries}
        return _service(V3, unary, streams)

    def trace(self, request: bytes) -> Iterator[bytes]:
        message = messages.fields(request)
        try:
            trace_id = parse_trace_id(messages.text(message, 1))
        except BadInputError as error:
            raise BadInputError(f"malform trace ID: {error.message}") from None
        window = messages.window_ns(message, 2, 3)
        yield from _otlp(self._queries.one(trace_id, window, raw=messages.flag(message, 4)).spans)

    def find(self, request: bytes) -> Iterator[bytes]:
        asked = _bounded(messages.Search.read(request))
        for trace in self._queries.find(asked.query(DEFAULT_LIMIT), raw=asked.raw):
            yield from _otlp(trace.spans)

    def summaries(self, request: bytes) -> Iterator[bytes]:
        found = self._queries.summaries(_bounded(messages.Search.read(request)).query(DEFAULT_LIMIT))
        yield from (messages.summaries(part) for part in _parts(found, SUMMARIES_A_CHUNK))

    def services(self, _: bytes) -> bytes:
        return messages.strings(1, self._queries.services())

    def operations(self, request: bytes) -> bytes:
        message = messages.fields(request)
        found = self._queries.operations(messages.text(message, 1), messages.text(message, 2))
        return messages.operations(1, found)

    def dependencies(self, request: bytes) -> bytes:
        message = messages.fields(request)
        start, end = messages.moment_ns(message, 1), messages.moment_ns(message, 2)
        if start is None or end is None:
            raise BadInputError("startTime and endTime must be non-zero")
        if start > end:
            raise BadInputError("startTime must be less than or equal to endTime")
        return messages.dependencies(self._queries.dependencies(start, end))


def _bounded(asked: messages.Search) -> messages.Search:
    """The search, which must have times."""
    if asked.unsupported:
        raise BadInputError(f"{asked.unsupported} is not supported")
    if asked.start_ns is None or asked.end_ns is None:
        raise BadInputError("start time min and max are required parameters")
    if asked.start_ns > asked.end_ns:
        raise BadInputError("start_time_min must be before start_time_max")
    return asked


def _otlp(spans: Sequence[Span]) -> Iterator[bytes]:
    return (traces_protobuf(with_warnings(part)) for part in _parts(spans, SPANS_A_CHUNK_V3))


def _service(name: str, unary: Mapping[str, _Unary], streams: Mapping[str, _Stream]) -> grpc.GenericRpcHandler:
    handlers = {method: grpc.unary_unary_rpc_method_handler(_answering(call)) for method, call in unary.items()}
    handlers |= {method: grpc.unary_stream_rpc_method_handler(_streaming(call)) for method, call in streams.items()}
    return grpc.method_handlers_generic_handler(name, handlers)


def _answering(call: _Unary) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def answer(request: bytes, context: Any) -> bytes:
        try:
            return await asyncio.to_thread(call, request)
        except WindvaneError as error:
            await abort(context, error)
            raise

    return answer


def _streaming(call: _Stream) -> Callable[[bytes, Any], AsyncIterator[bytes]]:
    async def answer(request: bytes, context: Any) -> AsyncIterator[bytes]:
        try:
            parts = call(request)
            while (part := await asyncio.to_thread(next, parts, None)) is not None:
                yield part
        except WindvaneError as error:
            await abort(context, error)

    return answer
