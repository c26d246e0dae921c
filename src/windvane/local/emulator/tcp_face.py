"""TCP listener of an emulated application, standing for a database: many queries on one connection.

A query is `GET <answer bytes> <body bytes>\\n` and a body; the answer `OK <n>\\n` and n bytes, or
`ERR 0\\n`. Anything else is answered with `ERR 0` and the end of the connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from windvane.local.emulator.behaviour import Answer
from windvane.local.emulator.headers import Header

Respond = Callable[[str, list[Header]], Awaitable[Answer]]
_LIMIT = 64 << 20


class TcpFace:
    """Listens on one address and port while started."""

    def __init__(self, host: str, port: int, respond: Respond) -> None:
        self._host, self._port, self._respond = host, port, respond
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self._host, self._port, backlog=1024)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        for task in self._tasks:
            task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._query(reader, writer):
                await writer.drain()
        except (OSError, EOFError, ValueError, asyncio.LimitOverrunError, asyncio.CancelledError):
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
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
