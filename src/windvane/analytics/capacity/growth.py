"""The peaks that are coming: a service's trend and season, day by day for twelve weeks, and when they reach a limit.

The trend is the median slope of the logarithms of daily peaks (Theil and Sen), each weekday set right first where two
weeks are known. What is left of the hourly series after the trend is forecast as any series (`analytics.forecast`:
medians of the same hours of days and weeks, bands from its own backtest), as far ahead as a third of the history;
farther days repeat that forecast's last week. Expected peaks are that season times the trend; the band joins the
season's and the slope's, as independent ones.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from windvane.analytics.capacity.queue import Estimate
from windvane.analytics.forecast import History, forecast
from windvane.kit.errors import BadInputError

Floats = NDArray[np.float64]

HORIZON_DAYS = 84
LEAST_DAYS = 3
_DAY, _HOUR = 86_400, 3_600
_PEAK = 0.98
_WEEKS = 14
"""Days from which weekdays are told apart."""
_BAND = 0.8
_LONGEST = 28
_Z80 = 1.2816


@dataclass(frozen=True, slots=True)
class Growth:
    """`slope`: of the logarithm of daily peaks a day. Peaks (requests a second) of the days ahead, the first of them
    tomorrow's: expected, and the bounds that hold 80 %. `season_days`: how far ahead the season itself was forecast;
    0 where the history does not allow it and days are taken to be alike.
    """

    slope: Estimate
    expected: Floats
    low: Floats
    high: Floats
    season_days: int


def growth(at: Floats, rate: Floats) -> Growth | None:
    """From times (seconds, ascending) and requests a second; None with fewer than three days."""
    days = np.ceil((at - at[-1]) / _DAY)  # 0 is the last whole day
    numbers = np.unique(days)
    peaks = np.array([float(np.quantile(rate[days == day], _PEAK)) for day in numbers])
    if len(numbers) < LEAST_DAYS or numbers[-1] - numbers[0] < LEAST_DAYS - 1:
        return None
    logs = np.log(np.maximum(peaks, 1e-9))
    slope = _slope(numbers, logs - _weekdays(numbers, logs))
    season, spread, season_days = _season(at, rate, slope.value)
    ahead = np.arange(1, HORIZON_DAYS + 1, dtype=np.float64)
    expected = season * np.exp(slope.value * ahead)
    drift = (slope.high - slope.low) / 2 * (ahead + (numbers[-1] - numbers[0]) / 2)
    width = np.sqrt(spread**2 + drift**2)
    return Growth(slope, expected, expected * np.exp(-width), expected * np.exp(width), season_days)


def reached(found: Growth, limit: Estimate) -> Estimate | None:
    """Days until peaks reach a limit; None when they are not expected to within the horizon.

    The band: from the high bound reaching the limit's low one, to the low bound reaching its high one (infinite when
    it does not).
    """
    value = _first(found.expected, limit.value)
    if value is None:
        return None
    low, high = _first(found.high, limit.low), _first(found.low, limit.high)
    return Estimate(value, value if low is None else min(low, value), math.inf if high is None else max(high, value))


def _first(peaks: Floats, limit: float) -> float | None:
    """Days from now until peaks, read as a line through the days, are at a limit."""
    over = np.flatnonzero(peaks >= limit)
    if not len(over):
        return None
    day = int(over[0])
    if day == 0:
        return 0.0 if limit <= 0 or peaks[0] <= limit else 1.0
    before, after = peaks[day - 1], peaks[day]
    return day + float((limit - before) / (after - before))


def _slope(days: Floats, logs: Floats) -> Estimate:
    """The median slope, and quantiles of the slopes of halves: those of single pairs of days tell of noise alone."""
    late, early = np.triu_indices(len(days), 1)[::-1]
    slopes = (logs[late] - logs[early]) / (days[late] - days[early])
    apart = (days[late] - days[early]) >= (days[-1] - days[0]) / 2
    low, high = (float(one) for one in np.quantile(slopes[apart], (0.1, 0.9)))
    middle = float(np.median(slopes))
    return Estimate(middle, min(low, middle), max(high, middle))


def _weekdays(days: Floats, logs: Floats) -> Floats:
    """How each day's weekday differs from the others, as logarithms; nought where too few are known."""
    if len(days) < _WEEKS:
        return np.zeros(len(days))
    trend = _slope(days, logs).value * days
    left, kind = logs - trend, days.astype(np.int64) % 7
    middle = float(np.median(left))
    return np.array([float(np.median(left[kind == one])) - middle for one in kind])


def _season(at: Floats, rate: Floats, slope: float) -> tuple[Floats, Floats, int]:
    """Daily peaks ahead without the trend, the width of their 80 % band as logarithms, and the days it was forecast
    for.
    """
    flat = rate * np.exp(-slope * (at - at[-1]) / _DAY)
    hours = np.ceil(at / _HOUR).astype(np.int64)
    numbers = np.unique(hours)
    means = np.array([float(np.mean(flat[hours == hour])) for hour in numbers])
    days = min(_LONGEST, int((numbers[-1] - numbers[0]) // 24) // 3)
    last = flat[at > at[-1] - 7 * _DAY]
    fallback = float(np.quantile(last, _PEAK)) * np.ones(HORIZON_DAYS)
    if days < 1:
        return fallback, np.full(HORIZON_DAYS, _scatter(at, flat)), 0
    try:
        found = forecast(History(numbers * _HOUR, means, _HOUR), 24 * days, learnt=False)
    except BadInputError:  # gaps, for one
        return fallback, np.full(HORIZON_DAYS, _scatter(at, flat)), 0
    fine = _fine(at, flat, hours, means, numbers)
    mean, high = (row.reshape(days, 24).max(axis=1) for row in (found.mean, found.high[_BAND]))
    at_day = [day if day < days else days - min(7, days) + (day - days) % min(7, days) for day in range(HORIZON_DAYS)]
    peaks = np.maximum(mean, 1e-9)
    width = np.log(np.maximum(high, peaks) / peaks)
    return fine * peaks[at_day], np.maximum(width[at_day], 1e-3), days


def _fine(at: Floats, flat: Floats, hours: NDArray[np.int64], means: Floats, numbers: NDArray[np.int64]) -> float:
    """How much higher the peaks of a day are than its busiest hour."""
    day_of = np.ceil((at - at[-1]) / _DAY)
    busiest = dict(zip(numbers.tolist(), means.tolist(), strict=True))
    ratios = []
    for day in np.unique(day_of):
        inside = day_of == day
        hourly = max(busiest[hour] for hour in np.unique(hours[inside]).tolist())
        if hourly > 0:
            ratios.append(float(np.quantile(flat[inside], _PEAK)) / hourly)
    return max(1.0, float(np.median(ratios))) if ratios else 1.0


def _scatter(at: Floats, flat: Floats) -> float:
    """Half the width of the band of daily peaks that are alike but for chance, as logarithms."""
    day_of = np.ceil((at - at[-1]) / _DAY)
    logs = [math.log(max(float(np.quantile(flat[day_of == day], _PEAK)), 1e-9)) for day in np.unique(day_of)]
    return max(1e-3, _Z80 * float(np.std(logs)))
