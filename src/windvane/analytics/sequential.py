"""Tests that hold however often one looks at them.

Each gives the logarithm of an e-value: a quantity whose mean is at most one while nothing is wrong, at any time
one chooses to stop. By Ville's inequality it ever reaches 1/alpha with a chance of at most alpha, so a verdict at
that threshold is right however many looks came before.

- `log_bayes_factor`: of all errors, how many fell in the canary (Lindon, Sanden, Shirikian, arXiv:2205.14762):
  the total cancels, and with it outages that both arms share.
- `RatioTest`: the same for one side only, where the canary's share of the traffic changes on the way.
- `msprt`: the mixture sequential probability ratio test of a mean (Johari et al., arXiv:1512.04922), with its
  confidence sequence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

CONCENTRATION = 10.0
"""Weight of the two-sided mixture's prior, in errors."""
SPREAD = 0.8
"""Standard deviation of the prior on the logarithm of a ratio of rates: doubling and tripling are expected."""
_NODES = 48
_WIDEST = 4.0
_NEVER = 1e4


def log_bayes_factor(base: int, base_errors: int, canary: int, canary_errors: int) -> float:
    """Logarithm of the Bayes factor against equal error rates, two-sided.

    `base` and `canary` are requests. Under equal rates an error is the canary's with p0 = canary / (base + canary);
    the alternative mixes over Beta(10 p0, 10 (1 - p0)).
    """
    p0 = canary / (base + canary)
    a, b = CONCENTRATION * p0, CONCENTRATION * (1 - p0)
    likelihood = canary_errors * math.log(p0) + base_errors * math.log1p(-p0)
    return _log_beta(a + canary_errors, b + base_errors) - _log_beta(a, b) - likelihood


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


@dataclass(slots=True)
class Mixture:
    """Log-likelihood ratios of what was seen, a number an alternative, against the null; mixed with a half-normal
    prior.

    The mixture's mean is at most one under every null on the near side, so that its logarithm is that of an e-value.
    """

    logs: Floats = field(default_factory=lambda: np.zeros(_NODES))

    def log_e(self, dispersion: float = 1.0, times: float = 1.0) -> float:
        """The logarithm of the e-value; `dispersion` is how many events come together on average.

        With `times` it is what so many times the data, alike in every proportion, would give.
        """
        logs = self.logs * (times / dispersion)
        top = float(logs.max())
        return top + math.log(float(np.dot(_WEIGHTS, np.exp(logs - top))))

    def times_to(self, threshold: float, dispersion: float = 1.0) -> float | None:
        """How many times the data, if they go on alike, reach a threshold: 1 where it is reached; None: never."""
        if not self.logs.max() > 0:
            return None
        high = 1.0
        while self.log_e(dispersion, high) < threshold:
            high *= 2
            if high > _NEVER:
                return None
        low = high / 2 if high > 1 else 1.0
        for _ in range(30):
            middle = (low + high) / 2
            low, high = (low, middle) if self.log_e(dispersion, middle) >= threshold else (middle, high)
        return high


class RatioTest(Mixture):
    """Whether the canary's rate of events is more (or, with `below`, less) than `ratio` times the baseline's.

    Given how many events there were, each is the canary's by lot; what is tested are these lots. The split of traffic
    may differ from one `add` to the next.
    """

    def __init__(self, ratio: float = 1.0, *, below: bool = False) -> None:
        super().__init__()
        self.ratio = ratio
        self._thetas = ratio * (1 / _STEPS if below else _STEPS)

    def add(self, base: float, base_events: float, canary: float, canary_events: float) -> None:
        """Count requests and events of one interval."""
        if base <= 0 or canary <= 0:
            return  # an arm without traffic says nothing of the other
        null = _share(self.ratio, base, canary)
        shares = _share(self._thetas, base, canary)
        self.logs += canary_events * np.log(shares / null) + base_events * np.log((1 - shares) / (1 - null))


class RateTest(Mixture):
    """Whether a share of requests is less than `rate`, whatever the baseline's is."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self._rates = rate / _STEPS

    def add(self, requests: float, events: float) -> None:
        """Count requests and events of one interval."""
        self.logs += events * np.log(self._rates / self.rate)
        self.logs += (requests - events) * np.log((1 - self._rates) / (1 - self.rate))


def _share(ratio: float | Floats, base: float, canary: float) -> Floats:
    """Which part of all errors is the canary's, where its rate is `ratio` times the baseline's."""
    odds = np.asarray(ratio) * (canary / base)
    share: Floats = odds / (1 + odds)
    return share


def _half_normal() -> tuple[Floats, Floats]:
    """Nodes and weights (of sum one) of a half-normal distribution, by Gauss and Legendre."""
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    places = SPREAD * _WIDEST / 2 * (nodes + 1)
    weights = weights * np.exp(-0.5 * (places / SPREAD) ** 2)
    return places, weights / weights.sum()


_PLACES, _WEIGHTS = _half_normal()
_STEPS = np.exp(_PLACES)


def first_alarm(looks: Sequence[tuple[int, int, int, int]], alpha: float) -> int:
    """The number (from 1) of the look at which the canary's errors are proven to be more, or 0.

    Looks are cumulative: requests and errors of the baseline, requests and errors of the canary.
    """
    test, before = RatioTest(), (0, 0, 0, 0)
    for number, look in enumerate(looks, 1):
        base, base_errors, canary, canary_errors = (now - then for now, then in zip(look, before, strict=True))
        test.add(base, base_errors, canary, canary_errors)
        if test.log_e() >= -math.log(alpha):
            return number
        before = look
    return 0


@dataclass(frozen=True, slots=True)
class MeanTest:
    """A sequential test of a mean: log e-value of its being `null`, always-valid p, and confidence sequence."""

    log_e: float
    p: float
    low: float
    high: float


def msprt(difference: float, variance: float, tau2: float, alpha: float, null: float = 0.0) -> MeanTest:
    """The mixture test of one look, two-sided: estimate, its variance, and the prior's variance `tau2`."""
    total = variance + tau2
    away = difference - null
    log_e = 0.5 * math.log(variance / total) + tau2 * away * away / (2 * variance * total)
    half = math.sqrt(variance * total / tau2 * (-2 * math.log(alpha) + math.log(total / variance)))
    return MeanTest(log_e, min(1.0, math.exp(-log_e)), difference - half, difference + half)


def log_e_above(difference: float, variance: float, tau2: float, null: float = 0.0) -> float:
    """Logarithm of the e-value against a mean of at most `null`: the prior is the upper half of a normal."""
    from scipy.special import log_ndtr  # noqa: PLC0415  # loaded when first needed

    total = variance + tau2
    away = difference - null
    two_sided = 0.5 * math.log(variance / total) + tau2 * away * away / (2 * variance * total)
    return two_sided + math.log(2) + float(log_ndtr(away * math.sqrt(tau2 / (variance * total))))
