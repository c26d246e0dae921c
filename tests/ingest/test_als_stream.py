"""Access-log streams over a real gRPC channel, into a real store or one that refuses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest
from als_recording import load

from windvane.ingest.accounting import Accounting
from windvane.ingest.als import METHOD, AccessLogService, AccessLogSettings, kind
from windvane.kit.errors import BadInputError, OverloadedError
from windvane.kit.metrics import Metrics
from windvane.signals import envoy_als
from windvane.store.commit import CommitSettings, GroupCommit
from windvane.store.embedded import EmbeddedEngine

STREAM = [message for stream, message in load() if stream == 0]
ENTRIES = sum(envoy_als.count_entries(message) for message in STREAM)
BROKEN = b"\x12\x05\x0a\x03\x0a\x01\xff"


class Store:
    """A group commit that fails as it is told to, then takes everything."""

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.taken: list[bytes] = []
        self.open = asyncio.Event()
        self.open.set()

    async def submit(self, kind: str, payload: bytes, records: int) -> int:
        await self.open.wait()
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append(payload)
        return records


@asynccontextmanager
async def serving(service: AccessLogService) -> AsyncIterator[grpc.aio.StreamUnaryMultiCallable]:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield channel.stream_unary(METHOD)
    finally:
        await server.stop(0)
        await service.close()


async def until(condition: object) -> None:
    async with asyncio.timeout(20):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


def test_a_recorded_stream_is_stored_and_accounted_for(engine: EmbeddedEngine) -> None:
    async def run() -> dict[str, dict[str, int]]:
        accounting = Accounting(Metrics())
        async with GroupCommit(engine, [kind()], settings=CommitSettings(delay=0.02)) as commit:
            service = AccessLogService(commit, accounting)
            async with serving(service) as call:
                assert await call(iter(STREAM)) == b""
            assert service.open_streams == 0
        return accounting.summary()

    assert asyncio.run(run()) == {"access_logs": {"received": ENTRIES, "stored": ENTRIES, "refused": 0}}
    rows = engine.query("SELECT count() AS n, uniq(NodeId) AS nodes, min(Commit) AS first FROM envoy_access_logs")
    assert rows["n"][0] == ENTRIES
    assert rows["nodes"][0] == 1
    assert rows["first"][0] >= 1


def test_a_broken_message_is_refused_and_the_rest_of_the_stream_stored(engine: EmbeddedEngine) -> None:
    async def run() -> dict[str, dict[str, int]]:
        accounting = Accounting(Metrics())
        messages = [STREAM[0], BROKEN, *STREAM[1:], b"\x07"]
        async with (
            GroupCommit(engine, [kind()], settings=CommitSettings(delay=0.02)) as commit,
            serving(AccessLogService(commit, accounting)) as call,
        ):
            await call(iter(messages))
        return accounting.summary()

    assert asyncio.run(run()) == {"access_logs": {"received": ENTRIES + 2, "stored": ENTRIES, "refused": 2}}
    assert engine.query("SELECT count() AS n FROM envoy_access_logs")["n"][0] == ENTRIES


def test_a_stream_that_does_not_say_whose_it_is_is_ended() -> None:
    async def run() -> None:
        async with serving(AccessLogService(Store(), Accounting(Metrics()))) as call:
            with pytest.raises(grpc.aio.AioRpcError) as raised:
                await call(iter(STREAM[1:]))
            assert raised.value.code() == grpc.StatusCode.INVALID_ARGUMENT
            assert "must name its node" in raised.value.details()

    asyncio.run(run())


def test_a_full_store_is_asked_again_and_nothing_is_lost() -> None:
    async def run() -> None:
        store, accounting = Store(OverloadedError("full", 0.01), OverloadedError("full", 0.01)), Accounting(Metrics())
        async with serving(AccessLogService(store, accounting)) as call:
            await call(iter(STREAM))
        assert accounting.summary()["access_logs"] == {"received": ENTRIES, "stored": ENTRIES, "refused": 0}

    asyncio.run(run())


def test_reading_pauses_while_a_stream_has_too_much_unstored() -> None:
    async def run() -> None:
        store, accounting = Store(), Accounting(Metrics())
        store.open.clear()
        service = AccessLogService(store, accounting, settings=AccessLogSettings(stream_bytes=20_000))
        async with serving(service) as call:
            sent = asyncio.ensure_future(call(iter([STREAM[0], *STREAM[1:] * 50])))
            await until(accounting.summary)
            await asyncio.sleep(0.1)
            held = accounting.summary()["access_logs"]["received"]
            assert held < ENTRIES * 10
            store.open.set()
            await sent
        assert accounting.summary()["access_logs"]["stored"] == accounting.summary()["access_logs"]["received"] > held

    asyncio.run(run())


def test_what_came_before_a_client_vanished_is_stored() -> None:
    async def run() -> None:
        store, accounting = Store(), Accounting(Metrics())
        store.open.clear()
        service = AccessLogService(store, accounting)
        async with serving(service) as call:
            sent = call()
            for message in STREAM:
                await sent.write(message)
            await until(lambda: accounting.summary().get("access_logs", {}).get("received") == ENTRIES)
            sent.cancel()
            store.open.set()
            await until(lambda: service.open_streams == 0)
        assert accounting.summary()["access_logs"]["stored"] == ENTRIES

    asyncio.run(run())


def test_a_refused_batch_is_tried_message_by_message() -> None:
    async def run() -> None:
        store, accounting = Store(BadInputError("bad"), BadInputError("bad")), Accounting(Metrics())
        store.open.clear()
        async with serving(AccessLogService(store, accounting)) as call:
            sent = call()
            for message in STREAM:
                await sent.write(message)
            await sent.done_writing()
            await until(lambda: accounting.summary().get("access_logs", {}).get("received") == ENTRIES)
            store.open.set()
            await sent
        summary = accounting.summary()["access_logs"]
        assert 0 < summary["refused"] < ENTRIES
        assert summary["stored"] + summary["refused"] == ENTRIES

    asyncio.run(run())
