"""Before the sidecars are stopped: waiting until their access logs are stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from windvane.kit.clock import ManualClock
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.local.drain import Arrived, count_access_logs, drained
from windvane.mesh.placement import WorkloadPlace

A = "127.0.0.1"
Free = Callable[[], int]


@dataclass
class World:
    """What the sidecar and the server say of themselves; None: they do not answer."""

    written: int = 0
    received: int | None = 0
    settled: int = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readline()).split()[1]
        if path == b"/metrics":
            body = b"" if self.received is None else exposition(self.received, self.settled)
            status = 503 if self.received is None else 200
        else:
            body, status = b'{"stats":[{"name":"x","value":%d}]}' % self.written, 200
        writer.write(b"HTTP/1.1 %d X\r\nconnection: close\r\ncontent-length: %d\r\n\r\n" % (status, len(body)) + body)
        writer.close()


def exposition(received: int, stored: int, refused: int = 0) -> bytes:
    metrics = Metrics()
    for name, label, count in (("received", "grpc", received), ("refused", "limit", refused)):
        metrics.counter(f"windvane_ingest_records_{name}_total", "h", ("signal", "x")).labels("access_logs", label).inc(
            count
        )
    metrics.counter("windvane_ingest_records_stored_total", "h", ("signal",)).labels("access_logs").inc(stored)
    return metrics.exposition()


class Ticking(ManualClock):
    """Time passes as soon as someone sleeps; what happens meanwhile is the script's."""

    def __init__(self, script: Callable[[float], None]) -> None:
        super().__init__()
        self._script = script

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        self._script(self.monotonic())


@asynccontextmanager
async def listening(world: World, port: int) -> AsyncIterator[None]:
    server = await asyncio.start_server(world.answer, A, port)
    try:
        yield
    finally:
        server.close()


def wait(world: World, script: Callable[[float], None], port: int) -> tuple[bool, float]:
    clock = Ticking(script)

    async def scenario() -> bool:
        async with listening(world, port):
            return await drained([WorkloadPlace(A, 1, port)], Address(A, port), clock)

    return asyncio.run(scenario()), clock.monotonic()


def test_it_waits_until_all_that_was_written_is_stored(free_port: Free) -> None:
    world = World(written=10, received=4, settled=4)

    def script(now: float) -> None:
        world.received = 12 if now > 3 else 4  # two entries of connections besides
        world.settled = 12 if now > 5 else 4

    complete, took = wait(world, script, free_port())
    assert complete
    assert 5 < took < 6


def test_entries_still_being_written_start_the_wait_anew(free_port: Free) -> None:
    world = World()

    def script(now: float) -> None:
        world.written = world.received = world.settled = min(int(now * 2), 8)

    complete, took = wait(world, script, free_port())
    assert complete
    assert 5.4 < took < 6.5


def test_it_gives_up_in_the_end(free_port: Free) -> None:
    complete, took = wait(World(written=10, received=9, settled=9), lambda _: None, free_port())
    assert not complete
    assert 20 <= took < 21


def test_a_server_that_does_not_say_is_not_waited_for(free_port: Free) -> None:
    complete, took = wait(World(received=None), lambda _: None, free_port())
    assert not complete
    assert took < 1


def test_refused_entries_are_settled() -> None:
    assert count_access_logs(exposition(9, 5, 4).decode()) == Arrived(9, 9)
    assert count_access_logs("") == Arrived(0, 0)
    with pytest.raises(ValueError, match="Invalid labels"):
        count_access_logs('{"not": "metrics"}')
