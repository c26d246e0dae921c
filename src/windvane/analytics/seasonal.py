"""What a minute of a series should have been, from the same minutes of days before: robust, causal, gaps unknown.

A series lies on a regular grid of days x slots; NaN is unknown. Two views of a day are made of days before it:
the recent ones (a median over a week) and the same weekday of earlier weeks. A value is odd only where it is odd
in both, so neither a weekend nor one unlike week needs a calendar. Before a day has passed, a lagging median of
the last hours stands in. Everything works on logarithms; a factor is a difference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

DAY = 86_400
WEEK = 7
RECENT_DAYS = 7
"""Days of the recent view: a whole week, so that its median is a usual day's and not the weekend's."""
SAME_WEEKDAYS = 3
"""Weeks of the other view: the fewest whose median outvotes one unlike week."""
SMOOTHING = 15 * 60
"""Seconds around a slot whose values are taken together: less noise than a minute, shorter than daily ramps."""
LAG = 10 * 60
LOCAL = 120 * 60
"""The stand-in looks at [t - LOCAL, t - LAG]: an incident cannot become normal within half of that."""
LOCAL_EVERY = 5 * 60
LOCAL_LEAST = 20
"""Known points below which even the stand-in says nothing."""


@dataclass(frozen=True, slots=True)
class Grid:
    """A regular grid that begins at midnight UTC: `slots` a day of `step` seconds, over `days`.

    `first` is the grid index of the first point that was given; `size` points follow.
    """

    step: int
    slots: int
    days: int
    first: int
    size: int
    index: npt.NDArray[np.int64]

    @classmethod
    def over(cls, times: npt.NDArray[np.int64], step: int) -> Grid:
        """The grid of these times (Unix seconds, ascending); `step` must divide a day."""
        if step <= 0 or DAY % step:
            raise ValueError(f"step {step} does not divide a day")
        if len(times) and (np.diff(times) <= 0).any():
            raise ValueError("times do not ascend")
        slots = DAY // step
        start = (int(times[0]) if len(times) else 0) // DAY * DAY
        index = (np.asarray(times, np.int64) - start) // step
        last = int(index[-1]) if len(index) else -1
        first = int(index[0]) if len(index) else 0
        return cls(step, slots, last // slots + 1, first, last + 1 - first, index)

    def spread(self, values: Floats) -> Floats:
        """Values at their places, NaN elsewhere: `days` x `slots`, flat."""
        flat = np.full(self.days * self.slots, np.nan)
        flat[self.index] = values
        return flat


def smoothed(values: Floats, width: int) -> Floats:
    """Mean of the known values within a centred window of `width` slots, along the last axis; NaN where none is."""
    known = np.isfinite(values)
    sums = _window_sums(np.where(known, values, 0.0), width)
    counts = _window_sums(known.astype(float), width)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 0.5, sums / counts, np.nan)


def _window_sums(values: Floats, width: int) -> Floats:
    half = width // 2
    pad = [(0, 0)] * (values.ndim - 1) + [(half + 1, half)]
    total = np.cumsum(np.pad(values, pad), axis=-1)
    return np.asarray(total[..., 2 * half + 1 :] - total[..., : -2 * half - 1])


def medians(rows: Floats) -> Floats:
    """Median over the first axis of the known values; NaN where none is."""
    if not len(rows):
        return np.full(rows.shape[1:], np.nan)
    ordered = np.sort(rows, axis=0)  # NaN last
    known = np.isfinite(rows).sum(axis=0)
    low, high = (np.maximum(known - 1, 0) // 2)[None], (known // 2)[None]
    low, high = np.minimum(low, len(rows) - 1), np.minimum(high, len(rows) - 1)
    return np.asarray((np.take_along_axis(ordered, low, 0) + np.take_along_axis(ordered, high, 0))[0] / 2)


def views(past: Floats, day: int) -> tuple[Floats, Floats]:
    """What days before `day` say of its slots: the recent days' median, and the same weekday's of earlier weeks.

    `past` is days x slots and already smooth; NaN where nothing is known, all of it where no such day is.
    """
    recent = past[max(0, day - RECENT_DAYS) : day]
    weeks = [day - WEEK * back for back in range(1, SAME_WEEKDAYS + 1) if day - WEEK * back >= 0]
    return medians(recent), medians(past[weeks])


def local_level(values: Floats, begin: int, end: int, step: int) -> Floats:
    """The lagging median before each of the points [begin, end) of a flat series, NaN where too little is known.

    It is taken anew every `LOCAL_EVERY` seconds and holds until then.
    """
    lag, width, every = LAG // step, (LOCAL - LAG) // step, max(1, LOCAL_EVERY // step)
    padded = np.concatenate([np.full(width + lag, np.nan), values[:end]])
    rows = np.lib.stride_tricks.sliding_window_view(padded[begin : end + width], width)[: end - begin : every]
    level = np.where(np.isfinite(rows).sum(axis=1) >= LOCAL_LEAST, medians(rows.T), np.nan)
    return np.repeat(level, every)[: end - begin]


def spread_of(values: Floats) -> float:
    """A normal's standard deviation from the median absolute one around zero; NaN of nothing known."""
    known = np.abs(values[np.isfinite(values)])
    return float(np.median(known)) * 1.4826 if len(known) else float("nan")
