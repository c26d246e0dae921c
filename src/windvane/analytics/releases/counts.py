"""What two versions of a service did, counted by minute and pod: the data of a verdict.

Requests of one minute at one pod are not independent (a retry, a bad dependency, a pause of the collector): events
come in clumps. `dispersion` measures how large clumps are from how a version's share varies between minutes, which an
outage that both versions share does not touch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_PRIOR_BLOCKS = 4.0
_PRIOR_CLUMP = 2.5
"""What is believed of clumps before minutes were seen, and how many minutes outweigh it."""
_WILDEST = 25.0
"""A step between minutes counts so much at most: it may belong to an outage."""


@dataclass(frozen=True, slots=True)
class Arm:
    """One version: requests and errors as (pods x minutes), times as (minutes x buckets) counts."""

    name: str
    pods: tuple[str, ...]
    requests: Floats
    errors: Floats
    times: Floats

    @property
    def total(self) -> float:
        """Requests of all pods and minutes."""
        return float(self.requests.sum())

    @property
    def failed(self) -> float:
        """Errors of all pods and minutes."""
        return float(self.errors.sum())

    @property
    def rate(self) -> float:
        """Share of errors, 0 without requests."""
        return self.failed / self.total if self.total else 0.0

    def take(self, minutes: slice) -> Arm:
        """Only some minutes."""
        return Arm(self.name, self.pods, self.requests[:, minutes], self.errors[:, minutes], self.times[minutes])


@dataclass(frozen=True, slots=True)
class Counts:
    """Both versions over the same minutes: ends of minutes (seconds since the epoch), and the buckets' upper bounds
    (ms).
    """

    ends: Floats
    bounds: Floats
    base: Arm
    canary: Arm
    notes: Sequence[str] = field(default_factory=tuple)

    def take(self, minutes: slice) -> Counts:
        """Only some minutes."""
        return Counts(self.ends[minutes], self.bounds, self.base.take(minutes), self.canary.take(minutes), self.notes)

    @property
    def minutes(self) -> float:
        """Minutes in which both versions had requests."""
        both = (self.base.requests.sum(axis=0) > 0) & (self.canary.requests.sum(axis=0) > 0)
        return float(both.sum())


def dispersion(base_events: Floats, canary_events: Floats, base: Floats, canary: Floats) -> float:
    """How many events come together, 1 at least; events and requests of each minute.

    Two measures, of which the larger counts. Of the events of a minute the canary's are binomial, if events come
    singly, with a share that its part of the requests and one common ratio give: Pearson's chi-square over its degrees
    of freedom is then 1. A canary with little traffic shows its first clump too late for that, so that the baseline's
    own minutes count, too.
    """
    return max(_between(base_events, canary_events, base, canary), _within(base_events, base))


def _between(base_events: Floats, canary_events: Floats, base: Floats, canary: Floats) -> float:
    events = base_events + canary_events
    used = (events > 0) & (base > 0) & (canary > 0)
    if used.sum() < 2 or not canary_events[used].sum() or not base_events[used].sum():
        return _shrunk(0.0, 0.0)
    ratio = _common_ratio(base_events[used], canary_events[used], base[used], canary[used])
    odds = ratio * canary[used] / base[used]
    share = odds / (1 + odds)
    chi2 = float(((canary_events[used] - events[used] * share) ** 2 / (events[used] * share * (1 - share))).sum())
    return _shrunk(chi2, float(used.sum()) - 1)


def _within(events: Floats, requests: Floats) -> float:
    """From how one version's events vary between neighbouring minutes, slow changes of their rate left aside."""
    used = requests > 0
    events, requests = events[used], requests[used]
    if len(events) < 2 or not events.sum():
        return 1.0
    rate = float(events.sum() / requests.sum())
    steps = np.diff(events / requests) ** 2 / (rate * (1 - rate + 1e-9) * (1 / requests[1:] + 1 / requests[:-1]))
    return _shrunk(float(np.minimum(steps, _WILDEST).sum()), float(len(steps)))


def _common_ratio(base_events: Floats, canary_events: Floats, base: Floats, canary: Floats) -> float:
    """The ratio of rates that all minutes share (Mantel and Haenszel)."""
    all_ = base + canary
    above, below = float((canary_events * base / all_).sum()), float((base_events * canary / all_).sum())
    return above / below if below else 1.0


def _shrunk(chi2: float, freedom: float) -> float:
    return max(1.0, (_PRIOR_BLOCKS * _PRIOR_CLUMP + chi2) / (_PRIOR_BLOCKS + freedom))
