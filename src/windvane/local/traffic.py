"""Run as `python -m windvane.local.traffic`: requests at Poisson times, whatever the answers do (open loop).

The schedule is made ahead from the rate alone, so a slow mesh meets the same load as a fast one. A
process of its own, because it must count exactly: what was written to the gateway is `sent`; what
was never sent (too many waiting, no connection) is counted apart. The counts are kept in a JSON
file while it runs and are final after SIGTERM or the end of `--duration`.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import uvloop

from windvane.kit.clock import Clock, SystemClock
from windvane.kit.values import Address, parse_duration
from windvane.local.files import write_whole
from windvane.local.http1 import HttpClient, SendError, encode_request
from windvane.local.profile import Day, TrafficProfile

_DRAIN = 20.0
_TIMEOUT = 15.0


def arrivals(rate: float, day: Day | None, rng: random.Random) -> Iterator[float]:
    """Times of arrival, seconds from the start: a Poisson process of `rate` a second, shaped by `day`.

    Thinning (Lewis & Shedler 1979): candidates at the peak rate, kept with the probability rate(t)/peak.
    """
    peak = day.peak if day else 1.0
    time = 0.0
    while True:
        time += rng.expovariate(rate * peak)
        if day is None or rng.random() * peak <= day.factor(time):
            yield time


_COUNTS = ("scheduled", "sent", "dropped", "not_connected", "in_flight", "finished")


@dataclass(slots=True)
class TrafficStats:
    """What became of every scheduled request: scheduled = sent + dropped + not_connected.

    `outcomes` counts sent requests by status code, `timeout` or `lost` (connection broken before
    the answer); those in flight have none yet. Latencies are summed in seconds.
    """

    scheduled: int = 0
    sent: int = 0
    dropped: int = 0
    not_connected: int = 0
    in_flight: int = 0
    latency_sum: float = 0.0
    latency_max: float = 0.0
    late_max: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    users: Counter[str] = field(default_factory=Counter)
    finished: bool = False

    def to_json(self) -> bytes:
        answered = sum(self.outcomes.values())
        return orjson.dumps(
            {
                **{name: getattr(self, name) for name in _COUNTS},
                "outcomes": dict(sorted(self.outcomes.items())),
                "users": dict(sorted(self.users.items())),
                "latency_mean_ms": round(1e3 * self.latency_sum / answered, 3) if answered else None,
                "latency_max_ms": round(1e3 * self.latency_max, 3),
                "late_max_ms": round(1e3 * self.late_max, 3),
            },
            option=orjson.OPT_INDENT_2,
        )


@dataclass(frozen=True, slots=True)
class TrafficRequest:
    """An encoded request, and whose it is."""

    user: str
    data: bytes


def requests(profile: TrafficProfile, target: Address, rng: random.Random) -> Iterator[TrafficRequest]:
    """An endless mix of encoded requests, by the shares of users and their journeys."""
    host = str(target)
    kinds: list[TrafficRequest] = []
    weights: list[float] = []
    for user in profile.users:
        shares = sum(journey.share for journey in user.journeys)
        for journey in user.journeys:
            headers = [("end-user", user.name), ("user-agent", "windvane-traffic"), *user.headers.items()]
            data = encode_request(journey.method, journey.path, host, headers, b"x" * journey.bytes)
            kinds.append(TrafficRequest(user.name, data))
            weights.append(user.share * journey.share / shares)
    while True:
        yield from rng.choices(kinds, weights, k=256)


class TrafficGenerator:
    """Sends requests on schedule until stopped; at most `limit` are in flight, the rest is dropped and counted."""

    def __init__(self, target: Address, clock: Clock, *, limit: int = 512, patience: float = _TIMEOUT) -> None:
        self.stats = TrafficStats()
        self._clock, self._limit, self._patience = clock, limit, patience
        self._client = HttpClient(target.host, target.port, idle=limit)
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, schedule: Iterator[tuple[float, TrafficRequest]], stop: asyncio.Event) -> None:
        """Follow a schedule of (seconds from now, request) to its end or until `stop`, then await what is in flight."""
        start = self._clock.monotonic()
        for due, request in schedule:
            await self._until(start + due, stop)
            if stop.is_set():
                break
            late = self._clock.monotonic() - start - due
            self.stats.late_max = max(self.stats.late_max, late)
            self._launch(request)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_DRAIN)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._client.close()
        self.stats.finished = True

    async def _until(self, moment: float, stop: asyncio.Event) -> None:
        """Sleep in short naps, so that a stop is heard; at least give other tasks a turn."""
        while not stop.is_set():
            left = moment - self._clock.monotonic()
            await self._clock.sleep(min(max(left, 0), 0.1))
            if left <= 0.1:
                return

    def _launch(self, request: TrafficRequest) -> None:
        self.stats.scheduled += 1
        if len(self._tasks) >= self._limit:
            self.stats.dropped += 1
            return
        task = asyncio.create_task(self._send(request))
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        self.stats.in_flight = len(self._tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        self.stats.in_flight = len(self._tasks)

    async def _send(self, request: TrafficRequest) -> None:
        started = self._clock.monotonic()
        try:
            connection = await self._client.connect()
        except SendError:
            self.stats.not_connected += 1
            return
        self.stats.sent += 1
        self.stats.users[request.user] += 1
        outcome = "lost"
        try:
            async with asyncio.timeout(self._patience):
                outcome = str((await self._client.request(request.data, connection)).status)
        except TimeoutError:
            outcome = "timeout"
        except SendError:
            outcome = "lost"
        finally:
            self.stats.outcomes[outcome] += 1
        took = self._clock.monotonic() - started
        self.stats.latency_sum += took
        self.stats.latency_max = max(self.stats.latency_max, took)


async def _keep_stats(stats: TrafficStats, path: Path, clock: Clock) -> None:
    while True:
        write_whole(path, stats.to_json())
        await clock.sleep(0.5)


async def _main(options: argparse.Namespace) -> None:
    clock, rng = SystemClock(), random.Random(options.seed)
    profile = TrafficProfile.load(options.profile) if options.profile else TrafficProfile()
    day = None if options.day == "none" else profile.day
    if day is not None and options.day:
        day = Day(length=parse_duration(options.day), trough=day.trough)
    target, stop = Address.parse(options.target), asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    times = arrivals(options.rate, day, rng)
    if options.duration:
        times = _until_end(times, parse_duration(options.duration))
    generator = TrafficGenerator(target, clock, limit=options.in_flight)
    keeper = asyncio.create_task(_keep_stats(generator.stats, options.stats, clock))
    await generator.run(zip(times, requests(profile, target, rng), strict=False), stop)
    keeper.cancel()
    write_whole(options.stats, generator.stats.to_json())


def _until_end(times: Iterator[float], end: float) -> Iterator[float]:
    for time in times:
        if time > end:
            return
        yield time


def main(arguments: Sequence[str] | None = None) -> None:
    """Parse the command line and send until told to stop."""
    parser = argparse.ArgumentParser(prog="windvane.local.traffic", description="Open-loop traffic.")
    parser.add_argument("--target", required=True, help="host:port of the ingress gateway")
    parser.add_argument("--profile", type=Path, help="YAML: users, their journeys, the shape of the day")
    parser.add_argument("--rate", type=float, default=50.0, help="mean requests a second")
    parser.add_argument("--duration", help="stop after this time, for example 60s")
    parser.add_argument("--day", help="length of a day, for example 10m, or none for an even rate")
    parser.add_argument("--stats", type=Path, required=True, help="JSON file kept up to date")
    parser.add_argument("--in-flight", type=int, default=512, help="most requests waiting at once")
    parser.add_argument("--seed", type=int, help="for the same arrivals again")
    uvloop.run(_main(parser.parse_args(arguments)))


if __name__ == "__main__":
    main()
