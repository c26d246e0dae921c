"""When minutes of rate, errors and latency are odd enough to tell: pure tests over trailing windows.

Every test is one-sided, asks both for an effect worth telling and for evidence beyond chance, and counts what
is unknown as nothing. Evidence is a tail probability of `TAIL` or its normal equivalent: with some five tests a minute
that is one false alarm in tens of weeks where the model of the noise holds, which leaves room for where it does not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from windvane.analytics.seasonal import Flags, Floats, spread_of

TAIL = 3e-7
STILL = 1e-3
"""Tail probability of the short window, which only tells that it goes on: the long one has the evidence."""
BEYOND = 5.0
"""Standard deviations of a normal beyond which lies `TAIL`."""
KNOWN_SHARE = 0.6
"""Share of a window that must be known; and of a short window's minutes that must agree."""
RATE_WINDOWS = (5, 15)
LATENCY_WINDOWS = (5, 15, 30, 60)
"""Slots: the shortest outlasts a deployment's blip; longer ones serve less traffic with the same noise."""
RATE_EFFECT = 0.6
UNSEEN_RATE = 0.3
"""Rate over expected: four of ten requests gone is worth telling. A weekday never seen may bring no more than three
of ten of a usual day's, as Sundays do: what is told of one lies below even that, beyond chance."""
LATENCY_EFFECT = float(np.log(1.5))
UNSEEN_LATENCY = float(np.log(2.0))
LEAST_SPREAD = 0.05
"""A log factor (5 %): no service is steadier than that, and a flat history does not make every ripple odd."""
FIRST_SPREAD = 0.25
"""The spread taken for true until `LEARNT` slots are known."""
LEARNT = 240
BURNS = ((60, 5, 14.4, 2.0), (360, 30, 6.0, 1.5), (4320, 360, 1.0, 1.25))
"""Minutes of the long and the short window and the burn rate of both: table 5-8 of Google's SRE workbook, 30 days; and
how many times the share that usually fails it must be as well."""
BEGUN = 0.25
"""Share of a short window before whose end nothing is told by it: six hours are not judged by the first ten minutes."""
FAST_WINDOW, FAST_BURN, FAST_TIMES = 5, 14.4, 2.0
FAST = ((2, 50.0, 2.5, 2), (FAST_WINDOW, FAST_BURN, FAST_TIMES, 3), (3, 5.0, 4.0, 3))
"""Rules for the first minutes: the window in minutes, the burn rate, how many times the usual share, and how many of
the minutes must each fail more than is usual. What fails most requests is told after two minutes; what fails few of
many, where next to none ever did, after three. A deployment's blip of a minute is none of these.
"""
YOUNG_TIMES = 2.0
"""Times its usual share that something odd must fail whose usual share less than a day has told."""
SMOULDER, SMOULDER_TIMES = 30, 1.25
"""Minutes over which an incident of errors must burn less than the budget to be over."""


Usual = tuple[Floats | float, Floats | float]
"""The share that usually fails, and how many times it something odd must fail at least."""


def trailing(values: Floats, width: int) -> Floats:
    """Sum of the last `width` values up to each point, what is not finite counting as nothing."""
    total = np.cumsum(np.where(np.isfinite(values), values, 0.0))
    total[width:] -= total[:-width].copy()
    return total


@dataclass(frozen=True, slots=True)
class Tested:
    """Of every slot: is it odd, and how large is the effect (a factor over expected)."""

    odd: Flags
    factor: Floats

    def joined(self, other: Tested) -> Tested:
        """Odd in either; the factor of the stronger."""
        return Tested(self.odd | other.odd, np.where(other.odd & ~self.odd, other.factor, self.factor))


def rate_spread(requests: Floats, expected: Floats, width: int) -> float:
    """Spread of log(seen / expected) over windows beyond what counting alone brings."""
    seen, wanted = trailing(requests, width), trailing(np.where(np.isfinite(requests), expected, np.nan), width)
    told = wanted > 4.0
    if told.sum() < LEARNT:
        return FIRST_SPREAD
    residual = np.log((seen[told] + 0.5) / (wanted[told] + 0.5))
    counting = float(np.median(1.0 / wanted[told]))
    return float(np.sqrt(max(spread_of(residual) ** 2 - counting, LEAST_SPREAD**2)))


def few_requests(requests: Floats, expected: Floats, width: int, spread: float, unseen: Flags) -> Tested:
    """Where fewer requests came than the lowest plausible rate would bring: a Poisson tail under its margin."""
    from scipy.special import pdtr  # noqa: PLC0415  a server starts without it

    known = np.isfinite(requests) & np.isfinite(expected)
    seen, wanted = (
        trailing(np.where(known, requests, np.nan), width),
        trailing(np.where(known, expected, np.nan), width),
    )
    factor = seen / np.maximum(wanted, 1e-9)
    strange = trailing(unseen.astype(float), width) > 0
    plausible = wanted * np.where(strange, UNSEEN_RATE, np.exp(-2.0 * spread))
    odd = known & (trailing(known.astype(float), width) >= KNOWN_SHARE * width) & (factor <= RATE_EFFECT)
    odd[odd] = pdtr(seen[odd], plausible[odd]) < TAIL
    now, due = trailing(np.where(known, requests, np.nan), 3), trailing(np.where(known, expected, np.nan), 3)
    odd &= now <= 0.8 * due  # and it is not over
    return Tested(odd, factor)


@dataclass(frozen=True, slots=True)
class Noise:
    """How far a minute's log latency strays, as a function of its requests: learnt an octave of them at a time."""

    octaves: Floats
    spreads: Floats

    @classmethod
    def learnt(cls, residual: Floats, requests: Floats) -> Noise:
        known = np.isfinite(residual) & (requests > 0)
        octave = np.floor(np.log2(np.maximum(requests[known], 1.0))).astype(int)
        kept = residual[known]
        if len(kept) < LEARNT:
            return cls(np.array([0.0]), np.array([1.0]))
        found = [(one, spread_of(kept[octave == one])) for one in np.unique(octave) if (octave == one).sum() >= 30]
        return cls(np.array([one + 0.5 for one, _ in found]), np.array([max(s, LEAST_SPREAD) for _, s in found]))

    def of(self, requests: Floats) -> Floats:
        """Standard deviation at so many requests; below what was seen it grows as that of a mean does."""
        octave = np.log2(np.maximum(np.where(np.isfinite(requests), requests, 1.0), 0.5))
        below = np.maximum(self.octaves[0] - octave, 0.0)
        return np.asarray(np.interp(octave, self.octaves, self.spreads) * 2.0 ** (below / 2))


def standing(residual: Floats, noise: Floats, width: int) -> tuple[Floats, Floats]:
    """Weighted mean of the residuals of each trailing window, and its standard deviation were they independent."""
    known = np.isfinite(residual)
    weight = np.where(known, 1.0 / noise**2, 0.0)
    total = trailing(weight, width)
    enough = trailing(known.astype(float), width) >= KNOWN_SHARE * width
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(enough, trailing(np.where(known, residual * weight, 0.0), width) / total, np.nan)
        return mean, np.sqrt(1.0 / total)


def slow_answers(residual: Floats, noise: Floats, width: int, excess: float, effect: Floats) -> Tested:
    """Where a window's latency lies above its band by a factor that matters, in most of its last minutes too."""
    mean, deviation = standing(residual, noise, width)
    with np.errstate(invalid="ignore"):
        odd = (mean >= effect) & (mean >= BEYOND * excess * deviation)
        short = min(width, 5)
        odd &= trailing((residual > effect / 2).astype(float), short) >= KNOWN_SHARE * short
    return Tested(odd, np.exp(np.where(np.isfinite(mean), mean, 0.0)))


def failing(requests: Floats, errors: Floats, budget: float, step: int, usual: Usual = (0.0, 1.0)) -> Tested:
    """Where the error budget burns too fast: multi-window burn rates, and a fast rule for the first minutes.

    `budget` is the share of requests that may fail, `usual` the share that usually does (of each time, or of all), and
    how many times it something odd must fail at least: what always fails is an objective's matter, not an anomaly. At
    few requests a share says little, so that what failed must also be beyond what the larger of budget and usual share
    would bring by chance (a binomial tail).
    """
    from scipy.special import betainc  # noqa: PLC0415  a server starts without it

    a_minute = max(1, 60 // step)
    total, failed = np.where(np.isfinite(requests), requests, 0.0), np.where(np.isfinite(errors), errors, 0.0)

    common = np.broadcast_to(np.asarray(usual[0], np.float64), total.shape)
    due = np.maximum(budget, common)

    def burns(minutes: int, burn: float, times: float, tail: float) -> tuple[Flags, Floats]:
        width = minutes * a_minute
        many, bad = trailing(total, width), trailing(failed, width)
        share = bad / np.maximum(many, 1.0)
        fast = share > np.maximum(burn * budget, np.maximum(times, usual[1]) * common)
        some = np.maximum(bad[fast], 1e-9)  # rates make counts that are not whole: the tail is of the beta function
        fast[fast] = betainc(some, np.maximum(many[fast] - some, 0.0) + 1.0, due[fast]) < tail
        return fast, share / due

    odd: npt.NDArray[np.bool_] = np.zeros(len(requests), bool)
    age = np.cumsum(np.isfinite(requests)) / a_minute
    for long, short, burn, times in BURNS:
        odd |= burns(long, burn, times, TAIL)[0] & burns(short, burn, times, STILL)[0] & (age >= BEGUN * short)
    more, factor = (failed > due * total).astype(float), np.ones(len(requests))
    for minutes, burn, times, least in FAST:
        fast, over = burns(minutes, burn, times, TAIL)
        odd |= fast & (trailing(more, minutes * a_minute) >= least * a_minute)
        factor = over if minutes == FAST_WINDOW else factor
    return Tested(_until_quiet(odd, burns(SMOULDER, 1.0, SMOULDER_TIMES, STILL)[0]), factor)


def _until_quiet(odd: Flags, smouldering: Flags) -> Flags:
    """What is odd stays so as long as the budget still burns: one incident, however its strength varies."""
    place = np.arange(len(odd))
    began = np.maximum.accumulate(np.where(odd, place, -1))
    ended = np.maximum.accumulate(np.where(odd | smouldering, -1, place))
    return np.asarray(began > ended)
