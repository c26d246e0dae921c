"""What Jaeger's agent was: thrift in datagrams, from clients on the same host.

A datagram is not answered and not sent again. So it is taken as long as the store takes what came
before; past that bound, and when it cannot be read, it is counted as refused.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from windvane.ingest.spans import JAEGER_UDP, SpanReceiver
from windvane.kit.errors import ConflictError, OverloadedError, WindvaneError
from windvane.kit.values import Address

_WAITING = 4_096  # datagrams of 64 KiB at most that wait to be stored
_BUFFER = 4 << 20  # bytes that the system may hold while the event loop is busy

_log = logging.getLogger(__name__)


class AgentListener(asyncio.DatagramProtocol):
    """One UDP address, compact and binary protocol alike; port 0 asks the system for one (`address` tells it)."""

    def __init__(self, receiver: SpanReceiver, wanted: Address, waiting: int = _WAITING) -> None:
        self._receiver = receiver
        self._most = waiting
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None
        self.address = wanted

    async def start(self) -> None:
        """Listen; `ConflictError` when the address cannot be had."""
        loop = asyncio.get_running_loop()
        wanted = (self.address.host, self.address.port)
        try:
            self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=wanted)
        except OSError as error:
            raise ConflictError(f"cannot listen for datagrams on {self.address}: {error.strerror}") from error
        bound: socket.socket = self._transport.get_extra_info("socket")
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self.address = Address(self.address.host, int(bound.getsockname()[1]))

    async def stop(self) -> None:
        """Stop listening and return once what was received is stored. Idempotent."""
        if self._transport is not None:
            self._transport.close()
            self._transport = None
        await asyncio.gather(*self._tasks)

    def datagram_received(self, data: bytes, addr: object) -> None:
        """Called by the event loop."""
        if len(self._tasks) >= self._most:
            self._receiver.unreadable(JAEGER_UDP, OverloadedError(f"{self._most} datagrams wait to be stored"))
            return
        task = asyncio.get_running_loop().create_task(self._store(data))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _store(self, data: bytes) -> None:
        try:
            await self._receiver.receive(JAEGER_UDP, data)
        except WindvaneError as error:
            _log.debug("a datagram is refused: %s", error)
