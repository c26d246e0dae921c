"""The share of requests that usually fails, of every scope: an anomaly is what is beyond it, not beyond an objective.

Of days that are over it is their median; before that, of the half-hours of the first day; and before one is over, of
the first minutes. Minutes that were odd are left out of it, for a day. Until something is known nothing is odd.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from windvane.analytics import usual_failures
from windvane.analytics.baselines.rings import Rings, Small
from windvane.analytics.baselines.sums import counted
from windvane.analytics.red_rules import YOUNG_TIMES
from windvane.analytics.seasonal import RECENT_DAYS, Flags, Floats, medians
from windvane.analytics.usual_failures import share, upper_share

BLOCK = usual_failures.BLOCK // 60
"""Minutes."""
BLOCKS = 48
NEWEST = usual_failures.NEWEST // 60
"""Minutes that a young scope's usual share is not made of: they may be the fault that is looked for."""
LEAST = 2
"""Minutes without which a scope's share is not known."""


class Usual:
    """`share` is the usual one; 1 where it is not known. `least` is how many times that something odd must fail: what
    less than a day has told is not known well."""

    def __init__(self, rows: int) -> None:
        self.share: Floats = np.ones(rows)
        self.least: Floats = np.full(rows, YOUNG_TIMES)
        self.days: Small = np.full((rows, RECENT_DAYS), np.nan, np.float32)
        self.blocks: Small = np.full((rows, BLOCKS), np.nan, np.float32)
        self.day: Floats = np.zeros((rows, 2))
        """Requests and failures of the day that runs."""
        self.block: Floats = np.zeros((rows, 2))

    def learn(self, rows: slice, begin: int, requests: Floats, errors: Floats) -> None:
        """Learn minutes from `begin` (minutes since the epoch) on: scopes x minutes, NaN for what is not learnt."""
        known = np.isfinite(requests)
        many, bad = counted(requests), np.where(known, counted(errors), 0.0)
        self.day[rows] += np.stack([many.sum(axis=1), bad.sum(axis=1)], axis=1)
        place = (begin + np.arange(many.shape[1])) // BLOCK
        for one in np.unique(place):
            here = place == one
            self.block[rows] += np.stack([many[:, here].sum(axis=1), bad[:, here].sum(axis=1)], axis=1)
            if (begin + int(np.flatnonzero(here)[-1]) + 1) % BLOCK == 0:
                self.blocks[rows, one % BLOCKS] = upper_share(*self.block[rows].T)
                self.block[rows] = 0.0

    def close(self, rows: slice, day: int) -> None:
        """The day is over."""
        self.days[rows, day % RECENT_DAYS] = share(*self.day[rows].T)
        self.day[rows] = 0.0

    def refresh(self, rows: slice, rings: Rings, born: npt.NDArray[np.int64]) -> None:
        """What is usual from now on. `born` is the first minute that counts, of each of the rows."""
        found = medians(self.days[rows].T.astype(np.float64))
        self.least[rows] = np.where(np.isfinite(found), 1.0, YOUNG_TIMES)
        if (missing := ~np.isfinite(found)).any():
            found[missing] = medians(self.blocks[rows].T.astype(np.float64))[missing]
        if (missing := ~np.isfinite(found)).any():
            found[missing] = _first(rows, rings, born)[missing]
        self.share[rows] = np.where(np.isfinite(found), found, 1.0)

    def adopt(self, row: int, other: int) -> None:
        """A new scope is a part of another."""
        for one in (self.share, self.least, self.days, self.blocks):
            one[row] = one[other]


def _first(rows: slice, rings: Rings, born: npt.NDArray[np.int64]) -> Floats:
    """The share of minutes that are in the rings, but for the newest and what was odd."""
    here = slice(rings.end - min(rings.end, BLOCK * 4), max(0, rings.end - NEWEST))
    minute = rings.next - rings.end + np.arange(here.start, here.stop)
    odd: Flags = rings.odd[rows, 0, here]
    requests = rings.requests[rows, here]
    known = np.isfinite(requests) & ~odd & (minute >= born[:, None])
    many = np.where(known, requests, 0.0).sum(axis=1)
    bad = np.where(known, counted(rings.errors[rows, here]), 0.0).sum(axis=1)
    return np.where(known.sum(axis=1) >= LEAST, upper_share(many, bad), np.nan)
