"""Loops over single series: running medians, ranks, records, fading means. Everything looks back only."""

from __future__ import annotations

import numpy as np

from windvane.analytics.seasonal import Floats
from windvane.promql.jit import kernel


@kernel
def lagging_median(values: Floats, width: int, least: int) -> Floats:
    """Of each point the median of the `width` values before it, NaN with fewer than `least` of them."""
    size = len(values)
    ordered, found, held = np.empty(width + 1), np.full(size, np.nan), 0
    for at in range(size):
        if at > 0:
            new = values[at - 1]
            place = np.searchsorted(ordered[:held], new)
            for shift in range(held, place, -1):
                ordered[shift] = ordered[shift - 1]
            ordered[place] = new
            held += 1
        if at > width:
            place = np.searchsorted(ordered[:held], values[at - 1 - width])
            for shift in range(place, held - 1):
                ordered[shift] = ordered[shift + 1]
            held -= 1
        if held >= least:
            found[at] = (ordered[held // 2] + ordered[(held - 1) // 2]) / 2
    return found


@kernel
def same_time_median(values: Floats, day: int, days: int, least: int) -> Floats:
    """Of each point the median of the values at its time, one before and one after, on the `days` days before."""
    size = len(values)
    found, near = np.full(size, np.nan), np.empty(3 * days)
    for at in range(size):
        held = 0
        for back in range(1, days + 1):
            for beside in range(-1, 2):
                place = at - back * day + beside
                if place >= 0:
                    near[held] = values[place]
                    held += 1
        if held >= least:
            ordered = np.sort(near[:held])
            found[at] = (ordered[held // 2] + ordered[(held - 1) // 2]) / 2
    return found


@kernel
def surprise(scores: Floats, settle: int) -> Floats:
    """-log10 of each score's rank among those up to it: 2 is the highest of a hundred. Ties count half.

    The first `settle` scores, of when little was known, are forgotten once as many more have come.
    """
    size, held = len(scores), 0
    ordered, found = np.empty(size), np.zeros(size)
    for at in range(size):
        if settle > 0 and at == 2 * settle:
            held = settle
            ordered[:held] = np.sort(scores[settle:at])
        low = np.searchsorted(ordered[:held], scores[at])
        high = np.searchsorted(ordered[:held], scores[at], side="right")
        found[at] = -np.log10((1.0 + (held - high) + 0.5 * (high - low)) / (held + 1.0))
        for shift in range(held, low, -1):
            ordered[shift] = ordered[shift - 1]
        ordered[low] = scores[at]
        held += 1
    return found


@kernel
def records(scores: Floats, width: int) -> Floats:
    """Scores that exceed all of the `width` before them; nought elsewhere."""
    size = len(scores)
    found, waiting, first, last = np.zeros(size), np.empty(size, np.int64), 0, 0
    for at in range(size):
        while first < last and waiting[first] < at - width:
            first += 1
        if first == last or scores[at] > scores[waiting[first]]:
            found[at] = scores[at]
        while first < last and scores[waiting[last - 1]] <= scores[at]:
            last -= 1
        waiting[last] = at
        last += 1
    return found


@kernel
def fading(scores: Floats, keep: float) -> Floats:
    """Each score, or what is left of the ones before it, which lose `1 - keep` a point."""
    found = scores.copy()
    for at in range(1, len(scores)):
        found[at] = max(found[at], keep * found[at - 1])
    return found


@kernel
def leaning(values: Floats, keep: float, first: int) -> Floats:
    """Mean of the values from `first` up to each, which count by the power of `keep` of how far back they are."""
    found, total, weight = np.zeros(len(values)), 0.0, 0.0
    for at in range(first, len(values)):
        total, weight = keep * total + values[at], keep * weight + 1.0
        found[at] = total / weight
    return found


@kernel
def tired(records: Floats, threshold: float, weary: float, keep: float) -> Floats:
    """Records less `weary` for each tenfold of alerts (one and more) that were; `keep` of those is left a point on."""
    found, alerts = np.zeros(len(records)), 0.0
    for at in range(len(records)):
        alerts *= keep
        if records[at] > 0:
            found[at] = records[at] - weary * np.log10(1.0 + alerts)
            if found[at] >= threshold:
                alerts += 1.0
    return found
