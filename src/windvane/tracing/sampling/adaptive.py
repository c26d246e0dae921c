"""Probabilities that follow traffic: each operation is sampled about so many times a second.

Once an interval the roots that arrived in the newest whole interval (`delay` back, so that clients had
the last probabilities all through it) are counted by service and operation, and each probability takes
one step towards the target, as Jaeger's post-aggregator does it
(internal/sampling/samplingstrategy/adaptive/post_aggregator.go): down at once, up to twice as much at
most, not at all within `tolerance` of the target. Rates of several intervals are averaged with weights
that fall from the newest by the fourth power. Jaeger counts what its collector receives; here the store is
asked, so a restart goes on from the probabilities in table `sampling_probabilities`.

A root whose client did not sample with the probability that it was told does not move it: Jaeger's clients
tell what they sampled with in `sampler.param`, OpenTelemetry's do not and are taken to have followed.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TypeAlias

import pandas as pd

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.kit.metrics import Metrics
from windvane.kit.values import parse_duration
from windvane.store.api import Engine
from windvane.tracing.sampling.strategies import PerOperation, Strategy

log = logging.getLogger(__name__)

Operation: TypeAlias = tuple[str, str]
"""Service and operation."""

_SECOND = 1_000_000_000
_RISE = 2.0
_EXACT = 1e-10


@dataclass(frozen=True, slots=True)
class AdaptiveSettings:
    """Jaeger's options and defaults; times in seconds, rates in traces a second."""

    target: float = 1.0
    """Samples a second that every operation shall have."""
    tolerance: float = 0.3
    """So far from the target, as a part of it, nothing is changed."""
    interval: float = 60.0
    buckets: int = 1
    """So many intervals are averaged."""
    delay: float = 120.0
    """How old the newest interval is: twice as long as clients wait between two questions."""
    initial: float = 0.001
    """Probability of operations that were not seen before."""
    minimum: float = 1e-5
    least: float = 1 / 60
    """Clients sample so many traces a second of an operation whatever its probability."""

    def __post_init__(self) -> None:
        wrong = [
            name
            for name, right in (
                ("target", self.target > 0), ("tolerance", self.tolerance >= 0), ("interval", self.interval >= 1),
                ("buckets", 1 <= self.buckets <= 100), ("delay", self.delay >= 0), ("initial", 0 < self.initial <= 1),
                ("minimum", 0 < self.minimum <= 1), ("least", self.least >= 0),
            )
            if not right
        ]  # fmt: skip
        if wrong:
            raise BadInputError(f"adaptive sampling: {', '.join(wrong)} out of range")

    @classmethod
    def parse(cls, text: str) -> AdaptiveSettings:
        """Read `on`, or `target=2,interval=30s,minimum=0.0001`."""
        if text == "on":
            return cls()
        given: dict[str, float | int] = {}
        known = [one.name for one in fields(cls)]
        for word in text.split(","):
            name, separator, value = word.strip().partition("=")
            if not separator or name not in known:
                raise BadInputError(f"adaptive sampling: {word!r} is not one of {', '.join(known)} with a value")
            given[name] = _number(name, value)
        return cls(**given)  # type: ignore[arg-type]


def _number(name: str, text: str) -> float | int:
    if name in ("interval", "delay"):
        return parse_duration(text)
    try:
        return int(text) if name == "buckets" else float(text)
    except ValueError:
        raise BadInputError(f"adaptive sampling: {name} must be a number, not {text!r}") from None


def weighted_rate(rates: Sequence[float]) -> float:
    """The mean of rates, newest first, with weights n⁴, (n-1)⁴ … 1."""
    weights = [float(place**4) for place in range(len(rates), 0, -1)]
    return sum(rate * weight for rate, weight in zip(rates, weights, strict=True)) / sum(weights) if rates else 0.0


def step(settings: AdaptiveSettings, probability: float, rate: float) -> float:
    """The next probability of an operation that was sampled `rate` times a second with `probability`."""
    if abs(rate - settings.target) / settings.target < settings.tolerance:
        return probability
    factor = _RISE if rate < _EXACT else min(_RISE, settings.target / rate)
    return min(1.0, max(settings.minimum, probability * factor))


@dataclass(frozen=True, slots=True)
class Throughput:
    """Sampled roots of one operation in an interval; `followed` is false when clients say they sampled otherwise."""

    count: int
    followed: bool = True


Bucket: TypeAlias = Mapping[Operation, Throughput]


def advance(
    settings: AdaptiveSettings, probabilities: Mapping[Operation, float], buckets: Sequence[Bucket]
) -> dict[Operation, float]:
    """The probabilities after one more interval; `buckets` are the last intervals, the newest first.

    Operations that no bucket has keep nothing: they start anew. One that was silent in the newest interval rises.
    """
    found: dict[Operation, float] = {}
    for operation in dict.fromkeys(key for bucket in buckets for key in bucket):
        old = probabilities.get(operation, settings.initial)
        seen = [bucket[operation] for bucket in buckets if operation in bucket]
        rate = weighted_rate([one.count / settings.interval for one in seen[: settings.buckets]])
        if operation not in buckets[0]:
            rate = 0.0
        followed = seen[0].followed or operation not in probabilities
        found[operation] = step(settings, old, rate) if followed else old
    return found


class AdaptiveSampling:
    """The loop over `advance` on one store. `tick` blocks; one at a time runs."""

    def __init__(self, engine: Engine, settings: AdaptiveSettings, clock: Clock, metrics: Metrics) -> None:
        self._engine = engine
        self.settings = settings
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: deque[Bucket] = deque(maxlen=_KEPT_BUCKETS)
        self._until_ns = 0
        self.probabilities: dict[Operation, float] = {}
        self._calculated = metrics.gauge("windvane_sampling_adaptive_operations", "Operations with a probability")
        self._failures = metrics.counter(
            "windvane_sampling_adaptive_failures_total", "Calculations that failed and are repeated"
        )
        self._load()

    def of(self, service: str) -> Strategy:
        """The strategy of a service at present."""
        own = sorted((name, value) for (of, name), value in self.probabilities.items() if of == service)
        return Strategy(operations=PerOperation(self.settings.initial, self.settings.least, tuple(own)))

    def counted(self) -> str:
        """SQL: the span is older than what will be counted yet."""
        return f"Timestamp < fromUnixTimestamp64Nano({self._until_ns})"

    async def run(self) -> None:
        """Calculate once an interval until cancelled."""
        while True:
            await self._clock.sleep(self.settings.interval)
            try:
                await asyncio.to_thread(self.tick)
            except WindvaneError as error:
                self._failures.inc()
                log.warning("adaptive sampling: the probabilities stay as they are: %s", error)

    def tick(self) -> None:
        """Count the newest interval and take a step."""
        with self._lock:
            until = self._clock.now_ns() - int(self.settings.delay * _SECOND)
            if until - self._until_ns < int(self.settings.interval * _SECOND) // 2:
                return
            self._buckets.appendleft(self._count(until))
            self._until_ns = until
            self.probabilities = advance(self.settings, self.probabilities, list(self._buckets))
            self._calculated.set(len(self.probabilities))
            self._save()

    def _count(self, until: int) -> Bucket:
        frame = self._engine.query(_ROOTS, {"low": until - int(self.settings.interval * _SECOND), "high": until})
        rows = frame.itertuples(index=False, name=None)
        return {
            (service, name): Throughput(int(count), self._followed((service, name), params))
            for service, name, count, params in rows
        }

    def _followed(self, operation: Operation, params: Sequence[str]) -> bool:
        """Whether the roots were sampled with the probability last told, as far as they say."""
        told = self.probabilities.get(operation)
        said = [float(param) for param in params if param]
        return not said or told is None or any(abs(one - told) < 1e-6 for one in said)

    def _load(self) -> None:
        frame = self._engine.query(_SAVED)
        for service, name, value in frame.itertuples(index=False, name=None):
            self.probabilities[service, name] = float(value)

    def _save(self) -> None:
        if self.probabilities:
            rows = [(*operation, value) for operation, value in self.probabilities.items()]
            frame = pd.DataFrame(rows, columns=["Service", "Operation", "Probability"])
            frame["Calculated"] = pd.Timestamp(self._clock.now_ns(), unit="ns").floor("ms")
            self._engine.insert_frame("sampling_probabilities", frame)


_KEPT_BUCKETS = 10
_ROOTS = """
SELECT ServiceName, SpanName, uniqExact(TraceId) AS Roots,
    groupUniqArray(10)(if(SpanAttributes['sampler.type'] = 'probabilistic' AND
        toFloat64OrNull(SpanAttributes['sampler.param']) IS NOT NULL, SpanAttributes['sampler.param'], '')) AS Params
FROM otel_traces
WHERE ParentSpanId = '' AND Timestamp >= fromUnixTimestamp64Nano({low:Int64})
    AND Timestamp < fromUnixTimestamp64Nano({high:Int64})
GROUP BY ServiceName, SpanName ORDER BY ServiceName, SpanName"""
_SAVED = """
SELECT Service, Operation, Probability FROM sampling_probabilities
WHERE Calculated = (SELECT max(Calculated) FROM sampling_probabilities) ORDER BY Service, Operation"""
