"""TCP listener of an emulated application, standing for a database: many queries on one connection.

A query is `GET <answer bytes> <body bytes>\\n` and a body; the answer `OK <n>\\n` and n bytes, or
`ERR 0\\n`. Anything else is answered with `ERR 0` and the end of the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from windvane.local.emulator.behaviour import Answer
from windvane.local.emulator.headers import Header
from windvane.local.emulator.tcp_server import TcpServer

Respond = Callable[[str, list[Header]], Awaitable[Answer]]
_LIMIT = 64 << 20


class TcpFace(TcpServer):
    """Listens on one address and port while started."""

    def __init__(self, host: str, port: int, respond: Respond) -> None:
        super().__init__(host, port)
        self._respond = respond

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await self._query(reader, writer):
                await writer.drain()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            writer.close()

    async def _query(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            line = await reader.readuntil(b"\n")
        except asyncio.IncompleteReadError as error:
            if error.partial:
                raise
            return False
        parts = line.split()
        numbers = parts[1:]
        if parts[:1] != [b"GET"] or len(numbers) != 2 or not all(n.isdigit() and int(n) <= _LIMIT for n in numbers):
            writer.write(b"ERR 0\n")
            return False
        await reader.readexactly(int(numbers[1]))
        answer = await self._respond("/", [])
        if answer.failure is not None and answer.failure.reset:
            raise ConnectionResetError
        size = int(numbers[0])
        writer.write(b"ERR 0\n" if answer.failure else b"OK %d\n" % size + b"x" * size)
        return True
