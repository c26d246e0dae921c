"""How detectors and forecasts are scored: NAB's score, events found, precision over all thresholds, scaled errors.

NAB: Lavin and Ahmad, 2015, version 1.1 of the benchmark. Events: an alert episode (gaps of three points bridged) within
two points of a labelled segment is right, a segment with an alert is found. VUS-PR: Paparrizos et al., VLDB 2022.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
FALSE, MISSED = 0.11, 1.0
"""NAB's standard profile: what a false alert costs, and a window that was missed; a window that is found brings 1."""
PROBATION = 0.15


@dataclass(frozen=True)
class Labelled:
    """A series with what is known to be odd: windows (first and last index) or flags of points."""

    name: str
    times: NDArray[np.int64]
    values: Floats
    windows: tuple[tuple[int, int], ...] = ()
    odd: Flags | None = None


def nab(series: Sequence[Labelled], scores: Sequence[Floats], threshold: float | None = None) -> tuple[float, float]:
    """NAB's standard score (0: nothing said, 100: perfect), and its threshold: the best of all unless one is given."""
    parts = [_worth(one, score) for one, score in zip(series, scores, strict=True)]
    windows, labels = sum(part[3] for part in parts), sum(len(one.windows) for one in series)
    score, worth = np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])
    shift = np.cumsum([0, *[len(one.windows) for one in series]])
    window = np.concatenate([np.where(part[2] >= 0, part[2] + shift[at], -1) for at, part in enumerate(parts)])
    order = np.argsort(-score, kind="stable")
    total, best, at = -MISSED * windows, (-MISSED * windows, 1.1), None
    found: dict[int, float] = {}
    last = math.inf
    for one, value, where in zip(score[order].tolist(), worth[order].tolist(), window[order].tolist(), strict=True):
        if one != last:
            best = max(best, (total, last), key=lambda pair: pair[0]) if last < math.inf else best
            if threshold is not None and at is None and one < threshold:
                at = total
            last = one
        before = found.get(where, -MISSED)
        if where < 0:
            total += value
        elif value > before:
            total, found[where] = total + value - before, value
    best = max(best, (total, last), key=lambda pair: pair[0])
    raw, mark = best if threshold is None else (total if at is None else at, threshold)
    return 100 * (raw + MISSED * labels) / ((1 + MISSED) * labels), mark


def _sigmoid(place: float) -> float:
    return -1.0 if place > 3 else 2 / (1 + math.exp(5 * place)) - 1


def _worth(one: Labelled, score: Floats) -> tuple[Floats, Floats, NDArray[np.int64], int]:
    """After the probation: scores, what an alert there is worth, in which window it is, and how many windows are."""
    size = len(score)
    worth, window = np.full(size, -FALSE), np.full(size, -1)
    for number, (first, last) in enumerate(one.windows):
        after = one.windows[number + 1][0] if number + 1 < len(one.windows) else size
        for at in range(first, last + 1):
            window[at] = number
            worth[at] = _sigmoid(-(last - at + 1) / (last - first + 1)) / _sigmoid(-1.0)
        for at in range(last + 1, after):
            worth[at] = FALSE * _sigmoid((at - last) / (last - first))
    begin = math.ceil(min(math.floor(PROBATION * size), PROBATION * 5_000))
    return score[begin:], worth[begin:], window[begin:], len(set(window[begin:].tolist()) - {-1})


@dataclass(frozen=True)
class Events:
    """What alerts found of a set of series."""

    f1: float
    precision: float
    recall: float
    false_a_day: float


def events(series: Sequence[Labelled], alerts: Sequence[Flags]) -> Events:
    """Labelled segments found, and alert episodes that were right, after the probation."""
    hit = segments = right = episodes = 0
    days = 0.0
    for one, alert in zip(series, alerts, strict=True):
        assert one.odd is not None
        begin = int(PROBATION * len(alert))
        odd, told = _runs(one.odd[begin:]), _runs(alert[begin:], 3)
        near = [[q >= s - 2 and p <= e + 2 for p, q in told] for s, e in odd]
        hit, segments = hit + sum(any(row) for row in near), segments + len(odd)
        right, episodes = right + int(np.any(near, axis=0).sum()) if odd and told else right, episodes + len(told)
        days += (one.times[-1] - one.times[begin]) / 86_400
    recall, precision = hit / max(segments, 1), right / max(episodes, 1)
    return Events(
        2 * precision * recall / max(precision + recall, 1e-9), precision, recall, (episodes - right) / max(days, 1e-9)
    )


def best_events(series: Sequence[Labelled], scores: Sequence[Floats]) -> tuple[Events, float]:
    """The best F1 of one threshold for all series, and the threshold."""
    every = np.concatenate(scores)
    marks = np.unique(np.quantile(every[every > 0], 1 - np.geomspace(2e-4, 0.2, 40)))
    tried = [(events(series, [score >= mark for score in scores]), float(mark)) for mark in marks]
    return max(tried, key=lambda pair: pair[0].f1)


def held_out(series: Sequence[Labelled], scores: Sequence[Floats]) -> float:
    """F1 of each half of the series (every other one) at the threshold that is best for the other half: their mean."""
    halves = [list(range(0, len(series), 2)), list(range(1, len(series), 2))]
    found = []
    for mine, other in (halves, halves[::-1]):
        _, mark = best_events([series[at] for at in other], [scores[at] for at in other])
        found.append(events([series[at] for at in mine], [scores[at] >= mark for at in mine]).f1)
    return float(np.mean(found))


def _runs(flags: Flags, gap: int = 0) -> list[tuple[int, int]]:
    """First and last index of each run; runs up to `gap` points apart are one."""
    edges = np.diff(np.concatenate([[0], flags.astype(int), [0]]))
    found: list[tuple[int, int]] = []
    for first, after in zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True):
        if found and first - found[-1][1] <= gap:
            found[-1] = (found[-1][0], after - 1)
        else:
            found.append((first, after - 1))
    return found


def vus_pr(series: Sequence[Labelled], scores: Sequence[Floats]) -> float:
    """Volume under the precision-recall surface over label buffers, mean of the series that have labels."""
    found = []
    for one, score in zip(series, scores, strict=True):
        assert one.odd is not None
        begin = int(PROBATION * len(score))
        if one.odd[begin:].any():
            long = 12 if float(np.median(np.diff(one.times))) >= 600 else 30
            found.append(_volume(one.odd[begin:], score[begin:], long))
    return float(np.mean(found))


def _volume(odd: Flags, score: Floats, longest: int, marks: int = 100) -> float:
    size, segments = len(odd), _runs(odd)
    ordered = np.sort(score)[::-1]
    told = [score >= mark for mark in ordered[np.linspace(0, size - 1, marks).astype(int)]]
    areas = []
    for buffer in range(longest + 1):
        soft = _softened(odd, segments, buffer)
        wide = _runs(soft > 0)
        recall, precision = [0.0], []
        for flags in told:
            label = np.where(odd, 1.0, soft * flags)
            true = float((label * flags).sum())
            weight = (odd.sum() + float(label[soft > 0].sum())) / 2
            seen = sum(bool(flags[first : last + 1].any()) for first, last in wide) / len(wide)
            recall.append(min(true / weight, 1.0) * seen)
            precision.append(true / flags.sum())
        areas.append(float(np.sum(np.diff(recall) * np.array(precision))))
    return float(np.mean(areas))


def _softened(odd: Flags, segments: Sequence[tuple[int, int]], buffer: int) -> Floats:
    soft = odd.astype(float)
    for first, last in segments if buffer else ():
        after = np.arange(last + 1, min(last + buffer // 2 + 1, len(odd)))
        soft[after] += np.sqrt(1 - (after - last) / buffer)
        before = np.arange(max(first - buffer // 2, 0), first)
        soft[before] += np.sqrt(1 - (first - before) / buffer)
    return np.minimum(soft, 1.0)


Ahead = Callable[[NDArray[np.int64], Floats, int, int], tuple[Floats, Floats, Floats]]
"""Times, values, steps ahead, step: the mean and the bounds of the 95 % band."""


def scaled_error(times: NDArray[np.int64], values: Floats, short: bool, ahead: Ahead) -> tuple[float, float]:
    """Mean absolute scaled error over rolling origins (1: what repeating yesterday erred by in the past), and the
    share of true values within the band. An hour (three steps at least) ahead if `short`, or a day."""
    step = int(times[1] - times[0])
    day = 86_400 // step
    horizon = max(3, 3_600 // step) if short else day
    size, unit = len(values), horizon if short else day
    folds = min(6, (size - 4 * day) // unit)
    gap = max(horizon, (size - 4 * day - horizon) // max(folds, 1) // 2) if short else day
    errors, inside = [], []
    for fold in range(folds):
        cut = size - horizon - fold * gap
        if cut < 3 * day:
            break
        past, truth = values[:cut], values[cut : cut + horizon]
        scale = float(np.mean(np.abs(past[day:] - past[:-day]))) or 1.0
        mean, low, high = ahead(times[:cut], past.copy(), horizon, step)
        errors.append(float(np.mean(np.abs(truth - mean))) / scale)
        inside.append(float(np.mean((truth >= low) & (truth <= high))))
    return float(np.mean(errors)), float(np.mean(inside))
