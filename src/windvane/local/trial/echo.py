"""An application that answers every request with what it got: HTTP/1.1, and HTTP/2 with prior knowledge.

The body is JSON: `workload`, `method`, `path`, `authority`, `headers` (pairs, in their order), `body` (bytes
received). A gRPC call is answered as one, with that JSON as the bytes of its message. A connection that is none
of these begins with a line of ours, its id and the bytes that follow, and is answered with that JSON on one line.
"""

from __future__ import annotations

import asyncio
import ssl
import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import cast

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import httptools
import orjson

from windvane.local.trial.either import Either

Header = tuple[str, str]
_NOTHING = ("", "")
CONNECTION = b"windvane-connection "
"""How the line begins that is said on a connection of TCP."""
_PREFACE = b"PRI * HTTP/2.0\r\n"


@dataclass(slots=True)
class Heard:
    """A request as an application got it; header names are lower-case."""

    workload: str
    method: str = ""
    path: str = ""
    authority: str = ""
    headers: list[Header] = field(default_factory=list)
    body: int = 0

    def to_json(self) -> bytes:
        return orjson.dumps(self)


Listener = Callable[[Heard], None]
Verdict = Callable[[Heard], tuple[int, Header]]
"""The status of an answer, and a header that says why."""


async def listen(
    host: str,
    port: int,
    workload: str,
    heard: Listener,
    tls: ssl.SSLContext | None = None,
    *,
    verdict: Verdict | None = None,
) -> asyncio.Server:
    """Answer for a workload until closed; `heard` is told every request before it is answered.

    With `tls` connections may be secured or not. With `verdict` an answer over HTTP/1.1 has its status; without,
    every request is answered with 200.
    """

    def plain() -> asyncio.Protocol:
        return _Door(workload, heard, verdict)

    made = plain if tls is None else lambda: Either(plain, tls)
    return await asyncio.get_running_loop().create_server(made, host, port)


class _Door(asyncio.Protocol):
    """Finds out which HTTP is spoken, then hands over."""

    def __init__(self, workload: str, heard: Listener, verdict: Verdict | None = None) -> None:
        self._workload, self._heard, self._verdict = workload, heard, verdict
        self._begun = b""
        self._speaker: _Http1 | _Http2 | _Bytes | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if self._speaker is None:
            self._begun += data
            if any(len(self._begun) < len(each) and each.startswith(self._begun) for each in (_PREFACE, CONNECTION)):
                return
            self._speaker, data = self._chosen()(self._workload, self._heard, self._transport), self._begun
            if isinstance(self._speaker, _Http1):
                self._speaker.verdict = self._verdict
        try:
            self._speaker.feed(data)
        except (httptools.HttpParserError, h2.exceptions.ProtocolError):
            self._transport.abort()

    def _chosen(self) -> type[_Http1 | _Http2 | _Bytes]:
        if self._begun.startswith(CONNECTION):
            return _Bytes
        return _Http2 if self._begun.startswith(_PREFACE) else _Http1


class _Bytes:
    """A connection of TCP: its line, and as many bytes as that says."""

    def __init__(self, workload: str, heard: Listener, transport: asyncio.Transport) -> None:
        self._workload, self._heard, self._transport = workload, heard, transport
        self._got = b""

    def feed(self, data: bytes) -> None:
        self._got += data
        line, end, body = self._got.partition(b"\n")
        identity, _, size = line.removeprefix(CONNECTION).decode("latin-1").partition(" ")
        if not end:
            return
        if not size.isdecimal():
            self._transport.abort()
        elif len(body) >= int(size):
            request = Heard(self._workload, "TCP", headers=[("x-request-id", identity)], body=len(body))
            self._heard(request)
            self._transport.write(request.to_json() + b"\n")


class _Http1:
    """The httptools callbacks are named by that library."""

    def __init__(self, workload: str, heard: Listener, transport: asyncio.Transport) -> None:
        self._workload, self._heard, self._transport = workload, heard, transport
        self.verdict: Verdict | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._request = Heard(workload)

    def feed(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        self._request = Heard(self._workload)

    def on_url(self, url: bytes) -> None:
        self._request.path += url.decode("latin-1")

    def on_header(self, name: bytes, value: bytes) -> None:
        key, text = name.decode("latin-1").lower(), value.decode("latin-1")
        if key == "host":
            self._request.authority = text
        else:
            self._request.headers.append((key, text))

    def on_body(self, body: bytes) -> None:
        self._request.body += len(body)

    def on_message_complete(self) -> None:
        self._request.method = self._parser.get_method().decode()
        self._heard(self._request)
        body = self._request.to_json()
        status, (name, value) = self.verdict(self._request) if self.verdict else (200, _NOTHING)
        reason = f"{name}: {value}\r\n" if name else ""
        line = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n{reason}"
        head = f"{line}content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n".encode()
        self._transport.write(head + (b"" if self._request.method == "HEAD" else body))


class _Http2:
    def __init__(self, workload: str, heard: Listener, transport: asyncio.Transport) -> None:
        self._workload, self._heard, self._transport = workload, heard, transport
        config = h2.config.H2Configuration(client_side=False, header_encoding="latin-1")
        self._connection = h2.connection.H2Connection(config)
        self._connection.initiate_connection()
        self._open: dict[int, Heard] = {}

    def feed(self, data: bytes) -> None:
        for event in self._connection.receive_data(data):
            self._take(event)
        self._transport.write(self._connection.data_to_send())

    def _take(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            self._open[event.stream_id] = self._request(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            self._open[event.stream_id].body += len(event.data)
            self._connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, h2.events.StreamReset):
            self._open.pop(event.stream_id, None)
        elif isinstance(event, h2.events.StreamEnded) and event.stream_id in self._open:
            self._answer(event.stream_id, self._open.pop(event.stream_id))

    def _request(self, headers: object) -> Heard:
        request = Heard(self._workload)
        for name, value in cast("list[Header]", headers):
            if name == ":method":
                request.method = value
            elif name == ":path":
                request.path = value
            elif name == ":authority":
                request.authority = value
            elif not name.startswith(":"):
                request.headers.append((name, value))
        return request

    def _answer(self, stream: int, request: Heard) -> None:
        self._heard(request)
        body = request.to_json()
        kind = dict(request.headers).get("content-type", "")
        if kind.startswith("application/grpc"):
            self._connection.send_headers(stream, [(":status", "200"), ("content-type", kind)])
            self._connection.send_data(stream, b"\0" + struct.pack(">I", len(body)) + body)
            self._connection.send_headers(stream, [("grpc-status", "0")], end_stream=True)
        else:
            self._connection.send_headers(stream, [(":status", "200"), ("content-type", "application/json")])
            self._connection.send_data(stream, body, end_stream=True)
