"""A small HTTP/2 client with prior knowledge, for calls of gRPC: one connection, many calls at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import cast

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from windvane.local.http1 import Header, Response, SendError

_CONNECTION_HEADERS = ("connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection", "host")


@dataclass(slots=True)
class _Call:
    answered: asyncio.Future[Response]
    status: int = 0
    headers: list[Header] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)


class Http2Client(asyncio.Protocol):
    """A connection to one host and port, opened by the first call. Trailers are given among a response's headers."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._transport: asyncio.Transport | None = None
        self._h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="latin-1"))
        self._calls: dict[int, _Call] = {}
        self._opening = asyncio.Lock()

    async def request(self, method: str, authority: str, path: str, headers: Iterable[Header], body: bytes) -> Response:
        """The whole response, SendError when there is none. Bodies must fit the peer's first window (64 KiB)."""
        transport = await self._connected()
        stream = self._h2.get_next_available_stream_id()
        call = self._calls[stream] = _Call(asyncio.get_running_loop().create_future())
        head = [(":method", method), (":scheme", "http"), (":authority", authority), (":path", path)]
        sent = [each for each in headers if each[0] not in _CONNECTION_HEADERS]
        try:
            self._h2.send_headers(stream, [*head, *sent], end_stream=not body)
            if body:
                self._h2.send_data(stream, body, end_stream=True)
            transport.write(self._h2.data_to_send())
            return await call.answered
        except h2.exceptions.H2Error as error:
            raise SendError(f"the call cannot be sent: {error}", sent=False) from error
        finally:
            self._calls.pop(stream, None)

    async def _connected(self) -> asyncio.Transport:
        async with self._opening:
            if self._transport is None:
                loop = asyncio.get_running_loop()
                try:
                    made, _ = await loop.create_connection(lambda: self, self._host, self._port)
                except OSError as error:
                    raise SendError(f"cannot connect to {self._host}:{self._port}: {error}", sent=False) from error
                self._transport = made
                self._h2.initiate_connection()
        return self._transport

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        try:
            for event in self._h2.receive_data(data):
                self._take(event)
        except h2.exceptions.ProtocolError as error:
            self._fail(f"not HTTP/2: {error}")
            self._transport.abort()
            return
        self._transport.write(self._h2.data_to_send())

    def _take(self, event: h2.events.Event) -> None:
        call = self._calls.get(getattr(event, "stream_id", 0) or 0)
        if isinstance(event, h2.events.DataReceived):
            self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if call is None or call.answered.done():
            return
        if isinstance(event, h2.events.ResponseReceived | h2.events.TrailersReceived):
            headers = cast("list[Header]", event.headers)
            call.status = int(dict(headers).get(":status", call.status))
            call.headers += [(name, value) for name, value in headers if not name.startswith(":")]
        elif isinstance(event, h2.events.DataReceived):
            call.body += event.data
        elif isinstance(event, h2.events.StreamEnded):
            call.answered.set_result(Response(call.status, tuple(call.headers), bytes(call.body)))
        elif isinstance(event, h2.events.StreamReset):
            call.answered.set_exception(SendError(f"the call was reset ({event.error_code})", sent=True))

    def connection_lost(self, exc: Exception | None) -> None:
        self._fail(f"connection lost before the response was complete ({exc or 'closed by the peer'})")

    def _fail(self, message: str) -> None:
        for call in self._calls.values():
            if not call.answered.done():
                call.answered.set_exception(SendError(message, sent=True))

    def close(self) -> None:
        """Close the connection; responses still awaited will not come."""
        if self._transport is not None:
            self._transport.close()
