"""What is wrong with an emulated application at the moment, besides what its annotation says."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

from windvane.local.emulator.spec import Failure, lognormal

_SPREAD = 3.0
"""The 99th percentile of a delay, in medians: what is slow is not evenly so."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Durations in seconds, shares from 0 to 1.

    `delay`: median by which answers come later. `errors`: share of requests that fail with 500. `down`: it does
    not listen. `network`: by how much a round trip to its sidecar takes longer. `repeats`: how often it calls
    one of the services `repeated` again that failed.
    """

    delay: float = 0.0
    errors: float = 0.0
    down: bool = False
    network: float = 0.0
    repeats: int = 0
    repeated: tuple[str, ...] = ()

    def __add__(self, other: Trouble) -> Trouble:
        """Both at once."""
        return Trouble(
            self.delay + other.delay,
            1 - (1 - self.errors) * (1 - other.errors),
            self.down or other.down,
            self.network + other.network,
            max(self.repeats, other.repeats),
            tuple(sorted({*self.repeated, *other.repeated})),
        )

    def delayed(self, rng: random.Random) -> float:
        """By how many seconds this answer is late: lognormal."""
        return lognormal(self.delay, self.delay * _SPREAD, rng) if self.delay else 0.0

    def failures(self, own: Sequence[Failure]) -> tuple[Failure, ...]:
        """What fails: its own share of the requests, and of the others the share that this trouble makes."""
        if not self.errors:
            return tuple(own)
        left = 1 - sum(failure.rate for failure in own)
        return (*own, Failure(rate=max(0.0, left) * self.errors, status=500))


NO_TROUBLE = Trouble()
