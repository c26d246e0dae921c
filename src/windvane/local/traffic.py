"""Run as `python -m windvane.local.traffic`: requests at Poisson times, whatever the answers do (open loop).

The schedule is made ahead from the rate alone, so a slow mesh meets the same load as a fast one. A
process of its own, because it must count exactly: what was written to the gateway is `sent`; what
was never sent (too many waiting, no connection) is counted apart. The counts are kept in a JSON
file while it runs and are final after SIGTERM or the end of `--duration`.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import random
import signal
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import orjson
import uvloop
import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from windvane.kit.clock import Clock, SystemClock
from windvane.kit.errors import BadInputError
from windvane.kit.values import Address, parse_duration, parse_size
from windvane.local.files import write_whole
from windvane.local.http1 import HttpClient, SendError, encode_request

_DRAIN = 20.0
_TIMEOUT = 15.0


def _text(parse: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: parse(value) if isinstance(value, str) else value)


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Journey(_Strict):
    """One kind of request; `share` is relative to the others of the same user."""

    path: Annotated[str, Field(pattern=r"^/\S*$")]
    method: Annotated[str, Field(pattern="^[A-Z]+$")] = "GET"
    bytes: Annotated[int, _text(parse_size), Field(ge=0, le=16 << 20)] = 0
    share: Annotated[float, Field(gt=0)] = 1.0


class User(_Strict):
    """A type of user: its name goes into the header `end-user`, its share of requests is relative."""

    name: str
    share: Annotated[float, Field(gt=0)] = 1.0
    headers: dict[str, str] = {}
    journeys: Annotated[tuple[Journey, ...], Field(min_length=1)]


class Day(_Strict):
    """The daily shape: a sine around the mean rate, `trough` of it at the quietest hour. A run begins at the mean."""

    length: Annotated[float, _text(parse_duration), Field(gt=0)] = 86_400.0
    trough: Annotated[float, Field(ge=0, le=1)] = 0.4

    def factor(self, seconds: float) -> float:
        """The rate at a time since the start, relative to the mean; its mean over a day is 1."""
        return 1 + (1 - self.trough) * math.sin(2 * math.pi * seconds / self.length)

    @property
    def peak(self) -> float:
        return 2 - self.trough


class TrafficProfile(_Strict):
    """Who sends what: a scenario's `traffic.yaml`."""

    day: Day = Day()
    users: Annotated[tuple[User, ...], Field(min_length=1)] = (User(name="visitor", journeys=(Journey(path="/"),)),)

    @classmethod
    def load(cls, path: Path) -> TrafficProfile:
        """Read a file; BadInputError names it and the wrong field."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
        except (yaml.YAMLError, OSError, BadInputError) as error:
            raise BadInputError(f"{path}: {error}") from None
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
            raise BadInputError(f"{path}: {wrong}") from None


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
                **{name: getattr(self, name) for name in self.__slots__ if not name.startswith("latency")},
                "outcomes": dict(sorted(self.outcomes.items())),
                "users": dict(sorted(self.users.items())),
                "latency_mean_ms": round(1e3 * self.latency_sum / answered, 3) if answered else None,
                "latency_max_ms": round(1e3 * self.latency_max, 3),
                "late_max_ms": round(1e3 * self.late_max, 3),
            },
            option=orjson.OPT_INDENT_2,
        )


@dataclass(frozen=True, slots=True)
class _Request:
    user: str
    data: bytes


def requests(profile: TrafficProfile, target: Address, rng: random.Random) -> Iterator[_Request]:
    """An endless mix of encoded requests, by the shares of users and their journeys."""
    host = str(target)
    kinds: list[_Request] = []
    weights: list[float] = []
    for user in profile.users:
        shares = sum(journey.share for journey in user.journeys)
        for journey in user.journeys:
            headers = [("end-user", user.name), ("user-agent", "windvane-traffic"), *user.headers.items()]
            data = encode_request(journey.method, journey.path, host, headers, b"x" * journey.bytes)
            kinds.append(_Request(user.name, data))
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

    async def run(self, schedule: Iterator[tuple[float, _Request]], stop: asyncio.Event) -> None:
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

    def _launch(self, request: _Request) -> None:
        self.stats.scheduled += 1
        if len(self._tasks) >= self._limit:
            self.stats.dropped += 1
            return
        task = asyncio.create_task(self._send(request))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self.stats.in_flight = len(self._tasks)

    async def _send(self, request: _Request) -> None:
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
