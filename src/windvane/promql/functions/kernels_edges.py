"""Windows whose bounds are met exactly: the modifiers `anchored` and `smoothed` (experimental).

`anchored` takes for the value at the left bound the last sample at or before it, and for the right bound
the last sample of the window. `smoothed` interpolates both bounds between the samples around them. Samples
up to the lookback outside the window serve; `kernels.py` says what the arguments are.
"""

# Kernels take flat arrays by position.
# ruff: noqa: PLR0917
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import numpy as np

from windvane.promql.jit import inlined, kernel
from windvane.promql.value import Floats, Mask, Times


@kernel
def change(
    offsets: Times,
    times: Times,
    values: Floats,
    ends: Times,
    span: int,
    lookback: int,
    smooth: bool,
    counter: bool,
    rate: bool,
) -> tuple[Floats, Mask]:
    """rate, increase (`counter`) and delta between the values at the bounds of each window."""
    series, steps = len(offsets) - 1, len(ends)
    out = np.empty((series, steps))
    present = np.zeros((series, steps), np.bool_)
    for i in range(series):
        low = high = offsets[i]
        for s in range(steps):
            start, end = ends[s] - span, ends[s]
            low, high = _around(times, low, high, offsets[i + 1], start - lookback, end + (lookback if smooth else 0))
            out[i, s] = np.nan
            if high == low:
                continue
            first, last = _bounds(times, low, high, start, end, smooth)
            if times[last] <= start:
                continue
            left, right = values[first], values[last]
            if smooth and times[first] < start:
                left = _interpolated(times, values, first, first + 1, start, counter)
            if smooth and last > low and times[last] > end:
                right = _interpolated(times, values, last - 1, last, end, counter)
            grown = right - left
            if counter:
                inner = first + 1 if times[first] <= start else first
                stop = last if times[last] >= end else last + 1
                grown += _lost(values, left, right, inner, stop)
            present[i, s] = True
            out[i, s] = grown / (span / 1000) if rate else grown
    return out, present


@kernel
def anchored_count(
    offsets: Times, times: Times, values: Floats, ends: Times, span: int, lookback: int, resets: bool
) -> tuple[Floats, Mask]:
    """resets or changes in each window, counted from the last sample at or before its left bound."""
    series, steps = len(offsets) - 1, len(ends)
    out = np.empty((series, steps))
    present = np.zeros((series, steps), np.bool_)
    for i in range(series):
        low = high = offsets[i]
        for s in range(steps):
            start, end = ends[s] - span, ends[s]
            low, high = _around(times, low, high, offsets[i + 1], start - lookback, end)
            out[i, s] = np.nan
            if high == low:
                continue
            count = 0
            first, _ = _bounds(times, low, high, start, end, False)
            for j in range(first + 1, high):
                before, now = values[j - 1], values[j]
                if resets:
                    count += now < before
                else:
                    count += now != before and not (np.isnan(now) and np.isnan(before))
            present[i, s] = True
            out[i, s] = count
    return out, present


@kernel
def smoothed_latest(
    offsets: Times, times: Times, values: Floats, ends: Times, lookback: int
) -> tuple[Floats, Mask, Times]:
    """The value at each time, interpolated between the samples around it, or the last before it; and when it was."""
    series, steps = len(offsets) - 1, len(ends)
    out = np.empty((series, steps))
    at = np.zeros((series, steps), np.int64)
    present = np.zeros((series, steps), np.bool_)
    for i in range(series):
        low = high = offsets[i]
        for s in range(steps):
            low, high = _around(times, low, high, offsets[i + 1], ends[s] - lookback, ends[s] + lookback)
            out[i, s] = np.nan
            after = low
            while after < high and times[after] < ends[s]:
                after += 1
            exact = after < high and times[after] == ends[s]
            if after == low and not exact:
                continue
            present[i, s] = True
            at[i, s] = ends[s]
            if exact:
                out[i, s] = values[after]
            elif after < high:
                out[i, s] = _interpolated(times, values, after - 1, after, ends[s], False)
            else:
                out[i, s] = values[after - 1]
    return out, present, at


@inlined
def _around(times: Times, low: int, high: int, stop: int, after: int, until: int) -> tuple[int, int]:
    """The samples in (after, until], from where the step before had them."""
    while high < stop and times[high] <= until:
        high += 1
    while low < high and times[low] <= after:
        low += 1
    return low, high


@inlined
def _bounds(times: Times, low: int, high: int, start: int, end: int, smooth: bool) -> tuple[int, int]:
    """The samples that stand for both bounds of the window (start, end], of those in low..high."""
    first = low
    while first < high - 1 and times[first] <= start:
        first += 1
    first = max(low, first - 1)
    last = high - 1
    if smooth:
        last = low
        while last < high - 1 and times[last] < end:
            last += 1
    return first, last


@inlined
def _interpolated(times: Times, values: Floats, before: int, after: int, time: int, counter: bool) -> float:
    """The value at a time between two samples; a counter that fell grew from zero."""
    left = 0.0 if counter and values[after] < values[before] else values[before]
    return left + (values[after] - left) * (time - times[before]) / (times[after] - times[before])


@inlined
def _lost(values: Floats, left: float, right: float, first: int, stop: int) -> float:
    """What a counter lost by resets between its values at the bounds."""
    lost, previous = 0.0, left
    for j in range(first, stop):
        if values[j] < previous:
            lost += previous
        previous = values[j]
    if right < previous:
        lost += previous
    return lost
