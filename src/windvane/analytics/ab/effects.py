"""Differences between two arms of an A/B test, B minus A, with intervals.

One value a unit (a user, a session): whatever is randomised is what is counted.

- `sample_ratio`: Pearson's chi-square of the sizes of arms; below `MISMATCH` the assignment is broken and no effect may
  be believed (Fabijan et al., KDD 2019).
- `mean_effect`: Welch's test.
- `cuped`: the same with what is explained by a value from before the test taken off (Deng et al., WSDM 2013).
- `ratio_effect`: a sum over a sum (clicks per view), its variance by the delta method (Deng et al., KDD 2018).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from windvane.kit.errors import BadInputError

Floats = NDArray[np.float64]

MISMATCH = 0.001
"""P-value of the split below which a test is not evaluated."""
_UNITS = 2


@dataclass(frozen=True, slots=True)
class Effect:
    """Means of both arms, their difference with its interval at `confidence`, and the p-value of its being zero.

    `shrunk` is the share of the variance that a covariate explained (0 without one).
    """

    a: float
    b: float
    effect: float
    low: float
    high: float
    p: float
    confidence: float = 0.95
    shrunk: float = 0.0

    @property
    def relative(self) -> float | None:
        """The difference as a share of A's mean."""
        return self.effect / abs(self.a) if self.a else None


def sample_ratio(counts: Sequence[int], weights: Sequence[float]) -> float:
    """P-value of arms of these sizes, where units were to be divided by `weights`."""
    from scipy.special import chdtrc  # noqa: PLC0415  # loaded when first needed

    if len(counts) != len(weights) or len(counts) < 2 or min(weights) <= 0:
        raise BadInputError("the split of traffic needs two arms at least, and a weight above zero for each")
    total, whole = sum(counts), sum(weights)
    if not total:
        return 1.0
    expected = [total * weight / whole for weight in weights]
    chi2 = sum((count - wanted) ** 2 / wanted for count, wanted in zip(counts, expected, strict=True))
    return float(chdtrc(len(counts) - 1, chi2))


def mean_effect(a: Floats, b: Floats, confidence: float = 0.95) -> Effect:
    """Welch's test of the difference of means."""
    _enough(a, b)
    parts = [float(arm.var(ddof=1)) / len(arm) for arm in (a, b)]
    freedom = _freedom(parts, [len(a), len(b)])
    means = float(a.mean()), float(b.mean())
    return _effect(means, means[1] - means[0], sum(parts), freedom, confidence)


def cuped(a: Floats, b: Floats, before_a: Floats, before_b: Floats, confidence: float = 0.95) -> Effect:
    """The difference of means, adjusted by the same units' values before the test."""
    if len(a) != len(before_a) or len(b) != len(before_b):
        raise BadInputError("every unit needs its value before the test")
    _enough(a, b)
    within = np.concatenate([before_a - before_a.mean(), before_b - before_b.mean()])
    spread = float(within @ within)
    if not spread:
        return mean_effect(a, b, confidence)
    centred = np.concatenate([a - a.mean(), b - b.mean()])
    theta = float(within @ centred) / spread
    middle = float(np.concatenate([before_a, before_b]).mean())
    adjusted = [arm - theta * (before - middle) for arm, before in ((a, before_a), (b, before_b))]
    found = mean_effect(adjusted[0], adjusted[1], confidence)
    plain, rest = float(centred @ centred), float(((centred - theta * within) ** 2).sum())
    return Effect(float(a.mean()), float(b.mean()), found.effect, found.low, found.high, found.p, confidence,
                  1 - rest / plain if plain else 0.0)  # fmt: skip


def ratio_effect(a: tuple[Floats, Floats], b: tuple[Floats, Floats], confidence: float = 0.95) -> Effect:
    """The difference of ratios: each arm is its units' numerators and denominators."""
    (first, first_error), (second, second_error) = _ratio(*a), _ratio(*b)
    freedom = _freedom([first_error, second_error], [len(a[0]), len(b[0])])
    return _effect((first, second), second - first, first_error + second_error, freedom, confidence)


def _ratio(above: Floats, below: Floats) -> tuple[float, float]:
    """A ratio of sums and its variance."""
    _enough(above, below)
    if not below.sum():
        raise BadInputError("a ratio's denominators add up to zero")
    ratio = float(above.sum() / below.sum())
    residuals = above - ratio * below
    return ratio, float(residuals.var(ddof=1)) / (len(above) * float(below.mean()) ** 2)


def _enough(a: Floats, b: Floats) -> None:
    if min(len(a), len(b)) < _UNITS:
        raise BadInputError(f"each arm needs {_UNITS} units at least, not {len(a)} and {len(b)}")


def _freedom(parts: Sequence[float], sizes: Sequence[int]) -> float:
    """Degrees of freedom by Welch and Satterthwaite."""
    below = sum(part**2 / (size - 1) for part, size in zip(parts, sizes, strict=True))
    return sum(parts) ** 2 / below if below else math.inf


def _effect(means: tuple[float, float], effect: float, variance: float, freedom: float, confidence: float) -> Effect:
    a, b = means
    from scipy.special import ndtr, ndtri, stdtr, stdtrit  # noqa: PLC0415  # loaded when first needed

    error = math.sqrt(variance)
    tail = (1 + confidence) / 2
    half = error * float(ndtri(tail) if math.isinf(freedom) else stdtrit(freedom, tail))
    if not error:
        return Effect(a, b, effect, effect, effect, float(effect == 0), confidence)
    t = -abs(effect) / error
    p = 2 * float(ndtr(t) if math.isinf(freedom) else stdtr(freedom, t))
    return Effect(a, b, effect, effect - half, effect + half, p, confidence)
