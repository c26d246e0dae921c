"""Mean latency of scopes that are young, against the mean of their last minutes.

The 95th percentile of a histogram jumps where it lies near a bound, so that in a mesh of some minutes it must move far
to be told (`rules.YOUNG_EFFECT`). The mean knows no bounds. Until days have taught what a percentile usually is, the
mean is judged beside it: where it is higher by a factor that matters, and beyond what requests of its number stray by.
"""

from __future__ import annotations

import numpy as np

from windvane.analytics.baselines.noise import FIRST_BEYOND, OF_MEDIAN, OVERLAP, PRIOR_WEIGHT, prior
from windvane.analytics.baselines.rules import AT_ONCE, Verdict, score_of
from windvane.analytics.seasonal import Flags, Floats, medians

BACK, BEHIND, LEAST = 60, 3, 4
"""The level of a minute t is the median of [t - BACK, t - BEHIND), of so many known minutes at least."""
WINDOWS = (2, 3, 5, 10)
"""Minutes that are held against it."""
SHORT = 5
"""Most minutes that are judged at once: longer ones are of the past, which days teach more about."""
EFFECT = float(np.log(1.5))
"""The effect that is worth telling; of two minutes it must be `AT_ONCE`."""
SAMPLING = 0.8
"""A minute's log mean strays so much over the root of its requests: that of a lognormal of sigma 0.7."""
_PRIOR = 10.0
"""Minutes that what services usually do counts for, beside those seen."""


def slower(means: Floats, requests: Floats, odd: Flags, size: int) -> Verdict:
    """Judge the last `size` minutes of scopes x minutes; `means` are logarithms, NaN is unknown. `odd` tells which
    minutes make no level. There are `BACK` + 1 more minutes than are judged."""
    told: Flags = np.zeros((len(means), size), bool)
    factor, score = np.ones(told.shape), np.zeros(told.shape)
    for place in range(size):
        end = means.shape[1] - size + place + 1
        judged = slice(max(0, end - BACK), end)
        usual = np.where(odd[:, judged], np.nan, means[:, judged])[:, :-BEHIND]
        found = _at(means[:, judged], requests[:, end - 1], usual)
        told[:, place], factor[:, place], score[:, place] = found
    return Verdict(told, factor, score)


def _at(means: Floats, requests: Floats, usual: Floats) -> tuple[Flags, Floats, Floats]:
    """Is the last minute odd, which had so many requests, by what factor, with which score."""
    from scipy.special import stdtr  # noqa: PLC0415  a server starts without it

    known = np.isfinite(usual).sum(axis=1)
    level = medians(usual.T)
    own = OF_MEDIAN * medians(np.abs(usual - level[:, None]).T)
    expected = prior(requests, SAMPLING)
    spread = np.sqrt((_PRIOR * expected**2 + known * np.fmax(own, 0.0) ** 2) / (_PRIOR + known))
    odd: Flags = np.zeros(len(means), bool)
    factor, strongest = np.ones(len(means)), np.full(len(means), -np.inf)
    for width in WINDOWS:
        away = means[:, -width:] - level[:, None]
        effect = AT_ONCE if width == WINDOWS[0] else EFFECT
        with np.errstate(invalid="ignore"):
            mean = away.mean(axis=1)  # unknown where one is
            agree = (away > effect / 2).all(axis=1) & (known >= LEAST)
        beyond = mean / (OVERLAP * spread * np.sqrt(1.0 / width + 2.0 / np.maximum(known, 1)))
        found = agree & (mean >= effect) & (beyond >= FIRST_BEYOND)
        factor = np.where(found & ~odd, np.exp(np.where(found, mean, 0.0)), factor)
        strongest = np.where(agree & (beyond > strongest), beyond, strongest)
        odd |= found
    score = np.where(np.isfinite(strongest), score_of(stdtr(PRIOR_WEIGHT, -strongest)), 0.0)
    return odd, factor, score
