"""Calls an emulated application makes: HTTP through its sidecar's proxy port, gRPC and TCP by address."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from itertools import chain

import grpc.aio

from windvane.local.emulator.headers import Header
from windvane.local.emulator.plan import EmulatedWorkload
from windvane.local.emulator.spec import Step, Target
from windvane.local.emulator.trouble import Trouble
from windvane.local.http1 import HttpClient, SendError, encode_request

_CHANNEL_OPTIONS = [("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1)]
_QUERIES_A_CONNECTION = 100


class Caller:
    """One application's clients; `call` never raises for what the other side did."""

    def __init__(self, workload: EmulatedWorkload, rng: random.Random) -> None:
        self._workload, self._rng = workload, rng
        self.trouble: Trouble = workload.trouble
        self._proxy = HttpClient(workload.address, workload.http_proxy)
        self._channels: dict[int, grpc.aio.Channel] = {}
        self._databases: dict[int, _TcpPool] = {}

    async def run(self, steps: Sequence[Step], headers: Sequence[Header]) -> bool:
        """Do steps one after another; False as soon as one that is required has failed."""
        for step in steps:
            for _ in range(step.times):
                if self._rng.random() < step.probability and not await self._step(step, headers) and step.required:
                    return False
        return True

    async def _step(self, step: Step, headers: Sequence[Header]) -> bool:
        if step.parallel is not None:
            results = await asyncio.gather(*(self.run((part,), headers) for part in step.parallel))
            return all(results)
        if step.sequence is not None:
            return await self.run(step.sequence, headers)
        again = self.trouble.repeats if step.target.host in self.trouble.repeated else 0
        for _ in range(again + 1):
            if await self._tried(step, headers):
                return True
        return False

    async def _tried(self, step: Step, headers: Sequence[Header]) -> bool:
        try:
            async with asyncio.timeout(step.timeout):
                return await self._call(step, step.target, headers)
        except (TimeoutError, SendError, OSError, EOFError, grpc.aio.AioRpcError):
            return False

    async def _call(self, step: Step, target: Target, headers: Sequence[Header]) -> bool:
        if target.scheme == "http":
            return await self._http(step, target, headers)
        port = self._workload.listener(target.host, target.port)
        if port is None:
            return False
        if target.scheme == "grpc":
            return await self._grpc(step, target, port, headers)
        pool = self._databases.get(port)
        if pool is None:
            pool = self._databases[port] = _TcpPool(self._workload.address, port)
        return await pool.query(step.bytes, step.response_bytes)

    async def _http(self, step: Step, target: Target, headers: Sequence[Header]) -> bool:
        host = f"{target.host}:{target.port}"
        body = b"x" * step.bytes
        data = encode_request(step.method, f"http://{host}{target.path}", host, headers, body)
        return (await self._proxy.request(data)).status < 400

    async def _grpc(self, step: Step, target: Target, port: int, headers: Sequence[Header]) -> bool:
        channel = self._channels.get(port)
        if channel is None:
            options = [*_CHANNEL_OPTIONS, ("grpc.default_authority", f"{target.host}:{target.port}")]
            channel = self._channels[port] = grpc.aio.insecure_channel(f"{self._workload.address}:{port}", options)
        await channel.unary_unary(target.path)(b"x" * step.bytes, metadata=tuple(headers))
        return True

    async def close(self) -> None:
        self._proxy.close()
        for pool in self._databases.values():
            pool.close()
        for channel in self._channels.values():
            await channel.close(grace=None)


class _TcpPool:
    """Connections to a database-like service; each is closed after some queries, as pools do."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter, int]] = []

    async def query(self, request_bytes: int, response_bytes: int) -> bool:
        """Send `request_bytes`, read an answer of `response_bytes`; False when the answer is an error."""
        reader, writer, used = await self._take()
        try:
            writer.write(b"GET %d %d\n" % (response_bytes, request_bytes) + b"x" * request_bytes)
            status, _, size = (await reader.readuntil(b"\n")).partition(b" ")
            await reader.readexactly(int(size or 0))
        except BaseException:
            writer.close()
            raise
        if used + 1 < _QUERIES_A_CONNECTION:
            self._idle.append((reader, writer, used + 1))
        else:
            writer.close()
        return status == b"OK"

    async def _take(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
        while self._idle:
            reader, writer, used = self._idle.pop()
            if not reader.at_eof() and not writer.is_closing():
                return reader, writer, used
        return *(await asyncio.open_connection(self._host, self._port)), 0

    def close(self) -> None:
        for writer in chain.from_iterable(part[1:2] for part in self._idle):
            writer.close()
        self._idle.clear()
