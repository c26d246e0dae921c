"""A server that takes plain connections and TLS on one port: it looks at the first byte and tells nobody.

What is outside of the mesh is stood in for, and whether a proxy secures what it sends there is the configuration's
business: requests must arrive either way.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from typing import cast

_HANDSHAKE = 0x16
_CHUNK = 65_536


class Either(asyncio.Protocol):
    """Hands plaintext to the protocol that `inner` makes, whichever way it came; `context` is the server's TLS."""

    def __init__(self, inner: Callable[[], asyncio.Protocol], context: ssl.SSLContext) -> None:
        self._inner, self._context = inner(), context
        self._transport: asyncio.Transport | None = None
        self._secured: _Secured | None = None
        self._began = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        assert self._transport is not None
        if not self._began:
            self._began = True
            if data[0] == _HANDSHAKE:
                self._secured = _Secured(self._transport, self._context)
            self._inner.connection_made(self._secured or self._transport)
        if self._secured is None:
            self._inner.data_received(data)
            return
        try:
            plain = self._secured.opened(data)
        except ssl.SSLError:
            self._transport.abort()
            return
        if plain:
            self._inner.data_received(plain)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._began:
            self._inner.connection_lost(exc)


class _Secured(asyncio.Transport):
    """The part of a transport that the echo uses, with TLS beneath."""

    def __init__(self, transport: asyncio.Transport, context: ssl.SSLContext) -> None:
        super().__init__()
        self._transport = transport
        self._received, self._sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._session = context.wrap_bio(self._received, self._sent, server_side=True)
        self._established = False

    def opened(self, data: bytes) -> bytes:
        """What was said, of bytes as they came; `ssl.SSLError` when they are no TLS that is taken."""
        self._received.write(data)
        plain = b""
        try:
            if not self._established:
                self._session.do_handshake()
                self._established = True
            while chunk := self._session.read(_CHUNK):
                plain += chunk
        except ssl.SSLWantReadError:
            pass  # the rest is on its way
        finally:
            self._flush()
        return plain

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._session.write(data)
        self._flush()

    def abort(self) -> None:
        self._transport.abort()

    def close(self) -> None:
        self._transport.close()

    def _flush(self) -> None:
        self._transport.write(self._sent.read())
