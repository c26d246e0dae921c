"""A TCP listener whose connections are tasks of its own: stopping it cuts them."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod


class TcpServer(ABC):
    """Listens on one address and port while started."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, self._host, self._port, backlog=1024)

    async def stop(self) -> None:
        """Stop listening and cut open connections."""
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
            await self._connected(reader, writer)
        finally:
            self._tasks.discard(task)

    @abstractmethod
    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection to its end, whatever becomes of it, and close it."""
