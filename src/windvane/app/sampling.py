"""Sampling of one tenant, joined: strategies for clients, from a file and from traffic; policies for stored traces."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx

from windvane.api.windvane.sampling import (
    AdaptiveOperation,
    SamplingState,
    SourceState,
    TailState,
    outcome_model,
)
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, UnavailableError
from windvane.kit.metrics import Metrics
from windvane.kit.reload import Reloaded
from windvane.kit.strict_yaml import read_text
from windvane.store.api import Engine
from windvane.tracing.sampling.adaptive import AdaptiveSampling, AdaptiveSettings
from windvane.tracing.sampling.policies import TailSampling
from windvane.tracing.sampling.policy_file import read
from windvane.tracing.sampling.strategies import MAX_TEXT, Strategies, Strategy, parse_strategies
from windvane.tracing.sampling.tail import TailSampler
from windvane.tracing.sampling.trial import outcome

EVERYTHING = Strategy(probability=1.0)
"""Where nothing is said of sampling, as Jaeger's all-in-one does it."""
_DAY = 86_400
_FETCH_SECONDS = 5.0
_LOOK_SECONDS = 2.0

Keep = Callable[[contextlib.AsyncExitStack, Coroutine[Any, Any, None]], None]


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """What a server is told of sampling; every tenant has it."""

    strategies: str | None = None
    """A file in the format of Jaeger's strategies, or its URL; read again when it changes."""
    adaptive: AdaptiveSettings | None = None
    """Probabilities from traffic, for services that `strategies` does not name."""
    tail: Path | None = None
    """Policies that say which stored traces are kept; read again when they change."""

    def absolute(self) -> SamplingSettings:
        """The same with paths that do not depend on the working directory."""
        source = self.strategies
        if source is not None and not _is_url(source):
            source = str(Path(source).resolve())
        return replace(self, strategies=source, tail=self.tail.resolve() if self.tail else None)


class Sampling:
    """The parts over one store. `BadInputError` for a file that cannot be used: a server does not start on it."""

    def __init__(
        self,
        settings: SamplingSettings,
        engine: Engine,
        *,
        clock: Clock,
        metrics: Metrics,
        counted: Sequence[Callable[[], str]] = (),
    ) -> None:
        """`counted`: SQL conditions on spans that have been counted by everybody who counts them."""
        self._settings = settings
        self._engine = engine
        self._clock = clock
        self._answers = metrics.counter(
            "windvane_sampling_strategies_answered_total", "Strategies that clients asked for", ("protocol",)
        )
        self._bad = metrics.gauge("windvane_sampling_file_bad", "1 while a newer text of it is refused", ("file",))
        self.file = self._strategies() if settings.strategies else None
        self.adaptive = (
            AdaptiveSampling(engine, settings.adaptive, clock, metrics) if settings.adaptive is not None else None
        )
        everybody = [*counted, *([self.adaptive.counted] if self.adaptive else [])]
        self.policies = self._policies() if settings.tail else None
        self.tail = (
            TailSampler(
                engine,
                self.policies.value,
                clock=clock,
                metrics=metrics,
                counted=lambda: " AND ".join(["1", *(f"({one()})" for one in everybody)]),
            )
            if self.policies
            else None
        )

    def _strategies(self) -> Reloaded[Strategies]:
        source = str(self._settings.strategies)
        before = Strategies() if _is_url(source) else None  # who serves it may start later than this
        return Reloaded(source, fetcher(source), lambda text: _named(source, text), self._clock, before)

    def _policies(self) -> Reloaded[TailSampling]:
        path = Path(str(self._settings.tail))
        return Reloaded(str(path), lambda: read_text(path), lambda text: read(text, str(path)), self._clock)

    def start(self, stack: contextlib.AsyncExitStack, keep: Keep) -> None:
        """Run what is in use until the stack unwinds."""
        if self.file is not None or self.policies is not None:
            keep(stack, self._watch())
        if self.adaptive is not None:
            keep(stack, self.adaptive.run())
        if self.tail is not None:
            keep(stack, self.tail.run())

    async def _watch(self) -> None:
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            await asyncio.to_thread(self.reload)

    def reload(self) -> None:
        """Read both files again, as far as they changed."""
        if self.file is not None:
            self.file.check()
            self._bad.labels("strategies").set(bool(self.file.error))
        if self.policies is not None and self.tail is not None:
            if self.policies.check():
                self.tail.sampling = self.policies.value
            self._bad.labels("tail").set(bool(self.policies.error))

    def strategy(self, service: str) -> Strategy:
        """What a client is told for a service."""
        if self.file is not None and (self.adaptive is None or service in self.file.value.services):
            return self.file.value.of(service)
        return EVERYTHING if self.adaptive is None else self.adaptive.of(service)

    def answered(self, protocol: str) -> None:
        """A client was told."""
        self._answers.labels(protocol).inc()

    def state(self) -> SamplingState:
        """All of it, for the API."""
        return SamplingState(
            strategies=None if self.file is None else _source(self.file, self.file.value.warnings),
            adaptive=None if self.adaptive is None else _operations(self.adaptive),
            tail=self._tail_state(),
        )

    def _tail_state(self) -> TailState | None:
        if self.policies is None:
            return None
        since = self._clock.now_ns() // 10**9 - _DAY
        return TailState(
            file=_source(self.policies, ()),
            policies=[policy.name for policy in self.policies.value.policies],
            last_day=outcome_model(outcome(self._engine, since)),
        )


def _source(file: Reloaded[Any], warnings: Sequence[str]) -> SourceState:
    return SourceState(source=file.name, loaded_at=file.loaded_ns / 1e9, error=file.error, warnings=list(warnings))


def _operations(adaptive: AdaptiveSampling) -> list[AdaptiveOperation]:
    return [
        AdaptiveOperation(service=service, operation=operation, probability=probability)
        for (service, operation), probability in sorted(adaptive.probabilities.items())
    ]


def _named(source: str, text: str) -> Strategies:
    try:
        return parse_strategies(text)
    except BadInputError as error:
        raise BadInputError(f"{source}: {error.message}") from None


def _is_url(source: str) -> bool:
    return source.startswith(("http://", "https://"))


def fetcher(source: str) -> Callable[[], str]:
    """How the text of a file or URL is had; it raises `UnavailableError` when it cannot be, now."""

    def download() -> str:
        try:
            response = httpx.get(source, timeout=_FETCH_SECONDS, follow_redirects=True)
            response.raise_for_status()
        except httpx.HTTPError as error:
            raise UnavailableError(f"{source}: {error}") from None
        return response.text[: MAX_TEXT + 1]

    return download if _is_url(source) else lambda: read_text(Path(source))
