"""How an emulated application answers one request: wait, perhaps fail, make its calls, answer."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass

from windvane.kit.clock import Clock
from windvane.local.emulator.calls import Caller
from windvane.local.emulator.headers import Header, forwarded
from windvane.local.emulator.plan import EmulatedWorkload
from windvane.local.emulator.spec import EmulateSpec, Failure, parse_emulate

_CALL_FAILED = Failure(rate=1, status=500)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a face has to send: a body of so many bytes, or a failure."""

    size: int
    failure: Failure | None = None


class Application:
    """One emulated workload. `reconfigure` takes effect with the next request."""

    def __init__(self, workload: EmulatedWorkload, rng: random.Random, clock: Clock) -> None:
        self._rng, self._clock = rng, clock
        self._background: list[asyncio.Task[None]] = []
        self.workload = workload
        self.spec: EmulateSpec = parse_emulate(workload.emulate, workload.key)
        self._caller = Caller(workload, rng)

    async def reconfigure(self, workload: EmulatedWorkload) -> None:
        """Behave by a new plan from now on (BadInputError: nothing changed)."""
        spec = parse_emulate(workload.emulate, workload.key)
        if workload.outbound != self.workload.outbound or workload.http_proxy != self.workload.http_proxy:
            former, self._caller = self._caller, Caller(workload, self._rng)
            await former.close()
        self._caller.trouble = workload.trouble
        self.workload, self.spec = workload, spec
        self.start_background()

    async def answer(self, path: str, headers: Sequence[Header]) -> Answer:
        """The answer to a request for `path` (HTTP path, gRPC method; "/" for TCP)."""
        endpoint = self.spec.endpoint(path)
        assert endpoint.latency is not None
        assert endpoint.response is not None
        trouble = self.workload.trouble
        await self._clock.sleep(endpoint.latency.sample(self._rng) + trouble.delayed(self._rng))
        failure = self._pick(trouble.failures(endpoint.errors or ()))
        if failure is None and endpoint.calls:
            done = await self._caller.run(endpoint.calls, self._handed_on(headers))
            failure = None if done else _CALL_FAILED
        return Answer(endpoint.response.sample(self._rng), failure)

    def _handed_on(self, headers: Sequence[Header]) -> tuple[Header, ...]:
        wanted = self.spec.trace_headers
        remembered = wanted.share >= 1 or self._rng.random() < wanted.share
        return forwarded(headers, self.spec.forward_headers, wanted.names if remembered else ())

    def _pick(self, failures: Sequence[Failure]) -> Failure | None:
        chance = self._rng.random() if failures else 1.0
        for failure in failures:
            chance -= failure.rate
            if chance < 0:
                return failure
        return None

    def start_background(self) -> None:
        """(Re)start the calls the application makes of itself."""
        self._stop_background()
        self._background = [
            asyncio.create_task(self._repeat(job.every, index)) for index, job in enumerate(self.spec.background)
        ]

    async def _repeat(self, every: float, index: int) -> None:
        while True:
            await self._clock.sleep(every)
            await self._caller.run(self.spec.background[index].calls, ())

    def _stop_background(self) -> None:
        for task in self._background:
            task.cancel()
        self._background = []

    async def close(self) -> None:
        self._stop_background()
        await self._caller.close()
