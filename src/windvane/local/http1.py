"""A small HTTP/1.1 client on asyncio and llhttp: pooled connections, exact knowledge of what was sent.

The traffic generator must count what left and the emulator makes thousands of calls a second;
general clients do neither. A request is written whole; `SendError.sent` tells whether it was.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, cast

import httptools

Header = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Response:
    """A whole response; header names are lower-case."""

    status: int
    headers: tuple[Header, ...]
    body: bytes


class SendError(Exception):
    """No response: the connection could not be made (`sent` False), or broke after the request was written."""

    def __init__(self, message: str, *, sent: bool) -> None:
        super().__init__(message)
        self.sent = sent


def encode_request(method: str, target: str, host: str, headers: Iterable[Header], body: bytes = b"") -> bytes:
    """A request's bytes; `target` is a path or, through a proxy, an absolute URL."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + body


class Connection(asyncio.Protocol):
    """One connection, one request at a time. The httptools callbacks are named by that library."""

    def __init__(self) -> None:
        self.open = False
        self._transport: asyncio.Transport | None = None
        self._waiter: asyncio.Future[Response] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[Header] = []
        self._body: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self.open = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.open = False
        self._fail(f"connection lost before the response was complete ({exc or 'closed by the peer'})")

    def eof_received(self) -> bool:
        self.open = False
        return False

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"not an HTTP response: {error}")
            self.close()

    def on_message_begin(self) -> None:
        self._headers, self._body = [], []

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        if not self._parser.should_keep_alive():
            self.close()
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            self.close()
            return
        waiter.set_result(Response(self._parser.get_status_code(), tuple(self._headers), b"".join(self._body)))

    def _fail(self, message: str) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_exception(SendError(message, sent=True))

    async def request(self, data: bytes) -> Response:
        assert self._transport is not None
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._waiter

    def close(self) -> None:
        """Give the connection up; a response still awaited will not come."""
        self.open = False
        if self._transport is not None:
            self._transport.abort() if self._waiter is not None else self._transport.close()


class HttpClient:
    """Connections to one host and port, reused newest first; at most `idle` are kept open unused.

    With `tls` they are secured; `server_name` is the name then asked for (SNI).
    """

    def __init__(
        self, host: str, port: int, *, idle: int = 64, tls: ssl.SSLContext | None = None, server_name: str = ""
    ) -> None:
        self._host, self._port, self._limit = host, port, idle
        self._secured: dict[str, Any] = {"ssl": tls, "server_hostname": server_name} if tls is not None else {}
        self._idle: list[Connection] = []

    async def request(self, data: bytes, connection: Connection | None = None) -> Response:
        """Send an encoded request and await the whole response. SendError when there is none.

        `connection` is one got from `connect`. Cancelling (a timeout) closes the connection: the
        peer sees the caller leave.
        """
        connection = connection or await self.connect()
        try:
            response = await connection.request(data)
        except BaseException:
            connection.close()
            raise
        if connection.open and len(self._idle) < self._limit:
            self._idle.append(connection)
        else:
            connection.close()
        return response

    async def connect(self) -> Connection:
        """An open connection, an unused one if there is. SendError (nothing sent) when none can be made."""
        while self._idle:
            connection = self._idle.pop()
            if connection.open:
                return connection
        try:
            _, made = await asyncio.get_running_loop().create_connection(
                Connection, self._host, self._port, **self._secured
            )
        except OSError as error:
            raise SendError(f"cannot connect to {self._host}:{self._port}: {error}", sent=False) from error
        return made

    def close(self) -> None:
        """Close unused connections; those in use close when their response is there."""
        self._limit = 0
        while self._idle:
            self._idle.pop().close()
