"""A manual clock wakes sleepers in the order of their deadlines, and only when told."""

import asyncio

from windvane.kit.clock import ManualClock


def test_sleepers_wake_in_order_of_deadline() -> None:
    async def scenario() -> list[str]:
        clock, woken = ManualClock(), []

        async def sleeper(name: str, seconds: float) -> None:
            await clock.sleep(seconds)
            woken.append(name)

        async with asyncio.TaskGroup() as group:
            group.create_task(sleeper("late", 5))
            group.create_task(sleeper("early", 1))
            await asyncio.sleep(0)
            clock.advance(0.5)
            await asyncio.sleep(0)
            assert woken == []
            clock.advance(10)
        return woken

    assert asyncio.run(scenario()) == ["early", "late"]
