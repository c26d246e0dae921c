"""The tests of `red_rules` over matrices: scopes x minutes, trailing windows as differences of running sums.

Inputs have a lead of earlier minutes; what comes out has the last `size` of them. Scores (-log10 of the tail of the
strongest window) are computed where something is odd, and for the newest minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from windvane.analytics.baselines.contract import ALARM, MOST_SCORE
from windvane.analytics.baselines.noise import PRIOR_WEIGHT, WINDOWS
from windvane.analytics.baselines.sums import Rate, counted, running, window
from windvane.analytics.red_rules import (
    BEGUN,
    BURNS,
    FAST,
    FAST_WINDOW,
    KNOWN_SHARE,
    LATENCY_EFFECT,
    LEARNT,
    RATE_EFFECT,
    RATE_WINDOWS,
    SMOULDER,
    SMOULDER_TIMES,
    STILL,
    TAIL,
    UNSEEN_LATENCY,
    UNSEEN_RATE,
)
from windvane.analytics.seasonal import Flags, Floats

_LEAST_TAIL = 10.0**-MOST_SCORE
AT_ONCE = float(np.log(3.0))
"""The effect that two minutes must have where longer windows would take longer than a young mesh may."""
YOUNG_EFFECT = float(np.log(2.5))
"""The effect that latency must have until the noise of a scope is known: where the 95th percentile lies near a bound of
the histogram, a few requests more in the next bucket already look like twice the time."""
SETTLED = PRIOR_WEIGHT + LEARNT / 2
"""Degrees of freedom from which it is."""
LEAD = max(WINDOWS)
"""Minutes before the first judged one that tests look at."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of scopes x minutes: is it odd, the effect (a factor over expected), and the score where it was computed."""

    odd: Flags
    factor: Floats
    score: Floats

    def beside(self, rows: Flags, other: Verdict) -> Verdict:
        """Odd in either, of the chosen rows; the factor is this one's where it is odd, the score the larger."""
        odd, factor, score = self.odd.copy(), self.factor.copy(), self.score.copy()
        factor[rows] = np.where(other.odd & ~odd[rows], other.factor, factor[rows])
        odd[rows] |= other.odd
        score[rows] = np.maximum(score[rows], other.score)
        return Verdict(odd, factor, score)


def score_of(tail: Floats) -> Floats:
    """0 to 20; nothing known is no evidence."""
    return np.asarray(-np.log10(np.clip(np.nan_to_num(tail, nan=1.0), _LEAST_TAIL, 1.0)))


def _wanted(odd: Flags) -> Flags:
    """Where scores are computed: of what is odd, and of the newest minute."""
    asked = odd.copy()
    asked[:, -1] = True
    return asked


def fewer_requests(rate: Rate, spreads: Floats, size: int) -> Verdict:
    """Where fewer requests came than the lowest plausible rate would bring, as `red_rules.few_requests` tells."""
    from scipy.special import pdtr  # noqa: PLC0415  a server starts without it

    going_on = window(rate.known, 1, size) > 0
    going_on &= window(rate.seen, 3, size) <= 0.8 * window(rate.due, 3, size)
    odd: Flags = np.zeros(going_on.shape, bool)
    factor, score = np.ones(odd.shape), np.zeros(odd.shape)
    for place, width in enumerate(RATE_WINDOWS):
        many, most = window(rate.seen, width, size), window(rate.due, width, size)
        enough = window(rate.known, width, size) >= KNOWN_SHARE * width
        may = going_on & enough & (many <= RATE_EFFECT * most)
        at = np.nonzero(_wanted(may) & enough)
        seen, due = np.maximum(many[at], 0.0), most[at]
        strange = window(rate.unseen, width, size)[at] > 0
        tail = pdtr(seen, due * np.where(strange, UNSEEN_RATE, np.exp(-2.0 * spreads[at[0], place])))
        score[at] = np.maximum(score[at], score_of(tail))
        told = may[at] & (tail < TAIL)
        at = (at[0][told], at[1][told])
        first = ~odd[at]
        factor[at] = np.where(first, (seen / np.maximum(due, 1e-9))[told], factor[at])
        odd[at] = True
    return Verdict(odd, factor, score)


@dataclass(frozen=True, slots=True)
class Lag:
    """What latency was against what was expected, scopes x minutes: running sums of departures (logarithms) by their
    weight, of the weights, of known minutes and of those that are half an effect slow. Of the judged minutes: the
    effect that is worth telling, the error of the expected level, and whether it is young: no days have taught it."""

    moved: Floats
    weight: Floats
    known: Floats
    slow: Floats
    effect: Floats
    error: Floats
    young: Flags

    @classmethod
    def of(cls, residual: Floats, noise: Floats, unseen: Flags, minutes: Floats) -> Lag:
        """From departures, how far a minute strays, whether the weekday was never seen; and (of the judged minutes)
        how many minutes the level is made of, infinite where days have taught it."""
        known, size = np.isfinite(residual), minutes.shape[1]
        weight = np.where(known, noise**-2.0, 0.0)
        effect = np.where(unseen, UNSEEN_LATENCY, LATENCY_EFFECT)
        departed = np.where(known, residual, 0.0)
        error = 2.0 * noise[:, -size:] ** 2 / minutes
        return cls(
            running(departed * weight), running(weight), running(known), running(departed > effect / 2),
            effect[:, -size:], error, np.isfinite(minutes),
        )  # fmt: skip


def slower(lag: Lag, excess: Floats, beyond: Floats, freedom: Floats) -> Verdict:
    """Where latency lies above its band by a factor that matters, as `red_rules.slow_answers` tells; the margin is
    Student's t of what is known of the scope's noise, and wider by the error of a level that is young."""
    from scipy.special import stdtr  # noqa: PLC0415  a server starts without it

    size = lag.effect.shape[1]
    odd: Flags = np.zeros(lag.effect.shape, bool)
    factor, strongest = np.ones(odd.shape), np.full(odd.shape, -np.inf)
    for place, width in enumerate(WINDOWS):
        short, least = min(width, 5), width if width < 5 else 3
        agree = window(lag.slow, short, size) >= least
        if width < 5:
            agree &= lag.young
        asked = agree.copy()
        asked[:, -1] |= width == 5
        at = np.nonzero(asked)
        weight = window(lag.weight, width, size)[at]
        enough = window(lag.known, width, size)[at] >= KNOWN_SHARE * width
        at, weight = (at[0][enough], at[1][enough]), weight[enough]
        mean = window(lag.moved, width, size)[at] / weight
        away = mean / np.sqrt(excess[at[0], place] ** 2 / weight + lag.error[at])
        strongest[at] = np.maximum(strongest[at], away)
        effect = np.where(lag.young[at] & (freedom[at[0]] < SETTLED), YOUNG_EFFECT, lag.effect[at])
        effect = np.maximum(effect, AT_ONCE) if width < 3 else effect
        told = agree[at] & (mean >= effect) & (away >= beyond[at[0]])
        at = (at[0][told], at[1][told])
        factor[at] = np.where(odd[at], factor[at], np.exp(mean[told]))
        odd[at] = True
    score, at = np.zeros(odd.shape), np.nonzero(_wanted(odd) & np.isfinite(strongest))
    score[at] = score_of(stdtr(freedom[at[0]], -strongest[at]))
    return Verdict(odd, factor, score)


class Burning:
    """Windows of requests and failures, by their minutes; long ones are given as sums. `usual` is the share that
    usually fails, of each scope, and how many times it something odd must fail at least; `age` the minutes, up to each
    judged one, since a scope was first seen."""

    def __init__(
        self, requests: Floats, errors: Floats, long: Mapping[int, tuple[Floats, Floats]], usual: tuple[Floats, Floats],
        age: Floats,
    ) -> None:  # fmt: skip
        self.size, self.age, self._long, (self._usual, self._least) = age.shape[1], age, long, usual
        self._requests, self._errors = running(counted(requests)), running(counted(errors))
        self._minutes = requests, errors

    def sums(self, minutes: int) -> tuple[Floats, Floats]:
        """Requests and failures of the last so many minutes."""
        if minutes in self._long:
            return self._long[minutes]
        return window(self._requests, minutes, self.size), window(self._errors, minutes, self.size)

    def more(self, budget: float) -> Floats:
        """Running sums of the minutes that fail more than is due."""
        requests, errors = self._minutes
        return running(errors > self.due(budget)[:, None] * requests)

    def due(self, budget: float) -> Floats:
        """The share that is not told of: what the objective allows, or what usually fails if that is more."""
        return np.maximum(budget, self._usual)

    def at(self, minutes: int, burn: float, times: float, budget: float) -> tuple[Flags, Floats]:
        """Where the window burns faster, and fails so many times more than usual; and (there, and in the newest
        minute) the score that it is not chance."""
        from scipy.special import betainc  # noqa: PLC0415  a server starts without it

        many, bad = self.sums(minutes)
        fast = (
            bad
            > np.maximum(many, 1.0) * np.maximum(burn * budget, np.maximum(times, self._least) * self._usual)[:, None]
        )
        asked = fast.copy()
        asked[:, -1] |= bad[:, -1] > 1e-6
        at = np.nonzero(asked)
        some, score = np.maximum(bad[at], 1e-9), np.zeros(fast.shape)
        score[at] = score_of(betainc(some, np.maximum(many[at] - some, 0.0) + 1.0, self.due(budget)[at[0]]))
        return fast, score


def failing(burning: Burning, before: Flags, budget: float) -> Verdict:
    """Where the error budget burns too fast, as `red_rules.failing` tells. `before` says which scopes were odd in
    the minute before the first."""
    alarm, still = -np.log10(TAIL), -np.log10(STILL)
    more = burning.more(budget)
    odd, score = np.zeros((*before.shape[:1], burning.size), bool), np.zeros((len(before), burning.size))
    for minutes, burn, times, least in FAST:
        fast, fast_score = burning.at(minutes, burn, times, budget)
        odd |= fast & (fast_score > alarm) & (window(more, minutes, burning.size) >= least)
        score = np.maximum(score, fast_score)
    for long, short, burn, times in BURNS:
        slow, long_score = burning.at(long, burn, times, budget)
        quick, short_score = burning.at(short, burn, times, budget)
        odd |= slow & (long_score > alarm) & quick & (short_score > still) & (burning.age >= BEGUN * short)
        score = np.maximum(score, np.minimum(long_score, short_score * (ALARM / still)))
    factor = np.ones(odd.shape)
    if odd.any() or before.any():
        smouldering, smoulder_score = burning.at(SMOULDER, 1.0, SMOULDER_TIMES, budget)
        odd = _until_quiet(odd, smouldering & (smoulder_score > still), before)
        many, bad = burning.sums(FAST_WINDOW)
        factor[odd] = bad[odd] / np.maximum(many[odd], 1.0) / burning.due(budget)[np.nonzero(odd)[0]]
    return Verdict(odd, factor, score)


def _until_quiet(odd: Flags, smouldering: Flags, before: Flags) -> Flags:
    """What is odd stays so as long as the budget still burns: one incident, however its strength varies."""
    place = np.arange(1, odd.shape[1] + 1)
    began = np.maximum.accumulate(np.where(odd, place, np.where(before, 0, -1)[:, None]), axis=1)
    ended = np.maximum.accumulate(np.where(odd | smouldering, -1, place), axis=1)
    return np.asarray(began > ended)
