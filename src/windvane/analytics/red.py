"""Rate, errors and duration of one service: where they are not what they should be.

A day is judged by what days before it taught, minutes of incidents left out of the lesson; what lasts longer than
`ACCEPTED` is the new normal. Nothing at a time depends on what came later.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from windvane.analytics.red_rules import (
    FIRST_SPREAD,
    LATENCY_EFFECT,
    LATENCY_WINDOWS,
    LEARNT,
    RATE_WINDOWS,
    UNSEEN_LATENCY,
    UNSEEN_RATE,
    YOUNG_TIMES,
    Noise,
    Tested,
    failing,
    few_requests,
    rate_spread,
    slow_answers,
    standing,
)
from windvane.analytics.seasonal import (
    RECENT_DAYS,
    SMOOTHING,
    Flags,
    Floats,
    Grid,
    local_level,
    smoothed,
    spread_of,
    views,
)
from windvane.analytics.usual_failures import usual_failures

Signal = Literal["errors", "latency", "rate"]
ACCEPTED = 86_400
"""Seconds of an incident that are kept out of what is learnt."""
GAP = 30 * 60
"""Seconds of quiet after which oddness of the same signal is another incident."""


@dataclass(frozen=True, slots=True)
class RedFrame:
    """A service's series: Unix seconds (ascending, on a grid of `step`), requests and errors of each step, and
    latency in milliseconds (a high quantile). NaN is unknown: a gap, or a latency of no requests."""

    times: npt.NDArray[np.int64]
    requests: Floats
    errors: Floats
    latency: Floats
    step: int = 60


@dataclass(frozen=True, slots=True)
class Incident:
    """A stretch in which one signal was odd: `start` and `end` are the first and last odd times (Unix seconds),
    `factor` the largest departure (seen over expected; for errors, over the usual share or the budget), `open` if it
    reaches the end."""

    signal: Signal
    start: int
    end: int
    factor: float
    open: bool


@dataclass(frozen=True, slots=True)
class Judged:
    """Odd times of each signal on the given times, with expectations (NaN where nothing is expected)."""

    times: npt.NDArray[np.int64]
    odd: dict[Signal, Flags]
    factor: dict[Signal, Floats]
    expected_rate: Floats
    expected_latency: Floats
    expected_errors: Floats


@dataclass
class _Learner:
    """One signal over the grid: values that may be learnt, days smoothed, what was expected."""

    grid: Grid
    values: Floats
    """Logarithms are taken after smoothing for counts, before it for latency: see `logs`."""
    lowest: bool
    """The lower view is expected (a rate may fall to it); else the higher."""
    counts: bool
    past: Floats = field(init=False)
    expected: Floats = field(init=False)
    unseen: Flags = field(init=False)
    odd: Flags = field(init=False)
    _logs: Floats = field(init=False)
    _shapes: Floats = field(init=False)

    def __post_init__(self) -> None:
        size = len(self.values)
        self._logs = np.log(np.maximum(self.values, 0.5)) if self.counts else self.values
        self._shapes = np.full(size, np.nan)
        self.past = np.full((self.grid.days, self.grid.slots), np.nan)
        self.expected = np.full(size, np.nan)
        self.unseen = np.zeros(size, bool)
        self.odd = np.zeros(size, bool)

    def expect(self, day: int) -> slice:
        """Fill in what is expected of a day (logarithms); its place in the flat arrays."""
        here = slice(day * self.grid.slots, (day + 1) * self.grid.slots)
        recent, week = views(self.past, day)
        both = np.fmin(recent, week) if self.lowest else np.fmax(recent, week)
        missing = ~np.isfinite(both)
        if missing.any():
            both[missing] = local_level(self._logs, here.start, here.stop, self.grid.step)[missing]
        self.expected[here] = np.fmin(both, self._at_own_level(here, recent)) if self.counts else both
        self.unseen[here] = ~np.isfinite(week)
        return here

    def _at_own_level(self, here: slice, recent: Floats) -> Floats:
        """The recent days' shape at the level of this day's last hours: a quiet day is quiet all day."""
        self._shapes[here] = recent
        residual = self._logs[: here.stop] - self._shapes[: here.stop]
        level = local_level(residual, here.start, here.stop, self.grid.step)
        return recent + np.maximum(level, math.log(UNSEEN_RATE))

    def learn(self, day: int) -> None:
        """Keep a day that is over, without what was odd in it."""
        here = slice(day * self.grid.slots, (day + 1) * self.grid.slots)
        values = np.where(excluded(self.odd[: here.stop], self.grid.step)[here], np.nan, self.values[here])
        width = max(1, SMOOTHING // self.grid.step)
        row = smoothed(values, width)
        self.past[day] = np.log(np.maximum(row, 0.5 / width)) if self.counts else row

    def recent(self, day: int) -> slice:
        """The days that scales are learnt from."""
        return slice(max(0, day - RECENT_DAYS) * self.grid.slots, day * self.grid.slots)


def excluded(odd: Flags, step: int) -> Flags:
    """Odd points and what lies between near ones, but not what comes after an incident became normal."""
    mask = np.zeros(len(odd), bool)
    for start, end in stretches(odd, GAP // step):
        mask[max(0, start - GAP // step // 2) : min(end, start + ACCEPTED // step) + 1] = True
    return mask


def stretches(odd: Flags, gap: int) -> list[tuple[int, int]]:
    """First and last index of runs of odd points that lie at most `gap` apart."""
    at = np.flatnonzero(odd)
    if not len(at):
        return []
    cuts = np.flatnonzero(np.diff(at) > gap)
    return [(int(a), int(b)) for a, b in zip(at[np.r_[0, cuts + 1]], at[np.r_[cuts, len(at) - 1]], strict=True)]


def judge_red(frame: RedFrame, slo: float = 0.999) -> Judged:
    """Judge every time of a frame by what came before it. `slo` is the share of requests that must not fail."""
    grid = Grid.over(frame.times, frame.step)
    requests, errors = grid.spread(frame.requests), grid.spread(frame.errors)
    with np.errstate(invalid="ignore", divide="ignore"):
        slow = np.log(grid.spread(frame.latency))
    slow[~np.isfinite(slow)] = np.nan
    rate, latency = _Learner(grid, requests, lowest=True, counts=True), _Learner(grid, slow, lowest=False, counts=False)
    fewer, slower = np.ones(len(requests)), np.ones(len(requests))
    for day in range(grid.days):
        _judge_rate(rate, day, fewer)
        _judge_latency(latency, requests, day, slower)
        rate.learn(day)
        latency.learn(day)
    usual = usual_failures(grid, requests, errors)
    least = np.where(np.arange(len(usual)) < grid.slots, YOUNG_TIMES, 1.0)
    failed = failing(requests, errors, 1.0 - slo, frame.step, (usual, least))
    at = grid.index
    return Judged(
        frame.times,
        {"errors": failed.odd[at], "latency": latency.odd[at], "rate": rate.odd[at]},
        {"errors": failed.factor[at], "latency": slower[at], "rate": fewer[at]},
        np.exp(rate.expected[at]),
        np.exp(latency.expected[at]),
        np.maximum(1.0 - slo, usual[at]),
    )


def _judge_rate(rate: _Learner, day: int, factor: Floats) -> None:
    here, lesson = rate.expect(day), rate.recent(day)
    window = slice(max(0, here.start - max(RATE_WINDOWS)), here.stop)
    clean = np.where(excluded(rate.odd[lesson], rate.grid.step), np.nan, rate.values[lesson])
    usual, due = np.exp(rate.expected[lesson]), np.exp(rate.expected[window])
    found: Tested | None = None
    for width in RATE_WINDOWS:
        spread = rate_spread(clean, usual, width) if day else FIRST_SPREAD
        one = few_requests(rate.values[window], due, width, spread, rate.unseen[window])
        found = one if found is None else found.joined(one)
    assert found is not None
    today = slice(here.start - window.start, None)
    rate.odd[here], factor[here] = found.odd[today], found.factor[today]


def _judge_latency(latency: _Learner, requests: Floats, day: int, factor: Floats) -> None:
    here, lesson = latency.expect(day), latency.recent(day)
    window = slice(max(0, here.start - max(LATENCY_WINDOWS)), here.stop)
    residual = latency.values - latency.expected
    clean = np.where(excluded(latency.odd[lesson], latency.grid.step), np.nan, residual[lesson])
    noise = Noise.learnt(clean, requests[lesson])
    before, now = noise.of(requests[lesson]), noise.of(requests[window])
    effect = np.where(latency.unseen[window], UNSEEN_LATENCY, LATENCY_EFFECT)
    found: Tested | None = None
    for width in LATENCY_WINDOWS:
        one = slow_answers(residual[window], now, width, _excess(clean, before, width), effect)
        found = one if found is None else found.joined(one)
    assert found is not None
    today = slice(here.start - window.start, None)
    latency.odd[here], factor[here] = found.odd[today], found.factor[today]


def _excess(residual: Floats, noise: Floats, width: int) -> float:
    """How much more windows stray than independent minutes would: 1 or more."""
    if np.isfinite(residual).sum() < LEARNT:
        return 1.0
    mean, deviation = standing(residual, noise, width)
    return max(1.0, spread_of(mean / deviation))


def incidents(judged: Judged, step: int) -> list[Incident]:
    """Odd times of each signal joined into incidents, by their start."""
    found: list[Incident] = []
    for signal, odd in judged.odd.items():
        factor, strongest = judged.factor[signal], np.argmin if signal == "rate" else np.argmax
        for start, end in stretches(odd, GAP // step):
            at = start + int(strongest(factor[start : end + 1]))
            reaches = (len(odd) - 1 - end) * step <= GAP // 6
            times = judged.times
            found.append(Incident(signal, int(times[start]), int(times[end]), float(factor[at]), reaches))
    return sorted(found, key=lambda one: (one.start, one.signal))
