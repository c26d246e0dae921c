"""The tail: every line once, whatever its time, merges between, several followers, slow ones, going on."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from telemetry_rows import store_entries, store_logs

from windvane.kit.clock import SystemClock
from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.filters.parse import parse
from windvane.tracing.logs.sources import SOURCES, chosen
from windvane.tracing.logs.tail import Tail, TailSettings, Told

NOW = 1_790_000_000 * 10**9
FAST = TailSettings(interval=0.01)


@pytest.fixture
def engine(empty_logs: Engine) -> Engine:
    return empty_logs


async def _take(told: AsyncIterator[Told | None], count: int) -> list[Told]:
    """The next so many events; silence is not one."""
    found = []
    async with asyncio.timeout(60):
        while len(found) < count:
            one = await anext(told)
            if one is not None:
                found.append(one)
    return found


def _bodies(told: list[Told]) -> list[str]:
    return [one.line.body for one in told if one.line is not None]


async def _following(tail: Tail, told: AsyncIterator[Told | None]) -> None:
    """Let a follower join: it is silent at first."""
    assert await anext(told) is None
    assert tail.followers


def _log(number: int, **given: object) -> dict[str, object]:
    return {"Timestamp": NOW + number, "Body": f"line {number}", **given}


def test_late_lines_merges_and_both_tables(engine: Engine) -> None:
    store_logs(engine, [_log(0)])

    async def run() -> None:
        tail = Tail(engine, SystemClock(), FAST)
        told = tail.follow(parse(""), patience=0.05)
        await _following(tail, told)
        store_logs(engine, [_log(1), _log(2)])
        store_logs(engine, [_log(-(10**14))])  # of another day, long ago
        store_entries(engine, [{"Timestamp": NOW, "Method": "GET", "Path": "/x", "ResponseCode": 200}])
        engine.command("OPTIMIZE TABLE otel_logs FINAL")
        first = await _take(told, 4)
        assert sorted(_bodies(first)) == sorted(["line 1", "line 2", f"line {-(10**14)}", "GET /x 200 -"])
        engine.command("OPTIMIZE TABLE otel_logs FINAL")
        assert await anext(told) is None
        store_logs(engine, [_log(3)])
        assert _bodies(await _take(told, 1)) == ["line 3"]
        await told.aclose()
        assert tail.followers == 0

    asyncio.run(run())


def test_followers_share_readings_and_get_their_own(engine: Engine) -> None:
    async def run() -> None:
        tail = Tail(engine, SystemClock(), TailSettings(interval=0.01, batch=3))
        wanted = {"line": 10, "severity>=error": 2, "kind:access": 0, '"line 7"': 1}
        told = {q: tail.follow(parse(q), patience=0.05) for q in wanted}
        for one in told.values():
            await _following(tail, one)
        store_logs(engine, [_log(i, SeverityNumber=17 if i in (3, 4) else 9) for i in range(10)])
        for q, count in wanted.items():
            assert len(_bodies(await _take(told[q], count))) == count
            assert await anext(told[q]) is None, q
        for one in told.values():
            await one.aclose()

    asyncio.run(run())


def test_a_slow_follower_is_told_what_it_missed(engine: Engine) -> None:
    async def run() -> None:
        tail = Tail(engine, SystemClock(), TailSettings(interval=0.01, lines=5))
        slow, quick = tail.follow(parse(""), patience=0.05), tail.follow(parse('"line 19"'), patience=0.05)
        await _following(tail, slow)
        await _following(tail, quick)
        store_logs(engine, [_log(i) for i in range(20)])
        assert _bodies(await _take(quick, 1)) == ["line 19"]
        got = await _take(slow, 6)
        assert [one.skipped for one in got] == [0, 0, 0, 0, 0, 15]
        store_logs(engine, [_log(20)])
        assert _bodies(await _take(slow, 1)) == ["line 20"]
        again = tail.follow(parse(""), after=got[4].position)
        assert len(_bodies(await _take(again, 5))) == 5
        for one in (slow, quick, again):
            await one.aclose()

    asyncio.run(run())


def test_wrong_positions_and_conditions_are_told(engine: Engine) -> None:
    async def run() -> None:
        tail = Tail(engine, SystemClock(), FAST)
        for q, after in (("severity>x", ""), ("", "nowhere"), ("", "1.2-3")):
            with pytest.raises(BadInputError):
                await anext(tail.follow(parse(q), after=after))
        told = tail.follow(parse(""), after="99.0-99.0", patience=0.01)  # of a store that had more
        assert await anext(told) is None
        tail.close()
        with pytest.raises(StopAsyncIteration):
            await anext(told)

    asyncio.run(run())


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(1, 4), st.booleans(), st.booleans()), min_size=1, max_size=6), st.integers(0, 9))
def test_a_client_that_comes_and_goes_gets_every_line_once(
    engine: Engine, inserts: list[tuple[int, bool, bool]], leave: int
) -> None:
    for source in SOURCES:
        engine.command(f"TRUNCATE TABLE {source.table}")
    numbers = itertools.count()

    async def run() -> list[str]:
        tail = Tail(engine, SystemClock(), TailSettings(interval=0.001, batch=2))
        told = tail.follow(parse(""), patience=0.02)
        await _following(tail, told)
        seen: list[Told] = []
        for size, access, merge in inserts:
            if access:
                entries = [
                    {"Timestamp": NOW - n, "Method": "GET", "Path": f"/{n}"} for n in itertools.islice(numbers, size)
                ]
                store_entries(engine, entries)
            else:
                store_logs(engine, [_log(-n * 10**13) for n in itertools.islice(numbers, size)])
            if merge:
                engine.command(f"OPTIMIZE TABLE {chosen('access' if access else 'log')[0].table} FINAL")
            if leave % 3 == 0 and seen:
                await told.aclose()
                told = tail.follow(parse(""), after=seen[-1].position, patience=0.02)
            seen += await _take(told, size if leave % 2 else 1)
        total = sum(size for size, _, _ in inserts)
        seen += await _take(told, total - len(seen))
        await told.aclose()
        return _bodies(seen)

    bodies = asyncio.run(run())
    assert len(bodies) == len(set(bodies)) == sum(size for size, _, _ in inserts)
