"""Levels of the last hours: how busy this day is, and what stands in until days have taught something."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from windvane.analytics.baselines.rings import Rings
from windvane.analytics.red_rules import UNSEEN_RATE
from windvane.analytics.seasonal import LAG, LOCAL, LOCAL_EVERY, LOCAL_LEAST, Flags, Floats

BACK, BEHIND, EVERY = LOCAL // 60, LAG // 60, LOCAL_EVERY // 60
"""Minutes: levels look at [t - BACK, t - BEHIND], every EVERY minutes."""
YOUNG_BEHIND, YOUNG_LEAST = 2, 4
"""Of a latency of which less is known: so many minutes behind, and so many known ones at least."""
_AT_ONCE = 5
"""Blocks up to this long have their stand-ins made every minute."""


class Levels:
    """The last level of every scope, held until the next is made: NaN until there is one."""

    def __init__(self, rows: int) -> None:
        self.moved: Floats = np.full(rows, np.nan)
        """This day's log rate over the recent days' shape."""
        self.logs: Floats = np.full(rows, np.nan)
        """Log rate, where there is no shape."""
        self.slow: Floats = np.full(rows, np.nan)
        self.slow_known: Floats = np.zeros(rows)
        """Log latency, and how many minutes it is made of."""

    def rate(self, rows: slice, rings: Rings, first: int, due: Floats, shape: Floats) -> Floats:
        """Log rates that are due in new minutes from `first` on: the lower of what days say and of the shape at this
        day's own level, which a quiet day has all day."""
        size = due.shape[1]
        at = [place for place in range(size) if (first + place) % EVERY == 0]
        moved, logs = self.moved[rows], self.logs[rows]
        missing = ~np.isfinite(due).all(axis=1)
        found = plain = np.empty((len(due), 0))
        if at:
            part = slice(rings.end - size - BACK, rings.end)
            told = np.log(np.maximum(rings.requests[rows, part], np.float32(0.5)))
            found = _lagging(told - rings.rate_shape[rows, part], at, BEHIND)[0]
            plain = np.full(found.shape, np.nan)
            if missing.any():
                plain[missing] = _lagging(told[missing], at, BEHIND)[0]
        level = _held(moved, found, at, size)
        stand_in = _held(logs, plain, at, size)
        own = shape + np.maximum(level, math.log(UNSEEN_RATE))
        return np.fmin(np.where(np.isfinite(due), due, stand_in), own)

    def slow_due(self, rows: slice, rings: Rings, first: int, due: Floats, usual: Flags) -> tuple[Floats, Floats]:
        """Log latencies that are due in new minutes from `first` on, and of how many minutes each is made: infinite
        where days say. `usual` tells which of the last `BACK` minutes and the new ones were not odd."""
        size, known = due.shape[1], np.full(due.shape, np.inf)
        lacking = np.flatnonzero(~np.isfinite(due).all(axis=1))
        if not len(lacking):
            return due, known
        every = 1 if size <= _AT_ONCE else EVERY
        at = [place for place in range(size) if (first + place) % every == 0]
        part = slice(rings.end - size - BACK, rings.end)
        clean = np.where(usual[lacking], rings.slow[rows, part][lacking], np.float32(np.nan))
        level, many = _lagging(clean, at, BEHIND)
        near, few = _lagging(clean[:, BACK - 4 * LOCAL_LEAST :], at, YOUNG_BEHIND, 4 * LOCAL_LEAST)
        enough, some = many >= LOCAL_LEAST, few >= YOUNG_LEAST
        level = np.where(enough, level, np.where(some, near, np.nan))
        held, held_known = self.slow[rows], self.slow_known[rows]
        own, own_known = held[lacking], held_known[lacking]
        stand_in = _held(own, level, at, size, keep=True)
        counted = _held(
            own_known, np.where(np.isfinite(level), np.where(enough, many, few), np.nan), at, size, keep=True
        )
        held[lacking], held_known[lacking] = own, own_known
        missing = ~np.isfinite(due[lacking])
        due[lacking] = np.where(missing, stand_in, due[lacking])
        known[lacking] = np.where(missing, np.maximum(counted, 1.0), np.inf)
        return due, known


def _lagging(
    values: npt.NDArray[np.floating], at: list[int], behind: int, back: int = BACK
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Medians of the known of [t - back, t - behind) for each t in `at`, and how many are known; NaN of fewer than
    `LOCAL_LEAST` (of fewer than `YOUNG_LEAST`, where they lie near). Columns begin `back` before the first t."""
    least = LOCAL_LEAST if behind == BEHIND else YOUNG_LEAST
    found = np.full((len(values), len(at)), np.nan)
    counts = np.zeros(found.shape, np.int64)
    for place, one in enumerate(at):
        rows = np.sort(values[:, one : one + back - behind], axis=1)  # unknown last
        many = np.isfinite(rows).sum(axis=1)
        low, high = np.maximum(many - 1, 0) // 2, np.minimum(many // 2, rows.shape[1] - 1)
        line = np.arange(len(rows))
        found[:, place] = np.where(many >= least, (rows[line, low] + rows[line, high]) / 2.0, np.nan)
        counts[:, place] = many
    return found, counts


def _held(held: Floats, found: Floats, at: list[int], size: int, *, keep: bool = False) -> Floats:
    """Levels of each minute: the last one that was made (`keep`: that was known); `held` becomes the newest."""
    levels = np.empty((len(held), size))
    begin = 0
    for place, one in enumerate(at):
        levels[:, begin:one] = held[:, None]
        held[:] = np.where(np.isfinite(found[:, place]), found[:, place], held) if keep else found[:, place]
        begin = one
    levels[:, begin:] = held[:, None]
    return levels
