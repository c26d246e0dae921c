"""Window kernels: from flat samples of many series to (series x steps) matrices.

Every kernel takes `offsets` (series i has samples offsets[i]:offsets[i + 1]), `times` ascending in
each series (ms), `values`, and `ends`, the end of the window of every step (ms, non-decreasing).
A window of length `span` is open on the left and closed on the right: (end - span, end]. Results are
(values, present); the arithmetic and its order are Prometheus 3's (promql/functions.go), so that
results agree to the last bit. Staleness markers are removed before (`arrange.without_stale`), but for `latest`.
"""

# Kernels take flat arrays by position, and branch where a table of functions would not compile.
# ruff: noqa: C901, PLR0911, PLR0917
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math

import numpy as np

from windvane.promql.jit import by_series, inlined
from windvane.promql.value import STALE_BITS, Floats, Mask, Times

_STALE = np.int64(STALE_BITS)

# Operations of `over_time`; a closed set, chosen once outside the loops.
SUM, AVG, COUNT, MIN, MAX, LAST, FIRST, PRESENT, STDDEV, STDVAR = range(10)
TS_FIRST, TS_LAST, TS_MIN, TS_MAX, CHANGES, RESETS, IRATE, IDELTA = range(10, 18)


@inlined
def kahan(add: float, total: float, compensation: float) -> tuple[float, float]:
    """One step of Neumaier's compensated summation: the new total and compensation."""
    grown = total + add
    if math.isinf(grown):
        compensation = 0.0
    elif abs(total) >= abs(add):
        compensation += (total - grown) + add
    else:
        compensation += (add - grown) + total
    return grown, compensation


@inlined
def first_after(times: Times, low: int, stop: int, time: int) -> int:
    """The first sample at or after position `low` that is later than `time`; near ones are found at once."""
    stride = 1
    high = low
    while high < stop and times[high] <= time:
        low = high + 1
        high += stride
        stride *= 2
    high = min(high, stop)
    while low < high:
        middle = (low + high) // 2
        if times[middle] <= time:
            low = middle + 1
        else:
            high = middle
    return low


@inlined
def advance(times: Times, low: int, high: int, stop: int, start_time: int, end_time: int) -> tuple[int, int]:
    """Move a window's bounds forward to the samples in (start_time, end_time]."""
    if high < stop and times[high] <= start_time:
        low = high = first_after(times, high, stop, start_time)
    while high < stop and times[high] <= end_time:
        high += 1
    while low < high and times[low] <= start_time:
        low += 1
    return low, high


@by_series
def latest(offsets: Times, times: Times, values: Floats, ends: Times, span: int) -> tuple[Floats, Mask, Times]:
    """The last sample in each window and its time; absent when it is a staleness marker."""
    series, steps = len(offsets) - 1, len(ends)
    out = np.empty((series, steps))
    at = np.empty((series, steps), np.int64)
    present = np.zeros((series, steps), np.bool_)
    bits = values.view(np.int64)
    for i in range(series):
        low, stop = offsets[i], offsets[i + 1]
        high = low
        for s in range(steps):
            if high < stop and times[high] <= ends[s] - span:
                high = first_after(times, high, stop, ends[s] - span)
            while high < stop and times[high] <= ends[s]:
                high += 1
            out[i, s] = np.nan
            at[i, s] = 0
            if high > low and times[high - 1] > ends[s] - span and bits[high - 1] != _STALE:
                out[i, s] = values[high - 1]
                at[i, s] = times[high - 1]
                present[i, s] = True
    return out, present, at


@by_series
def extrapolated(
    offsets: Times, times: Times, values: Floats, ends: Times, span: int, counter: bool, rate: bool
) -> tuple[Floats, Mask]:
    """rate, increase (`counter`) and delta: the change between first and last sample of a window,
    extrapolated towards its bounds by at most half an average interval, and for counters not below zero.
    """
    series, steps = len(offsets) - 1, len(ends)
    out = np.empty((series, steps))
    present = np.zeros((series, steps), np.bool_)
    resets = np.empty(_longest(offsets) if counter else 0, np.int64)
    for i in range(series):
        stop = offsets[i + 1]
        low = high = offsets[i]
        seen, oldest, newest = low + 1, 0, 0
        for s in range(steps):
            low, high = advance(times, low, high, stop, ends[s] - span, ends[s])
            out[i, s] = np.nan
            if high - low < 2:
                continue
            change = values[high - 1] - values[low]
            if counter:
                seen = max(seen, low + 1)
                while seen < high:
                    if values[seen] < values[seen - 1]:
                        resets[newest] = seen
                        newest += 1
                    seen += 1
                while oldest < newest and resets[oldest] <= low:
                    oldest += 1
                for r in range(oldest, newest):
                    change += values[resets[r] - 1]
            factor = _factor(times, values[low], low, high, ends[s], span, change, counter)
            if rate:
                factor /= span / 1000
            out[i, s] = change * factor
            present[i, s] = True
    return out, present


@inlined
def _longest(offsets: Times) -> int:
    """Samples of the series that has most."""
    longest = 0
    for i in range(len(offsets) - 1):
        longest = max(longest, offsets[i + 1] - offsets[i])
    return longest


@inlined
def _factor(
    times: Times, first: float, low: int, high: int, end: int, span: int, change: float, counter: bool
) -> float:
    """By how much the change seen between samples grows when carried towards the window's bounds."""
    to_start = (times[low] - (end - span)) / 1000
    to_end = (end - times[high - 1]) / 1000
    sampled = (times[high - 1] - times[low]) / 1000
    average = sampled / (high - low - 1)
    threshold = average * 1.1
    if to_start >= threshold:
        to_start = average / 2
    if counter and change > 0 and first >= 0:
        to_zero = sampled * (first / change)
        to_start = min(to_start, to_zero)
    if to_end >= threshold:
        to_end = average / 2
    return (sampled + to_start + to_end) / sampled


@by_series
def extremes(offsets: Times, times: Times, values: Floats, ends: Times, span: int, most: bool) -> tuple[Floats, Mask]:
    """The maximum (`most`) or minimum of the samples in each window, NaN only if all are.

    A queue holds the positions that can still become the extreme, best first, so each sample is
    looked at once however many windows it is in.
    """
    series, steps = len(offsets) - 1, len(ends)
    out = np.empty((series, steps))
    present = np.zeros((series, steps), np.bool_)
    queue = np.empty(_longest(offsets), np.int64)
    sign = 1.0 if most else -1.0
    for i in range(series):
        stop = offsets[i + 1]
        low = high = offsets[i]
        seen, front, back = low, 0, 0
        for s in range(steps):
            low, high = advance(times, low, high, stop, ends[s] - span, ends[s])
            seen = max(seen, low)
            while seen < high:
                value = values[seen]
                if not math.isnan(value):
                    while back > front and sign * values[queue[back - 1]] < sign * value:
                        back -= 1
                    queue[back] = seen
                    back += 1
                seen += 1
            while front < back and queue[front] < low:
                front += 1
            present[i, s] = high > low
            out[i, s] = values[queue[front]] if front < back else np.nan
    return out, present


@by_series
def over_time(
    offsets: Times, times: Times, values: Floats, ends: Times, span: int, operation: int
) -> tuple[Floats, Mask]:
    """The function `operation` (one of the constants above) of the samples in each window."""
    series, steps = len(offsets) - 1, len(ends)
    out = np.empty((series, steps))
    present = np.zeros((series, steps), np.bool_)
    least = 2 if operation in (IRATE, IDELTA) else 1
    for i in range(series):
        stop = offsets[i + 1]
        low = high = offsets[i]
        for s in range(steps):
            low, high = advance(times, low, high, stop, ends[s] - span, ends[s])
            out[i, s] = np.nan
            if high - low >= least:
                present[i, s] = True
                out[i, s] = _window(times, values, low, high, operation)
    return out, present


@inlined
def _window(times: Times, values: Floats, low: int, high: int, operation: int) -> float:
    if operation == SUM:
        return _sum(values, low, high)
    if operation == AVG:
        return _mean(values, low, high)
    if operation == COUNT:
        return float(high - low)
    if operation == LAST:
        return values[high - 1]
    if operation == FIRST:
        return values[low]
    if operation == PRESENT:
        return 1.0
    if operation in (STDDEV, STDVAR):
        variance = _variance(values, low, high)
        return math.sqrt(variance) if operation == STDDEV else variance
    if operation in (IRATE, IDELTA):
        return _last_two(times, values, high, operation == IRATE)
    if operation == CHANGES:
        return _changes(values, low, high)
    if operation == RESETS:
        return _count_resets(values, low, high)
    if operation == TS_FIRST:
        return times[low] / 1000
    if operation == TS_LAST:
        return times[high - 1] / 1000
    return _extreme_time(times, values, low, high, 1.0 if operation == TS_MAX else -1.0)


@inlined
def _sum(values: Floats, low: int, high: int) -> float:
    total = compensation = 0.0
    for j in range(low, high):
        total, compensation = kahan(values[j], total, compensation)
    return total if math.isinf(total) else total + compensation


@inlined
def _mean(values: Floats, low: int, high: int) -> float:
    """The mean by compensated summation; incremental from where the sum would overflow."""
    total, compensation, mean = values[low], 0.0, 0.0
    incremental = False
    count = 1.0
    for j in range(low + 1, high):
        count = float(j - low + 1)
        if not incremental:
            grown, grown_compensation = kahan(values[j], total, compensation)
            if not math.isinf(grown):
                total, compensation = grown, grown_compensation
                continue
            incremental = True
            mean = total / (count - 1)
            compensation /= count - 1
        weight = (count - 1) / count
        mean, compensation = kahan(values[j] / count, weight * mean, weight * compensation)
    if incremental:
        return mean + compensation
    return total / count + compensation / count


@inlined
def _variance(values: Floats, low: int, high: int) -> float:
    """Welford's population variance with compensated sums."""
    count = mean = mean_compensation = spread = spread_compensation = 0.0
    for j in range(low, high):
        count += 1
        delta = values[j] - (mean + mean_compensation)
        mean, mean_compensation = kahan(delta / count, mean, mean_compensation)
        step = delta * (values[j] - (mean + mean_compensation))
        spread, spread_compensation = kahan(step, spread, spread_compensation)
    return (spread + spread_compensation) / count


@inlined
def _last_two(times: Times, values: Floats, high: int, rate: bool) -> float:
    """irate and idelta: from the last two samples; a counter that fell counts from zero."""
    change = values[high - 1]
    if not rate or not values[high - 1] < values[high - 2]:
        change = values[high - 1] - values[high - 2]
    return change / ((times[high - 1] - times[high - 2]) / 1000) if rate else change


@inlined
def _changes(values: Floats, low: int, high: int) -> float:
    count = 0
    for j in range(low + 1, high):
        if values[j] != values[j - 1] and not (math.isnan(values[j]) and math.isnan(values[j - 1])):
            count += 1
    return float(count)


@inlined
def _count_resets(values: Floats, low: int, high: int) -> float:
    count = 0
    for j in range(low + 1, high):
        if values[j] < values[j - 1]:
            count += 1
    return float(count)


@inlined
def _extreme_time(times: Times, values: Floats, low: int, high: int, sign: float) -> float:
    """When the maximum (`sign` 1) or minimum (-1) last occurred, in seconds; NaN counts only if all are."""
    best = low
    for j in range(low, high):
        if sign * values[j] >= sign * values[best] or math.isnan(values[best]):
            best = j
    return times[best] / 1000


@by_series
def quantile_over_time(
    offsets: Times, times: Times, values: Floats, ends: Times, span: int, q: Floats
) -> tuple[Floats, Mask]:
    """The q-quantile (a q for each step) of the samples in each window."""
    series, steps = len(offsets) - 1, len(ends)
    out = np.empty((series, steps))
    present = np.zeros((series, steps), np.bool_)
    for i in range(series):
        stop = offsets[i + 1]
        low = high = offsets[i]
        for s in range(steps):
            low, high = advance(times, low, high, stop, ends[s] - span, ends[s])
            out[i, s] = np.nan
            if high > low:
                present[i, s] = True
                out[i, s] = quantile(q[s], values[low:high].copy())
    return out, present


@by_series
def deviation_over_time(offsets: Times, times: Times, values: Floats, ends: Times, span: int) -> tuple[Floats, Mask]:
    """The median absolute deviation from the median of the samples in each window."""
    series, steps = len(offsets) - 1, len(ends)
    out = np.empty((series, steps))
    present = np.zeros((series, steps), np.bool_)
    for i in range(series):
        stop = offsets[i + 1]
        low = high = offsets[i]
        for s in range(steps):
            low, high = advance(times, low, high, stop, ends[s] - span, ends[s])
            out[i, s] = np.nan
            if high > low:
                median = quantile(0.5, values[low:high].copy())
                present[i, s] = True
                out[i, s] = quantile(0.5, np.abs(values[low:high] - median))
    return out, present


@inlined
def quantile(q: float, sample: Floats) -> float:
    """The q-quantile by linear interpolation between ranks; NaN sorts lowest. Reorders `sample`."""
    if len(sample) == 0 or math.isnan(q):
        return math.nan
    if q < 0:
        return -math.inf
    if q > 1:
        return math.inf
    ordered = np.sort(sample)  # NaN last: rotate them to the front
    count = len(ordered)
    missing = 0
    while missing < count and math.isnan(ordered[count - 1 - missing]):
        missing += 1
    rank = q * (count - 1)
    lower = max(0.0, math.floor(rank))
    upper = min(count - 1.0, lower + 1)
    weight = rank - math.floor(rank)
    low, high = int(lower) - missing, int(upper) - missing
    below = math.nan if low < 0 else ordered[low]
    above = math.nan if high < 0 else ordered[high]
    return below * (1 - weight) + above * weight  # NaN beside an infinite neighbour of no weight, as in Prometheus


@by_series
def regression(
    offsets: Times,
    times: Times,
    values: Floats,
    ends: Times,
    span: int,
    intercepts: Times,
    ahead: Floats,
    predict: bool,
) -> tuple[Floats, Mask]:
    """deriv (the slope) or, if `predict`, predict_linear: the fit `ahead` seconds after the times `intercepts`."""
    series, steps = len(offsets) - 1, len(ends)
    out = np.empty((series, steps))
    present = np.zeros((series, steps), np.bool_)
    for i in range(series):
        stop = offsets[i + 1]
        low = high = offsets[i]
        for s in range(steps):
            low, high = advance(times, low, high, stop, ends[s] - span, ends[s])
            out[i, s] = np.nan
            if high - low >= 2:
                origin = intercepts[s] if predict else times[low]
                slope, intercept = _fit(times, values, low, high, origin)
                present[i, s] = True
                out[i, s] = slope * ahead[s] + intercept if predict else slope
    return out, present


@inlined
def _fit(times: Times, values: Floats, low: int, high: int, origin: int) -> tuple[float, float]:
    """Least-squares slope per second and value at `origin` (ms); exact for constant values."""
    count = sum_x = sum_y = sum_xy = sum_xx = c_x = c_y = c_xy = c_xx = 0.0
    constant = True
    for j in range(low, high):
        if j > low and values[j] != values[low]:
            constant = False
        count += 1
        x = (times[j] - origin) / 1e3
        sum_x, c_x = kahan(x, sum_x, c_x)
        sum_y, c_y = kahan(values[j], sum_y, c_y)
        sum_xy, c_xy = kahan(x * values[j], sum_xy, c_xy)
        sum_xx, c_xx = kahan(x * x, sum_xx, c_xx)
    if constant:
        if math.isinf(values[low]):
            return math.nan, math.nan
        return 0.0, values[low]
    sum_x += c_x
    sum_y += c_y
    covariance = (sum_xy + c_xy) - sum_x * sum_y / count
    variance = (sum_xx + c_xx) - sum_x * sum_x / count
    slope = covariance / variance
    return slope, sum_y / count - slope * sum_x / count


@by_series
def smoothed(
    offsets: Times, times: Times, values: Floats, ends: Times, span: int, smoothing: Floats, trend: Floats
) -> tuple[Floats, Mask]:
    """Double exponential smoothing (Holt's linear method) of each window; factors for each step."""
    series, steps = len(offsets) - 1, len(ends)
    out = np.empty((series, steps))
    present = np.zeros((series, steps), np.bool_)
    for i in range(series):
        stop = offsets[i + 1]
        low = high = offsets[i]
        for s in range(steps):
            low, high = advance(times, low, high, stop, ends[s] - span, ends[s])
            out[i, s] = np.nan
            if high - low < 2:
                continue
            level_before, level, slope = 0.0, values[low], values[low + 1] - values[low]
            for j in range(low + 1, high):
                x = smoothing[s] * values[j]
                if j > low + 1:
                    slope = trend[s] * (level - level_before) + (1 - trend[s]) * slope
                y = (1 - smoothing[s]) * (level + slope)
                level_before, level = level, x + y
            present[i, s] = True
            out[i, s] = level
    return out, present
