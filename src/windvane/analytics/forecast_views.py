"""What the past says of a later point, in a few plain ways: medians of the same time on days before.

Points are pairs of an origin (the last known index) and a lead (steps ahead of it), so that one code serves the
forecast and its own backtest at thousands of origins. Nothing uses values after the origin.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from windvane.analytics.seasonal import WEEK, Floats, medians

Indices = npt.NDArray[np.int64]
DAYS = 7
WEEKS = 4
NEAR = 3
"""Days whose same hours tell how far the last hours are off."""


@dataclass(frozen=True)
class Series:
    """A gapless series of `day` steps a day; `begin` is the index within a day of its first value."""

    values: Floats
    day: int
    begin: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "sums", np.concatenate([[0.0], np.cumsum(self.values)]))
        swing = np.zeros(len(self.values))
        swing[self.day :] = np.abs(self.values[self.day :] - self.values[: -self.day])
        object.__setattr__(self, "swings", np.concatenate([[0.0], np.cumsum(swing)]))

    sums: Floats = None  # type: ignore[assignment]  # made of values
    swings: Floats = None  # type: ignore[assignment]

    def at(self, index: Indices) -> Floats:
        """Values, NaN before the first."""
        return np.where(index >= 0, self.values[np.clip(index, 0, len(self.values) - 1)], np.nan)

    def level(self, end: Indices, width: int, sums: Floats | None = None) -> Floats:
        """Mean of the `width` values up to and with each index."""
        sums = self.sums if sums is None else sums
        last = np.maximum(end + 1, 1)
        first = np.maximum(last - width, 0)
        return np.asarray((sums[last] - sums[first]) / (last - first))

    def scale(self, origin: Indices) -> Floats:
        """How much a day differs from the next, by the last week: what errors are measured in."""
        swing = self.level(origin, WEEK * self.day, self.swings)
        return np.maximum(swing, 0.02 * np.abs(self.level(origin, WEEK * self.day)) + 1e-9)


@dataclass(frozen=True)
class Views:
    """Forecasts of each point from history alone: `days` (median of the days before), `levelled` (the same, each
    day moved to the level of the last), `weeks` (the same weekday), `both` (days and weeks), `moved` (both, moved by
    how far the last hour is off); `spread` is how unlike the days were."""

    days: Floats
    levelled: Floats
    weeks: Floats
    both: Floats
    moved: Floats
    spread: Floats
    yesterday: Floats
    last_week: Floats


def views_of(series: Series, origin: Indices, lead: Indices) -> Views:
    """The views of points; where no week is known, days stand in."""
    day, week = series.day, WEEK * series.day
    target = origin + lead
    first = -(-lead // day)
    days = np.stack([series.at(target - (first + back) * day) for back in range(DAYS)])
    since = -(-lead // week)
    weeks = np.stack([series.at(target - (since + back) * week) for back in range(WEEKS)])
    level = series.level(origin, day)
    moved = np.stack([days[back] - series.level(origin - (first + back) * day, day) for back in range(DAYS)]) + level
    middle, weekly = medians(days), medians(weeks)
    both = medians(np.concatenate([days, weeks]))
    return Views(
        middle, medians(moved), np.where(np.isfinite(weekly), weekly, middle), both,
        both + fading(lead, day) * shift(series, origin, max(1, day // 24)), _deviation(days), days[0],
        np.where(np.isfinite(weeks[0]), weeks[0], middle),
    )  # fmt: skip


def fading(lead: Indices, day: int) -> Floats:
    """What is left of a departure of the last hour after `lead` steps: half after three hours."""
    return np.asarray(0.5 ** (lead / max(1.0, day / 8)))


def shift(series: Series, origin: Indices, width: int) -> Floats:
    """How far the last `width` values lie above the same ones of near days (a median of the differences)."""
    now = series.level(origin, width)
    before = np.stack([now - series.level(origin - back * series.day, width) for back in range(1, NEAR + 1)])
    return np.asarray(np.median(before, axis=0))


def _deviation(rows: Floats) -> Floats:
    known = np.isfinite(rows)
    mean = np.where(known, rows, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.asarray(np.sqrt(np.where(known, (rows - mean) ** 2, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)))
