"""The tests of `red_rules` over matrices: scopes x minutes, trailing windows as differences of running sums.

Inputs have a lead of earlier minutes; what comes out has the last `size` of them. Scores (-log10 of the tail of the
strongest window) are computed where something is odd, and for the newest minute.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from windvane.analytics.baselines.contract import ALARM, MOST_SCORE
from windvane.analytics.baselines.noise import WINDOWS
from windvane.analytics.red_rules import (
    BURNS,
    FAST_BURN,
    FAST_WINDOW,
    KNOWN_SHARE,
    LATENCY_EFFECT,
    RATE_EFFECT,
    RATE_WINDOWS,
    SMOULDER,
    STILL,
    TAIL,
    UNSEEN_LATENCY,
    UNSEEN_RATE,
)
from windvane.analytics.seasonal import Flags, Floats

_LEAST_TAIL = 10.0**-MOST_SCORE
LEAD = max(WINDOWS)
"""Minutes before the first judged one that tests look at."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Of scopes x minutes: is it odd, the effect (a factor over expected), and the score where it was computed."""

    odd: Flags
    factor: Floats
    score: Floats


def score_of(tail: Floats) -> Floats:
    """0 to 20; nothing known is no evidence."""
    return np.asarray(-np.log10(np.clip(np.nan_to_num(tail, nan=1.0), _LEAST_TAIL, 1.0)))


def running(values: Floats) -> Floats:
    """Sums up to each column, with a nought before the first."""
    total = np.empty((len(values), values.shape[1] + 1))
    total[:, 0] = 0.0
    np.cumsum(values, axis=1, out=total[:, 1:])
    return total


def window(total: Floats, width: int, size: int) -> Floats:
    """Sums of the last `width` columns up to each of the last `size`."""
    many = total.shape[1]
    return np.asarray(total[:, many - size :] - total[:, many - size - width : many - width])


def _wanted(odd: Flags) -> Flags:
    """Where scores are computed: of what is odd, and of the newest minute."""
    asked = odd.copy()
    asked[:, -1] = True
    return asked


def fewer_requests(requests: Floats, due: Floats, unseen: Flags, spreads: Floats, size: int) -> Verdict:
    """Where fewer requests came than the lowest plausible rate would bring, as `red_rules.few_requests` tells."""
    from scipy.special import pdtr  # noqa: PLC0415  a server starts without it

    known = np.isfinite(requests) & np.isfinite(due)
    seen, wanted = running(np.where(known, requests, 0.0)), running(np.where(known, due, 0.0))
    count, strange = running(known.astype(float)), running(unseen.astype(float))
    going_on = known[:, -size:] & (window(seen, 3, size) <= 0.8 * window(wanted, 3, size))
    odd: Flags = np.zeros(going_on.shape, bool)
    factor, score = np.ones(odd.shape), np.zeros(odd.shape)
    for place, width in enumerate(RATE_WINDOWS):
        many, most = window(seen, width, size), window(wanted, width, size)
        one = many / np.maximum(most, 1e-9)
        low = np.where(window(strange, width, size) > 0, UNSEEN_RATE, np.exp(-2.0 * spreads[:, place])[:, None])
        enough = window(count, width, size) >= KNOWN_SHARE * width
        may = going_on & enough & (one <= RATE_EFFECT)
        asked = _wanted(may) & enough
        tail = np.ones(odd.shape)
        tail[asked] = pdtr(np.maximum(many[asked], 0.0), most[asked] * low[asked])
        found = may & (tail < TAIL)
        factor = np.where((found & ~odd) | (place == 0), one, factor)
        score = np.maximum(score, score_of(tail))
        odd |= found
    return Verdict(odd, factor, score)


@dataclass(frozen=True, slots=True)
class Lag:
    """What latency was expected to be, scopes x minutes: departures from it (logarithms), how far a minute strays,
    whether the weekday was never seen, and (of the judged minutes) how many minutes the level is made of: infinite
    for one that days have taught."""

    residual: Floats
    noise: Floats
    unseen: Flags
    known: Floats


def slower(lag: Lag, excess: Floats, beyond: Floats, freedom: Floats, size: int) -> Verdict:
    """Where latency lies above its band by a factor that matters, as `red_rules.slow_answers` tells; the margin is
    Student's t of what is known of the scope's noise, and wider by the error of a level that is young."""
    from scipy.special import stdtr  # noqa: PLC0415  a server starts without it

    known = np.isfinite(lag.residual)
    weight = np.where(known, lag.noise**-2.0, 0.0)
    moved, total = running(np.where(known, lag.residual, 0.0) * weight), running(weight)
    count, effect = running(known.astype(float)), np.where(lag.unseen[:, -size:], UNSEEN_LATENCY, LATENCY_EFFECT)
    agreeing = running(np.where(known, lag.residual > np.where(lag.unseen, UNSEEN_LATENCY, LATENCY_EFFECT) / 2, False))
    young = 2.0 * lag.noise[:, -size:] ** 2 / lag.known
    odd: Flags = np.zeros(young.shape, bool)
    factor, strongest = np.ones(odd.shape), np.full(odd.shape, -np.inf)
    for place, width in enumerate(WINDOWS):
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = window(moved, width, size) / window(total, width, size)
            away = mean / np.sqrt(excess[:, place, None] ** 2 / window(total, width, size) + young)
        short = min(width, 5)
        usable = window(count, width, size) >= KNOWN_SHARE * width
        agree = usable & (window(agreeing, short, size) >= KNOWN_SHARE * short)
        if width < 5:
            usable = agree = usable & np.isfinite(lag.known) & (window(agreeing, width, size) >= width)
        with np.errstate(invalid="ignore"):
            found = agree & (mean >= effect) & (away >= beyond[:, None])
        if width >= 5:
            factor = np.where((found & ~odd) | (width == 5), np.exp(np.where(usable, mean, 0.0)), factor)
        else:
            factor = np.where(found, np.exp(np.where(usable, mean, 0.0)), factor)
        strongest = np.fmax(strongest, np.where(agree | (usable & (width == 5)), away, -np.inf))
        odd |= found
    asked, score = _wanted(odd) & np.isfinite(strongest), np.zeros(odd.shape)
    many = np.broadcast_to(freedom[:, None], odd.shape)
    score[asked] = score_of(stdtr(many[asked], -strongest[asked]))
    return Verdict(odd, factor, score)


class Burning:
    """Windows of requests and failures, by their minutes; long ones are given as sums."""

    def __init__(self, requests: Floats, errors: Floats, long: Mapping[int, tuple[Floats, Floats]], size: int) -> None:
        self._requests, self._errors = running(np.nan_to_num(requests)), running(np.nan_to_num(errors))
        self._long, self._size = long, size

    def sums(self, minutes: int) -> tuple[Floats, Floats]:
        """Requests and failures of the last so many minutes."""
        if minutes in self._long:
            return self._long[minutes]
        return window(self._requests, minutes, self._size), window(self._errors, minutes, self._size)

    def at(self, minutes: int, burn: float, budget: float) -> tuple[Flags, Floats, Floats]:
        """Where the window burns faster; the score that it is not chance; the share over the budget."""
        from scipy.special import betainc  # noqa: PLC0415  a server starts without it

        many, bad = self.sums(minutes)
        share = np.maximum(bad, 0.0) / np.maximum(many, 1.0)
        fast = share > burn * budget
        asked = fast.copy()
        asked[:, -1] |= bad[:, -1] > 1e-6
        tail = np.ones(fast.shape)
        some = np.maximum(bad[asked], 1e-9)
        tail[asked] = betainc(some, np.maximum(many[asked] - some, 0.0) + 1.0, budget)
        return fast, score_of(tail), share / budget


def failing(burning: Burning, failures: Floats, before: Flags, budget: float) -> Verdict:
    """Where the error budget burns too fast, as `red_rules.failing` tells. `failures` has the failures of the
    judged minutes and a lead; `before` says which scopes were odd in the minute before."""
    alarm, still = -np.log10(TAIL), -np.log10(STILL)
    fast, score, factor = burning.at(FAST_WINDOW, FAST_BURN, budget)
    size = fast.shape[1]
    many = window(running((np.nan_to_num(failures) > 0).astype(float)), FAST_WINDOW, size)
    odd = fast & (score > alarm) & (many >= KNOWN_SHARE * FAST_WINDOW)
    strongest = score
    for long, short, burn in BURNS:
        slow, long_score, _ = burning.at(long, burn, budget)
        quick, short_score, _ = burning.at(short, burn, budget)
        odd |= slow & (long_score > alarm) & quick & (short_score > still)
        strongest = np.maximum(strongest, np.minimum(long_score, short_score * (ALARM / still)))
    smouldering, smoulder_score, _ = burning.at(SMOULDER, 1.0, budget)
    return Verdict(_until_quiet(odd, smouldering & (smoulder_score > still), before), factor, strongest)


def _until_quiet(odd: Flags, smouldering: Flags, before: Flags) -> Flags:
    """What is odd stays so as long as the budget still burns: one incident, however its strength varies."""
    place = np.arange(1, odd.shape[1] + 1)
    began = np.maximum.accumulate(np.where(odd, place, np.where(before, 0, -1)[:, None]), axis=1)
    ended = np.maximum.accumulate(np.where(odd | smouldering, -1, place), axis=1)
    return np.asarray(began > ended)
