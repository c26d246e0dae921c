"""HTTP/1.1 listener of an emulated application."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import cast

import httptools

from windvane.local.emulator.behaviour import Answer
from windvane.local.emulator.headers import Header

Respond = Callable[[str, list[Header]], Awaitable[Answer]]
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class HttpFace:
    """Listens on one address and port while started."""

    def __init__(self, host: str, port: int, respond: Respond) -> None:
        self._host, self._port, self._respond = host, port, respond
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        make = lambda: _Connection(self._respond, self._connections)  # noqa: E731
        self._server = await loop.create_server(make, self._host, self._port, backlog=1024)

    async def stop(self) -> None:
        """Stop listening and cut open connections."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for connection in list(self._connections):
            connection.abort()


class _Connection(asyncio.Protocol):
    """Answers requests in the order they came. The httptools callbacks are named by that library."""

    def __init__(self, respond: Respond, connections: set[_Connection]) -> None:
        self._respond, self._connections = respond, connections
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: deque[tuple[str, list[Header], bool]] = deque()
        self._task: asyncio.Task[None] | None = None
        self._url, self._headers = b"", list[Header]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is not a subclass
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        if self._task is not None:
            self._task.cancel()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            pass  # answered as a plain request
        except httptools.HttpParserError:
            self.abort()

    def on_message_begin(self) -> None:
        self._url, self._headers = b"", []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_message_complete(self) -> None:
        request = (self._url.decode("latin-1"), self._headers, self._parser.should_keep_alive())
        self._waiting.append(request)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._work())

    async def _work(self) -> None:
        while self._waiting:
            path, headers, keep_alive = self._waiting.popleft()
            answer = await self._respond(path, headers)
            if self._transport is None or self._transport.is_closing():
                return
            if answer.failure is not None and answer.failure.reset:
                self.abort()
                return
            self._transport.write(_encode(answer))
            if not keep_alive:
                self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()


def _encode(answer: Answer) -> bytes:
    status = 200 if answer.failure is None else answer.failure.status or 500
    head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n"
    body = b"" if status == 304 else b"x" * answer.size
    return f"{head}content-type: text/plain\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
