"""Spans in Zipkin's and Jaeger's formats, whatever the transport: body → OTLP → the way of OTLP's spans.

The translation is a Python loop (`windvane.signals.zipkin`, `.jaeger`): large bodies take it in one
thread, one after the other, so that the memory of what is being decoded is bounded.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import grpc

from windvane.ingest.accounting import TRACES, Accounting
from windvane.ingest.compression import decompress
from windvane.ingest.grpc_server import abort, unary
from windvane.ingest.otlp import Exported, OtlpReceiver
from windvane.kit.clock import Clock, SystemClock
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.signals.jaeger import protobuf as jaeger_protobuf
from windvane.signals.jaeger import thrift as jaeger_thrift
from windvane.signals.spans.encode import Translated
from windvane.signals.zipkin import json_v2, v1
from windvane.signals.zipkin import protobuf as zipkin_protobuf

_INLINE_BYTES = 16 << 10  # smaller bodies are translated on the event loop: a thread would cost more

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Format:
    """A wire format: its name in the accounting, and its reader (the time is that of arrival, ns)."""

    name: str
    read: Callable[[bytes, int], Translated]


ZIPKIN_JSON = Format("zipkin_json", json_v2.read)
ZIPKIN_PROTO = Format("zipkin_proto", zipkin_protobuf.read)
ZIPKIN_GRPC = Format("zipkin_grpc", zipkin_protobuf.read)
ZIPKIN_V1_JSON = Format("zipkin_v1_json", v1.read_json)
ZIPKIN_V1_THRIFT = Format("zipkin_v1_thrift", v1.read_thrift)
JAEGER_GRPC = Format("jaeger_grpc", lambda body, _: jaeger_protobuf.read(body))
JAEGER_THRIFT = Format("jaeger_thrift", lambda body, _: jaeger_thrift.read_batch(body))
JAEGER_UDP = Format("jaeger_udp", jaeger_thrift.read_datagram)

_PROTOBUF = ("application/x-protobuf", "application/protobuf")
_THRIFT = ("application/x-thrift", "application/vnd.apache.thrift.binary")


def zipkin_v2_format(content_type: str) -> Format:
    """JSON unless protobuf is told: browsers send `text/plain`, some reporters nothing."""
    return ZIPKIN_PROTO if content_type in _PROTOBUF else ZIPKIN_JSON


def zipkin_v1_format(content_type: str) -> Format:
    """JSON unless thrift is told."""
    return ZIPKIN_V1_THRIFT if content_type in _THRIFT else ZIPKIN_V1_JSON


def jaeger_format(content_type: str, wanted: str) -> Format:
    """Thrift, under the content types and the `format` that Jaeger's collector knows."""
    if content_type not in _THRIFT:
        raise BadInputError(f"content type {content_type or '(none)'!r} is not {' or '.join(_THRIFT)}")
    if wanted not in ("", "jaeger.thrift"):
        raise BadInputError(f"format {wanted[:40]!r} is not jaeger.thrift")
    return JAEGER_THRIFT


class SpanReceiver:
    """Takes requests of spans; what it translates goes to `otlp`. `close` after the listeners stopped."""

    def __init__(
        self, otlp: OtlpReceiver, accounting: Accounting, *, clock: Clock | None = None, message_bytes: int = 64 << 20
    ) -> None:
        self._otlp = otlp
        self._accounting = accounting
        self._clock = clock or SystemClock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="translate")
        self.message_bytes = message_bytes
        """The most that a request may hold, before and after decompression."""

    async def receive(self, wanted: Format, body: bytes, encoding: str = "") -> Exported:
        """Store the spans of a body; `BadInputError` when it cannot be read or no span of it is any good.

        Raises as `GroupCommit.submit` does.
        """
        try:
            made = await self._translated(wanted, body, encoding)
        except WindvaneError as error:
            self.unreadable(wanted, error)
            raise
        rejected = len(made.refusals)
        self._accounting.received(TRACES, wanted.name, rejected)
        for reason, count in made.refusals.counts.items():
            self._accounting.refused(TRACES, reason, count)
        if rejected:
            _log.warning("%s: %s", wanted.name, made.refusals.text(made.received))
        if rejected and not made.spans:
            raise BadInputError(made.refusals.text(rejected))
        await self._otlp.export(TRACES, made.payload, transport=wanted.name)
        return Exported(rejected, made.refusals.text(made.received) if rejected else "")

    def unreadable(self, wanted: Format, error: WindvaneError) -> None:
        """Account for a request whose spans cannot be counted."""
        self._accounting.received(TRACES, wanted.name, 1)
        self._accounting.refused(TRACES, error.kind, 1)

    async def close(self) -> None:
        """Stop the thread."""
        await asyncio.to_thread(self._thread.shutdown)

    async def _translated(self, wanted: Format, body: bytes, encoding: str) -> Translated:
        now = self._clock.now_ns()

        def work() -> Translated:
            return wanted.read(decompress(body, encoding, self.message_bytes), now)

        if len(body) <= _INLINE_BYTES and not encoding:
            return work()
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def span_services(receiver: SpanReceiver) -> list[grpc.GenericRpcHandler]:
    """Jaeger's CollectorService and Zipkin's SpanService over gRPC."""
    return [
        unary("jaeger.api_v2.CollectorService", "PostSpans", _poster(receiver, JAEGER_GRPC)),
        unary("zipkin.proto3.SpanService", "Report", _poster(receiver, ZIPKIN_GRPC)),
    ]


def _poster(receiver: SpanReceiver, wanted: Format) -> Callable[[bytes, Any], Awaitable[bytes]]:
    """Both services answer with an empty message: spans refused beside others are told in the metadata."""

    async def post(request: bytes, context: Any) -> bytes:
        try:
            done = await asyncio.shield(receiver.receive(wanted, request))
        except WindvaneError as error:
            await abort(context, error)
        if done.rejected:
            context.set_trailing_metadata((("windvane-refused", _ascii(done.message)),))
        return b""

    return post


def _ascii(text: str) -> str:
    return "".join(char if " " <= char <= "~" else "?" for char in text)[:1_024]
