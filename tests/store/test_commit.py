"""Group commit: gathering, bisection, refusal when full, flush on stop, sequence."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import replace

import pytest

from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError, OverloadedError, UnavailableError
from windvane.store.api import Engine, PayloadInsert
from windvane.store.commit import CommitSequence, CommitSettings, GroupCommit, Kind

HOUR = 3_600.0


@pytest.fixture
def numbers(engine: Engine) -> Kind:
    engine.command("CREATE TABLE numbers (N UInt64, Commit UInt64) ENGINE = MergeTree ORDER BY N")
    return Kind("numbers", _insert)


def _insert(commit: int) -> PayloadInsert:
    return PayloadInsert("numbers", ["N", "Commit"], f"SELECT n, {commit} FROM {{source}}", "TSV", "n UInt64")


def _stored(engine: Engine) -> list[int]:
    return [int(n) for n in engine.query("SELECT N FROM numbers ORDER BY N")["N"]]


def _commits(engine: Engine) -> int:
    return int(engine.query("SELECT uniqExact(Commit) AS n FROM numbers")["n"][0])


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


async def _settle() -> None:
    """Let every task run until it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


def test_concurrent_requests_become_one_commit(engine: Engine, numbers: Kind) -> None:
    async def run() -> list[int]:
        clock = ManualClock()
        async with GroupCommit(engine, [numbers], clock=clock) as commit:
            tasks = [asyncio.create_task(commit.submit("numbers", b"%d\n" % n, 1)) for n in range(50)]
            await _settle()
            assert commit.held_bytes == sum(len(b"%d\n" % n) for n in range(50))
            clock.advance(0.2)
            async with asyncio.timeout(10):
                return await asyncio.gather(*tasks)

    assert asyncio.run(run()) == [1] * 50
    assert _stored(engine) == list(range(50))
    assert _commits(engine) == 1


def test_enough_bytes_do_not_wait_for_the_clock(engine: Engine, numbers: Kind) -> None:
    async def run() -> None:
        settings = CommitSettings(delay=HOUR, flush_bytes=4)
        async with GroupCommit(engine, [numbers], clock=ManualClock(), settings=settings) as commit:
            await asyncio.gather(*(commit.submit("numbers", b"%d\n" % n, 1) for n in range(2)))

    asyncio.run(run())
    assert _stored(engine) == [0, 1]


def test_only_bad_requests_are_refused(engine: Engine, numbers: Kind) -> None:
    bad = {3, 4, 11}

    async def run() -> list[int | BaseException]:
        settings = CommitSettings(flush_bytes=1 << 30, delay=0.01)
        async with GroupCommit(engine, [numbers], settings=settings) as commit:
            lines = [b"what\n" if n in bad else b"%d\n" % n for n in range(16)]
            return await asyncio.gather(*(commit.submit("numbers", line, 1) for line in lines), return_exceptions=True)

    answers = asyncio.run(run())
    assert {n for n, answer in enumerate(answers) if isinstance(answer, BadInputError)} == bad
    assert _stored(engine) == [n for n in range(16) if n not in bad]


class _Stuck:
    """An engine whose inserts wait until they are let go."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.go = threading.Event()
        self.inserting = 0
        self.query, self.command, self.database, self.close = (
            engine.query,
            engine.command,
            engine.database,
            engine.close,
        )
        self.insert_frame = engine.insert_frame

    def insert_payload(self, insert: PayloadInsert, payload: bytes) -> int:
        self.inserting += 1
        self.go.wait(20)
        return self._engine.insert_payload(insert, payload)


def test_an_eager_kind_waits_for_nobody_but_a_running_commit(engine: Engine, numbers: Kind) -> None:
    """The first request is committed at once; what comes while it is stored is one commit more."""
    stuck = _Stuck(engine)

    async def run() -> None:
        eager = replace(numbers, delay=HOUR, eager=True, parallel=2)
        async with GroupCommit(stuck, [eager], clock=ManualClock()) as commit:
            tasks = [asyncio.create_task(commit.submit("numbers", b"%d\n" % n, 1)) for n in range(9)]
            await _settle()
            stuck.go.set()
            async with asyncio.timeout(10):
                await asyncio.gather(*tasks)

    asyncio.run(run())
    assert _stored(engine) == list(range(9))
    assert _commits(engine) == 2


def test_an_eager_kind_does_not_wait_for_a_slow_commit_for_ever(engine: Engine, numbers: Kind) -> None:
    stuck = _Stuck(engine)

    async def run() -> None:
        clock = ManualClock()
        eager = replace(numbers, delay=0.1, eager=True, parallel=2)
        async with GroupCommit(stuck, [eager], clock=clock) as commit:
            tasks = [asyncio.create_task(commit.submit("numbers", b"%d\n" % n, 1)) for n in range(3)]
            await _settle()
            clock.advance(0.1)
            await _until(lambda: stuck.inserting == 2)
            stuck.go.set()
            async with asyncio.timeout(10):
                await asyncio.gather(*tasks)

    asyncio.run(run())
    assert _stored(engine) == [0, 1, 2]


def test_a_full_store_refuses_and_recovers(engine: Engine, numbers: Kind) -> None:
    stuck = _Stuck(engine)

    async def run() -> None:
        settings = CommitSettings(memory_bytes=100, flush_bytes=1)
        async with GroupCommit(stuck, [numbers], settings=settings) as commit:
            first = asyncio.create_task(commit.submit("numbers", b"1\n" * 50, 50))
            await _until(lambda: commit.held_bytes == 100)
            with pytest.raises(OverloadedError) as refused:
                await commit.submit("numbers", b"2\n", 1)
            assert refused.value.retry_after > 0
            stuck.go.set()
            await first
            assert commit.held_bytes == 0
            await commit.submit("numbers", b"3\n", 1)
            with pytest.raises(BadInputError, match="never"):
                await commit.submit("numbers", b"4\n" * 51, 51)

    asyncio.run(run())
    assert _stored(engine) == [1] * 50 + [3]


def test_stop_flushes_what_was_accepted_and_refuses_the_rest(engine: Engine, numbers: Kind) -> None:
    async def run() -> None:
        commit = GroupCommit(engine, [numbers], clock=ManualClock())
        await commit.start()
        accepted = asyncio.create_task(commit.submit("numbers", b"1\n", 1))
        await _settle()
        await commit.stop()
        assert await accepted == 1
        with pytest.raises(UnavailableError):
            await commit.submit("numbers", b"2\n", 1)

    asyncio.run(run())
    assert _stored(engine) == [1]


def test_sequence_increases_over_restarts(engine: Engine) -> None:
    first, second = CommitSequence(engine), CommitSequence(engine)
    before = [first.next() for _ in range(3)]
    assert before == sorted(set(before))
    assert second.next() > max(before)


def test_numbers_are_settled_when_all_before_them_are_done(engine: Engine) -> None:
    before = CommitSequence(engine)
    assert before.settled == 0, "not started: nothing can be told"
    used = [before.next() for _ in range(3)]
    assert before.settled == used[-1]
    sequence = CommitSequence(engine)
    sequence.reserve()
    assert sequence.settled >= used[-1], "what an earlier process began has ended"
    with sequence.numbered() as first:
        with sequence.numbered() as second:
            assert sequence.settled == first - 1
        assert (second, sequence.settled) == (first + 1, first - 1)
    assert sequence.settled == second
    with pytest.raises(ValueError, match="failed"), sequence.numbered() as third:
        raise ValueError("failed")
    assert sequence.settled == third
