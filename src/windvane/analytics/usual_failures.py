"""The share of a service's requests that usually fails, at every time, by what came before it.

Of days that are over it is the median of seven (the least of one or two); in the first day, that of the half-hours
that are over; before one is, the first minutes' share. `baselines.usual` keeps the same for many scopes.
"""

from __future__ import annotations

import numpy as np

from windvane.analytics.seasonal import RECENT_DAYS, Floats, Grid

BLOCK = 1_800
"""Seconds."""
NEWEST = 180
"""Seconds that the first minutes' share is not made of."""


def usual_failures(grid: Grid, requests: Floats, errors: Floats) -> Floats:
    """Shares on the flat grid (days x slots); 1 where nothing is known yet."""
    many = np.where(np.isfinite(requests), requests, 0.0)
    bad = np.where(np.isfinite(requests), np.nan_to_num(errors), 0.0)
    found = np.empty(len(many))
    found[: grid.slots] = _first_day(many[: grid.slots], bad[: grid.slots], grid.step)
    shares = share(many.reshape(grid.days, -1).sum(axis=1), bad.reshape(grid.days, -1).sum(axis=1))
    for day in range(1, grid.days):
        known = shares[max(0, day - RECENT_DAYS) : day]
        known = known[np.isfinite(known)]
        usual = float(np.median(known) if len(known) > 2 else known.min(initial=1.0))
        found[day * grid.slots : (day + 1) * grid.slots] = usual
    return found


def _first_day(many: Floats, bad: Floats, step: int) -> Floats:
    size, newest = max(1, BLOCK // step), max(1, NEWEST // step)
    found = np.ones(len(many))
    for at in range(0, len(many), newest):
        here = slice(at, at + newest)
        over = (at - size) // size
        sums = [values[: max(0, over) * size].reshape(-1, size).sum(axis=1) for values in (many, bad)]
        blocks = upper_share(*sums)
        blocks = blocks[np.isfinite(blocks)]
        if len(blocks):
            found[here] = float(np.median(blocks))
            continue
        known = slice(max(0, at - newest))
        first = upper_share(many[known].sum(), bad[known].sum())
        if np.isfinite(first):
            found[here] = first
    return found


def share(many: Floats, bad: Floats) -> Floats:
    """What share failed; NaN where nothing was asked."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(many > 0, bad / many, np.nan))


def upper_share(many: Floats, bad: Floats) -> Floats:
    """The upper end of the share of some minutes, one failure more at least, for it is not known well; NaN where none
    was asked."""
    return np.minimum(1.0, share(many, bad + np.sqrt(bad) + 1.0))
