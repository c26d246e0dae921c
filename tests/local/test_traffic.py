"""The traffic generator: an open-loop schedule, and counts that are exactly what happened."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import statistics
import sys
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise, takewhile
from pathlib import Path

import pytest
from local_helpers import until

import windvane.local
from windvane.kit.clock import SystemClock
from windvane.kit.errors import BadInputError
from windvane.kit.values import Address
from windvane.local.emulator.behaviour import Answer
from windvane.local.emulator.headers import Header
from windvane.local.emulator.http_face import HttpFace
from windvane.local.emulator.spec import Failure
from windvane.local.profile import Day, Journey, TrafficProfile, User
from windvane.local.traffic import TrafficGenerator, TrafficRequest, TrafficStats, arrivals, requests

A = "127.0.0.1"
Respond = Callable[[str, list[Header]], Awaitable[Answer]]
Free = Callable[[], int]
SHOP = Path(windvane.local.__file__).parent / "scenarios/shop/traffic.yaml"


@asynccontextmanager
async def server(port: int, respond: Respond) -> AsyncIterator[None]:
    face = HttpFace(A, port, respond)
    await face.start()
    try:
        yield
    finally:
        await face.stop()


def schedule(count: int, gap: float, port: int) -> Iterator[tuple[float, TrafficRequest]]:
    mix = requests(TrafficProfile(), Address(A, port), random.Random(1))
    return ((index * gap, next(mix)) for index in range(count))


async def send(
    respond: Respond, port: int, *, count: int = 40, gap: float = 0.002, limit: int = 512, patience: float = 10.0
) -> TrafficStats:
    generator = TrafficGenerator(Address(A, port), SystemClock(), limit=limit, patience=patience)
    async with server(port, respond):
        await generator.run(schedule(count, gap, port), asyncio.Event())
    return generator.stats


def test_arrivals_are_poisson() -> None:
    """Counts in seconds have equal mean and variance, gaps are exponential: their standard deviation is their mean."""
    times = list(takewhile(lambda time: time < 2_000, arrivals(50, None, random.Random(3))))
    counts = Counter(int(time) for time in times)
    each = [counts[second] for second in range(2_000)]
    assert statistics.fmean(each) == pytest.approx(50, rel=0.02)
    assert statistics.variance(each) == pytest.approx(50, rel=0.1)
    gaps = [b - a for a, b in pairwise(times)]
    assert statistics.stdev(gaps) == pytest.approx(statistics.fmean(gaps), rel=0.02)


def test_a_day_has_its_peak_its_trough_and_its_mean() -> None:
    day = Day(length=1_000, trough=0.4)
    times = list(takewhile(lambda time: time < 20_000, arrivals(20, day, random.Random(3))))
    assert len(times) / 20_000 == pytest.approx(20, rel=0.02)
    hours = Counter(int(time % 1_000 // 100) for time in times)
    assert max(hours, key=hours.__getitem__) == 2
    assert min(hours, key=hours.__getitem__) == 7
    assert hours[7] / (sum(hours.values()) / 10) == pytest.approx(0.41, abs=0.03)
    assert day.factor(0) == 1


def test_the_schedule_does_not_wait_for_answers(free_port: Free) -> None:
    """No answer is given until every request has arrived: only an open loop ever gets there."""

    async def scenario() -> TrafficStats:
        arrived, everyone = 0, asyncio.Event()

        async def respond(_: str, __: list[Header]) -> Answer:
            nonlocal arrived
            arrived += 1
            if arrived == 40:
                everyone.set()
            await everyone.wait()
            return Answer(1)

        return await send(respond, free_port())

    stats = asyncio.run(scenario())
    assert (stats.sent, stats.outcomes) == (40, {"200": 40})


def test_what_was_sent_is_what_the_server_saw(free_port: Free) -> None:
    async def scenario() -> tuple[TrafficStats, Counter[str]]:
        seen: Counter[str] = Counter()
        rng = random.Random(5)

        async def respond(_: str, __: list[Header]) -> Answer:
            failure = rng.choice([None, Failure(rate=1, status=503), Failure(rate=1, reset=True)])
            seen["lost" if failure and failure.reset else str(failure.status if failure else 200)] += 1
            return Answer(10, failure)

        return await send(respond, free_port(), count=300, gap=0.0005), seen

    stats, seen = asyncio.run(scenario())
    assert stats.sent == sum(seen.values()) == 300
    assert stats.outcomes == seen
    assert stats.in_flight == 0
    assert stats.finished


def test_past_the_limit_requests_are_dropped_and_not_called_sent(free_port: Free) -> None:
    async def scenario() -> tuple[TrafficStats, int]:
        seen, done = 0, asyncio.Event()

        async def respond(_: str, __: list[Header]) -> Answer:
            nonlocal seen
            seen += 1
            await done.wait()
            return Answer(1)

        port = free_port()
        generator = TrafficGenerator(Address(A, port), SystemClock(), limit=3)
        async with server(port, respond):
            running = asyncio.create_task(generator.run(schedule(10, 0.001, port), asyncio.Event()))
            await until(lambda: generator.stats.scheduled == 10 and seen == 3)
            done.set()
            await running
        return generator.stats, seen

    stats, seen = asyncio.run(scenario())
    assert (stats.scheduled, stats.sent, stats.dropped, seen) == (10, 3, 7, 3)


def test_without_a_server_nothing_is_called_sent(free_port: Free) -> None:
    async def scenario() -> TrafficStats:
        port = free_port()
        generator = TrafficGenerator(Address(A, port), SystemClock())
        await generator.run(schedule(5, 0, port), asyncio.Event())
        return generator.stats

    stats = asyncio.run(scenario())
    assert (stats.scheduled, stats.sent, stats.not_connected) == (5, 0, 5)


def test_an_answer_too_late_is_a_timeout_and_was_sent(free_port: Free) -> None:
    async def scenario() -> TrafficStats:
        async def respond(_: str, __: list[Header]) -> Answer:
            await asyncio.Event().wait()
            raise AssertionError

        return await send(respond, free_port(), count=3, patience=0.05)

    stats = asyncio.run(scenario())
    assert (stats.sent, stats.outcomes) == (3, {"timeout": 3})


def test_a_stop_ends_the_schedule_and_waits_for_answers(free_port: Free) -> None:
    async def scenario() -> TrafficStats:
        port, stop, answer = free_port(), asyncio.Event(), asyncio.Event()

        async def respond(_: str, __: list[Header]) -> Answer:
            await answer.wait()
            return Answer(1)

        generator = TrafficGenerator(Address(A, port), SystemClock())
        async with server(port, respond):
            running = asyncio.create_task(generator.run(schedule(100_000, 0.01, port), stop))
            await until(lambda: generator.stats.sent >= 2)
            stop.set()
            answer.set()
            await running
        return generator.stats

    stats = asyncio.run(scenario())
    assert stats.outcomes == {"200": stats.sent}
    assert stats.finished


def test_users_and_journeys_come_by_their_shares() -> None:
    users = (
        User(name="many", share=3, journeys=(Journey(path="/a"), Journey(path="/b", method="POST", bytes=4))),
        User(name="few", share=1, headers={"x-tenant": "t"}, journeys=(Journey(path="/c"),)),
    )
    mix = requests(TrafficProfile(users=users), Address(A, 80), random.Random(1))
    drawn = [next(mix) for _ in range(8_000)]
    assert sum(r.user == "many" for r in drawn) / 8_000 == pytest.approx(0.75, abs=0.02)
    assert sum(b"POST /b " in r.data for r in drawn) / 8_000 == pytest.approx(0.375, abs=0.02)
    few = next(r.data for r in drawn if r.user == "few")
    assert few.startswith(b"GET /c HTTP/1.1\r\nhost: 127.0.0.1:80\r\nend-user: few\r\n")
    assert b"\r\nx-tenant: t\r\n" in few
    post = next(r.data for r in drawn if b"POST" in r.data)
    assert post.endswith(b"content-length: 4\r\n\r\nxxxx")


def test_the_shop_has_several_types_of_users() -> None:
    profile = TrafficProfile.load(SHOP)
    assert {user.name for user in profile.users} >= {"browser", "searcher", "buyer"}


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("users: []", "users: Tuple should have at least 1 item"),
        ("users: [{name: a, journeys: [{path: x}]}]", "users.0.journeys.0.path: String should match"),
        ("users: [{name: a, journeys: [{path: /, bytes: lots}]}]", "users.0.journeys.0.bytes: not a size: 'lots'"),
        ("day: {length: soon}", "day.length: not a duration: 'soon'"),
        ("nope: 1", "nope: Extra inputs are not permitted"),
        ("a: [", "while parsing a flow node"),
    ],
)
def test_a_wrong_profile_names_the_file_and_the_field(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "traffic.yaml"
    file.write_text(text)
    with pytest.raises(BadInputError) as error:
        TrafficProfile.load(file)
    assert str(file) in error.value.message
    assert told in error.value.message


@pytest.mark.parametrize("end", ["duration", "signal"])
def test_the_process_leaves_exact_counts(end: str, free_port: Free, tmp_path: Path) -> None:
    async def scenario() -> tuple[int, dict[str, object], int | None]:
        port, seen, file = free_port(), 0, tmp_path / "traffic.json"

        async def respond(_: str, __: list[Header]) -> Answer:
            nonlocal seen
            seen += 1
            return Answer(1)

        arguments = ["--target", f"{A}:{port}", "--rate", "200", "--stats", str(file), "--profile", str(SHOP)]
        if end == "duration":
            arguments += ["--duration", "500ms", "--day", "10m"]
        async with server(port, respond):
            process = await asyncio.create_subprocess_exec(sys.executable, "-m", "windvane.local.traffic", *arguments)
            if end == "signal":
                await until(lambda: seen > 20)
                process.send_signal(signal.SIGTERM)
            code = await asyncio.wait_for(process.wait(), 20)
        return seen, json.loads(file.read_bytes()), code

    seen, stats, code = asyncio.run(scenario())
    assert code == 0
    assert stats["sent"] == seen > 20
    assert stats["outcomes"] == {"200": seen}
    assert sum(stats["users"].values()) == seen  # type: ignore[attr-defined]
    assert (stats["finished"], stats["in_flight"]) == (True, 0)
