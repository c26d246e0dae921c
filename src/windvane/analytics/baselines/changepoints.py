"""Where a series' level moved: time, size, and how sure that is.

The best partition into stretches of equal level by squared error and a penalty for each (optimal partitioning:
Jackson et al. 2005), after a median over five points that takes single outliers away and leaves steps where they are.
Noise is measured between points two apart, which neither steps nor windows that overlap by half mislead.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

LEAST = 5
"""Points of a level at least."""
CERTAIN = 0.999
_PENALTY = 3.0
"""Of each move, in logarithms of the number of points and units of the noise's variance."""
_CLUMPED = 1.35
"""The mean of neighbouring points strays so much more than of independent ones."""
_MOST = 3_000


@dataclass(frozen=True, slots=True)
class Changepoint:
    """The level moved at `at` (the first time of the new level) from `before` to `after`, in the series' unit.

    `certainty` is 0 to 1: 1 less a bound on the chance that noise alone brings a move as large somewhere in the series.
    """

    at: int
    before: float
    after: float
    certainty: float

    @property
    def moved(self) -> float:
        """The new level less the old."""
        return self.after - self.before


def changepoints(
    times: npt.NDArray[np.int64], values: Floats, certainty: float = CERTAIN, least_noise: float = 0.0
) -> list[Changepoint]:
    """Moves of the level of a series (NaN is unknown), by time. Give logarithms, or residuals of what was expected.

    `least_noise` is the standard deviation that points have at least. Levels are of `LEAST` known points and more.
    `ValueError` if times and values differ in number, or are more than 3,000.
    """
    if len(times) != len(values):
        raise ValueError(f"{len(times)} times for {len(values)} values")
    known = np.flatnonzero(np.isfinite(values))
    if len(known) > _MOST:
        raise ValueError(f"{len(known)} points; at most {_MOST} are looked at")
    told = np.asarray(values, np.float64)[known]
    if len(told) < 2 * LEAST:
        return []
    plain = _median_of_five(told)
    noise = max(_noise(told), least_noise, 1e-9 * (1.0 + float(np.abs(told).max())))
    starts = _partition(plain, _PENALTY * math.log(len(plain)) * (noise * _CLUMPED) ** 2)
    levels = [float(np.median(told[a:b])) for a, b in pairwise([*starts, len(told)])]
    found = []
    for place, (old, new, end) in enumerate(zip(starts, starts[1:], [*starts[2:], len(told)], strict=False)):
        error = noise * _CLUMPED * math.sqrt(1.0 / (new - old) + 1.0 / (end - new))
        moved = abs(levels[place + 1] - levels[place])
        chance = len(told) * math.erfc(moved / error / math.sqrt(2.0))
        found.append(Changepoint(int(times[known[new]]), levels[place], levels[place + 1], 1.0 - min(1.0, chance)))
    return [one for one in found if one.certainty >= certainty]


def _median_of_five(values: Floats) -> Floats:
    padded = np.concatenate([values[:1], values[:1], values, values[-1:], values[-1:]])
    return np.asarray(np.median(np.lib.stride_tricks.sliding_window_view(padded, 5), axis=1))


def _noise(values: Floats) -> float:
    """Standard deviation of a point, from differences two apart."""
    return 1.4826 * float(np.median(np.abs(values[2:] - values[:-2]))) / math.sqrt(2.0)


def _partition(values: Floats, penalty: float) -> list[int]:
    """First points of the stretches of the best partition."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    squares = np.concatenate([[0.0], np.cumsum(values**2)])
    size = len(values)
    best, origin = np.full(size + 1, np.inf), np.zeros(size + 1, np.int64)
    best[0] = -penalty
    for end in range(LEAST, size + 1):
        begin = np.arange(0, end - LEAST + 1)
        error = squares[end] - squares[begin] - (sums[end] - sums[begin]) ** 2 / (end - begin)
        cost = best[begin] + error + penalty
        origin[end] = int(np.argmin(cost))
        best[end] = cost[origin[end]]
    starts, at = [], size
    while at > 0:
        at = int(origin[at])
        starts.append(at)
    return starts[::-1]
