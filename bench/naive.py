"""Methods that anyone would try first, as yardsticks: of detection (all causal) and of forecasts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Times = NDArray[np.int64]
Floats = NDArray[np.float64]
DAY = 86_400
HALF_DAY = 43_200


def rolling_z(times: Times, values: Floats) -> Floats:
    """Standard deviations from the mean of the last 288 points (a day of five minutes)."""
    before = pd.Series(values).shift(1).rolling(288, min_periods=20)
    return _finite(np.abs(values - before.mean()) / before.std())


def rolling_median(times: Times, values: Floats) -> Floats:
    """Median absolute deviations from the median of the last 288 points."""
    series = pd.Series(values)
    off = (series - series.shift(1).rolling(288, min_periods=20).median()).abs()
    return _finite(off / off.shift(1).rolling(288, min_periods=20).median())


def ewma(times: Times, values: Floats) -> Floats:
    """Deviations from an exponentially weighted mean (half-life an hour of five minutes), in weighted deviations."""
    before = pd.Series(values).shift(1).ewm(halflife=12)
    return _finite(np.abs(values - before.mean()) / before.std())


def yesterday_z(times: Times, values: Floats) -> Floats:
    """How far from yesterday's value, in deviations of such differences over a week."""
    day = _day(times)
    off = pd.Series(values).diff(day).abs()
    return _finite(off / off.shift(1).rolling(7 * day, min_periods=day).mean())


def same_time_median(times: Times, values: Floats) -> Floats:
    """How far from the median of the same time of seven days, in median deviations of a week."""
    day, series = _day(times), pd.Series(values)
    past = np.nanmedian(np.stack([series.shift(day * back).to_numpy() for back in range(1, 8)] + [values * np.nan]), 0)
    off = pd.Series(np.abs(values - past))
    return _finite(off / off.shift(1).rolling(7 * day, min_periods=day).median())


DETECTORS: dict[str, Callable[[Times, Floats], Floats]] = {
    "deviations of a rolling mean": rolling_z,
    "rolling median and MAD": rolling_median,
    "exponentially weighted mean": ewma,
    "yesterday's value": yesterday_z,
    "median of the same time of 7 days": same_time_median,
}


def once(times: Times, scores: Floats) -> Floats:
    """A score counts only when it exceeds all of the half day before: one page an incident, as Windvane has it."""
    step = float(np.median(np.diff(times)))
    width = max(12, round(HALF_DAY / step)) if step > 0 else 12
    before = pd.Series(scores).shift(1).rolling(width, min_periods=1).max().fillna(-1).to_numpy()
    return np.where(scores > before, scores, 0.0)


def last_value(times: Times, values: Floats, horizon: int, step: int) -> tuple[Floats, Floats, Floats]:
    """The last value stays."""
    errors = np.abs(values[horizon:] - values[:-horizon])
    return _banded(np.full(horizon, values[-1]), errors)


def yesterday(times: Times, values: Floats, horizon: int, step: int) -> tuple[Floats, Floats, Floats]:
    """The same time of the day before."""
    day = DAY // step
    return _banded(values[len(values) - day :][:horizon], np.abs(values[day:] - values[:-day]))


def week_median(times: Times, values: Floats, horizon: int, step: int) -> tuple[Floats, Floats, Floats]:
    """The median of the same time of seven days."""
    day = DAY // step
    days = min(7, len(values) // day)
    rows = values[len(values) - days * day :].reshape(days, day)
    middle = np.median(rows, axis=0)
    return _banded(middle[:horizon], np.abs(rows - middle).ravel())


def moving_average(times: Times, values: Floats, horizon: int, step: int) -> tuple[Floats, Floats, Floats]:
    """The mean of the last hour stays."""
    width = max(1, 3_600 // step)
    level = pd.Series(values).rolling(width, min_periods=1).mean().to_numpy()
    return _banded(np.full(horizon, level[-1]), np.abs(values[horizon:] - level[:-horizon]))


FORECASTS: dict[str, Callable[[Times, Floats, int, int], tuple[Floats, Floats, Floats]]] = {
    "last value": last_value,
    "mean of the last hour": moving_average,
    "yesterday's values": yesterday,
    "median of the same time of 7 days": week_median,
}


def _banded(mean: Floats, errors: Floats) -> tuple[Floats, Floats, Floats]:
    wide = float(np.quantile(errors, 0.95))
    return mean, mean - wide, mean + wide


def _day(times: Times) -> int:
    step = float(np.median(np.diff(times)))
    return max(2, round(DAY / step)) if step > 0 else 288


def _finite(values: object) -> Floats:
    return np.nan_to_num(np.asarray(values, float), nan=0.0, posinf=0.0)
