"""What the past says of a later point, in a few plain ways: medians of the same time on days before.

Points are pairs of an origin (the last known index) and a lead (steps ahead of it), so that one code serves the
forecast and its own backtest at thousands of origins. Nothing uses values after the origin.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from windvane.analytics.detect_kernels import leaning
from windvane.analytics.seasonal import WEEK, Floats, medians

Indices = npt.NDArray[np.int64]
DAYS = 7
WEEKS = 4
NEAR = 3
"""Days whose same hours tell how far the last hours are off."""
HALVES = {"quick": 96, "hour": 24, "slow": 6}
"""Parts of a day (15 minutes, an hour, four) after which a departure counts half in what is usual of late."""
SCALED_MOST = 20.0
"""The most a value may be of its day's mean: a mean near nought says nothing."""


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

    @cached_property
    def departures(self) -> Floats:
        """Of each value how far it was from what days and weeks had said of it; nought where they said nothing."""
        at = np.arange(self.day, len(self.values))
        found = np.zeros(len(self.values))
        found[at] = self.values[at] - usual(self, at - 1, np.ones(len(at), np.int64))
        return np.nan_to_num(found)

    @cached_property
    def lately(self) -> dict[str, Floats]:
        """Departures up to each index, the later the more: means of the half-lives of `HALVES`."""
        return {
            name: np.asarray(leaning(self.departures, 0.5 ** (1 / max(self.day / part, 0.5)), self.day))
            for name, part in HALVES.items()
        }


@dataclass(frozen=True)
class Views:
    """Forecasts of each point from history alone: `days` (median of the days before), `levelled` (the same, each
    day moved to the level of the last), `scaled` (likewise by a factor), `weeks` (the same weekday), `both` (days and
    weeks), and both moved by how far the past was off of late: `moved` by the last hour, half of which is left after
    three hours, `quick` and `slow` by a quarter of an hour and four, half of which is left after twelve;
    `spread` is how unlike the days were."""

    days: Floats
    levelled: Floats
    scaled: Floats
    weeks: Floats
    both: Floats
    moved: Floats
    quick: Floats
    slow: Floats
    spread: Floats
    yesterday: Floats
    last_week: Floats


def views_of(series: Series, origin: Indices, lead: Indices) -> Views:
    """The views of points; where no week is known, days stand in."""
    days, weeks, back = _past(series, origin, lead)
    levels = np.stack([series.level(origin - one, series.day) for one in back])
    level = series.level(origin, series.day)
    middle, weekly = medians(days), medians(weeks)
    both = medians(np.concatenate([days, weeks]))
    levelled = medians(days - levels) + level
    with np.errstate(divide="ignore", invalid="ignore"):
        shape = medians(np.where(levels > 0, days / levels, np.nan))
    scaled = np.where(np.isfinite(shape), np.clip(shape, 0, SCALED_MOST) * level, levelled)
    lately, soon, later = series.lately, fading(lead, series.day / 8), fading(lead, series.day / 2)
    return Views(
        middle, levelled, scaled, np.where(np.isfinite(weekly), weekly, middle), both,
        both + soon * lately["hour"][origin], both + later * lately["quick"][origin],
        both + later * lately["slow"][origin], _deviation(days), days[0],
        np.where(np.isfinite(weeks[0]), weeks[0], middle),
    )  # fmt: skip


def usual(series: Series, origin: Indices, lead: Indices) -> Floats:
    """The median of days and weeks before: `both` of the views."""
    days, weeks, _ = _past(series, origin, lead)
    return medians(np.concatenate([days, weeks]))


def _past(series: Series, origin: Indices, lead: Indices) -> tuple[Floats, Floats, list[Indices]]:
    """Values at the same time of days and of weeks before, the newest first, and how far back those days are."""
    day, week, target = series.day, WEEK * series.day, origin + lead
    back = [(-(-lead // day) + one) * day for one in range(DAYS)]
    days = np.stack([series.at(target - one) for one in back])
    since = -(-lead // week)
    weeks = np.stack([series.at(target - (since + one) * week) for one in range(WEEKS)])
    return days, weeks, back


def fading(lead: Indices, half: float) -> Floats:
    """What is left of a departure after `lead` steps, if half is after `half`."""
    return np.asarray(0.5 ** (lead / max(1.0, half)))


def shift(series: Series, origin: Indices, width: int) -> Floats:
    """How far the last `width` values lie above the same ones of near days (a median of the differences)."""
    now = series.level(origin, width)
    before = np.stack([now - series.level(origin - back * series.day, width) for back in range(1, NEAR + 1)])
    return np.asarray(np.median(before, axis=0))


def _deviation(rows: Floats) -> Floats:
    known = np.isfinite(rows)
    mean = np.where(known, rows, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)
    return np.asarray(np.sqrt(np.where(known, (rows - mean) ** 2, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)))
