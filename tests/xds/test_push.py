"""The push queue: what is merged, what is held back, and for how long."""

from __future__ import annotations

import asyncio

from windvane.kit.clock import ManualClock
from windvane.xds.push import PushQueue


async def settle() -> None:
    """Let every task run as far as it can without time passing."""
    for _ in range(10):
        await asyncio.sleep(0)


async def drained(queue: PushQueue, clock: ManualClock) -> list[str]:
    """Everything that is due now."""
    found = []
    while True:
        taking = asyncio.create_task(queue.next())
        await settle()
        if not taking.done():
            taking.cancel()
            return found
        found.append(taking.result())


def test_edits_that_come_together_are_one_push_a_proxy() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        queue = PushQueue(clock, quiet=0.1, longest=1.0)
        for _ in range(5):
            queue.add(["a", "b"])
            clock.advance(0.05)
        assert await drained(queue, clock) == []
        clock.advance(0.1)
        assert await drained(queue, clock) == ["a", "b"]
        assert len(queue) == 0

    asyncio.run(scenario())


def test_edits_without_end_are_pushed_after_the_longest_wait() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        queue = PushQueue(clock, quiet=0.1, longest=0.35)
        taking = asyncio.create_task(queue.next())
        waited = 0.0
        while not taking.done():
            queue.add(["a"])
            clock.advance(0.05)
            waited += 0.05
            await settle()
        assert 0.35 <= waited <= 0.45

    asyncio.run(scenario())


def test_a_proxy_that_still_waits_is_not_queued_twice() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        queue = PushQueue(clock, quiet=0.1, longest=1.0)
        queue.add(["a", "b"])
        clock.advance(0.2)
        assert await queue.next() == "a"
        queue.add(["b"])
        assert len(queue) == 1
        assert await queue.next() == "b"

    asyncio.run(scenario())


def test_an_edit_after_a_push_is_another_push() -> None:
    async def scenario() -> None:
        clock = ManualClock()
        queue = PushQueue(clock, quiet=0.1, longest=1.0)
        queue.add(["a"])
        clock.advance(0.2)
        assert await drained(queue, clock) == ["a"]
        queue.add(["a"])
        assert await drained(queue, clock) == []
        clock.advance(0.2)
        assert await drained(queue, clock) == ["a"]

    asyncio.run(scenario())
