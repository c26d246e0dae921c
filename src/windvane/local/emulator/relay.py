"""A slow network: a relay before a sidecar that hands bytes on later than they came, in both directions."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from windvane.local.emulator.tcp_server import TcpServer

_CHUNK = 64 << 10
_WAITING = 256
"""Chunks on their way before the sender has to wait: 16 MiB a direction."""


class Relay(TcpServer):
    """Listens on one address and port while started; `delay` says by how much one direction takes longer (seconds).

    Bytes keep their order also where the delay changes. The end of a direction is handed on like bytes.
    """

    def __init__(self, host: str, port: int, target: int, delay: Callable[[], float]) -> None:
        super().__init__(host, port)
        self._target, self._delay = target, delay

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            inner_reader, inner_writer = await asyncio.open_connection(self._host, self._target)
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._pass(reader, inner_writer))
                    group.create_task(self._pass(inner_reader, writer))
            finally:
                inner_writer.transport.abort()
        except (OSError, ExceptionGroup, asyncio.CancelledError):
            pass  # what one side did to its connection, the other sees of its own
        finally:
            writer.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Hand one direction on until its end; OSError when a side is gone."""
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_WAITING)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._take(reader, waiting))
            group.create_task(_give(waiting, writer))

    async def _take(self, reader: asyncio.StreamReader, waiting: asyncio.Queue[tuple[float, bytes]]) -> None:
        loop = asyncio.get_running_loop()
        data = b"."
        while data:
            data = await reader.read(_CHUNK)
            await waiting.put((loop.time() + self._delay(), data))


async def _give(waiting: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, data = await waiting.get()
        if due > loop.time():
            await asyncio.sleep(due - loop.time())
        if not data:
            if writer.can_write_eof():
                writer.write_eof()
            return
        writer.write(data)
        await writer.drain()
