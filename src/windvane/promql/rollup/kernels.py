"""Kernels of rollups: flat samples to buckets, buckets to (series x steps) matrices.

Buckets of all series stand one after another like samples: series i has offsets[i]:offsets[i + 1],
ascending by end. Their facts are a (buckets x FACTS) matrix of floats; times in it are milliseconds,
which floats hold exactly.
"""

# Kernels take flat arrays by position, and branch where a table of functions would not compile.
# ruff: noqa: PLR0911, PLR0917
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math

import numpy as np

from windvane.promql.jit import inlined, kernel
from windvane.promql.kernels import kahan
from windvane.promql.value import STALE_BITS, Floats, Mask, Times

_STALE = np.int64(STALE_BITS)

FACTS = 11
COUNT, FIRST_TIME, FIRST, LAST_TIME, LAST, MIN, MAX, SUM, RESETS, LOST, ENDED = range(FACTS)
"""Columns of facts. Staleness markers are no samples; ENDED is the time of a marker after the last sample, or 0.
RESETS counts samples lower than the one before them, LOST sums the values before them."""

(
    RATE,
    INCREASE,
    DELTA,
    SUM_OVER,
    AVG_OVER,
    COUNT_OVER,
    MIN_OVER,
    MAX_OVER,
    LAST_OVER,
    PRESENT_OVER,
    RESETS_OVER,
    LATEST,
) = range(12)


@kernel
def buckets(offsets: Times, times: Times, values: Floats, width: int) -> tuple[Times, Times, Floats]:
    """Offsets, ends and facts of the buckets that samples fall in."""
    series = len(offsets) - 1
    starts = np.zeros(series + 1, np.int64)
    total = 0
    for i in range(series):
        for j in range(offsets[i], offsets[i + 1]):
            if j == offsets[i] or _end(times[j], width) != _end(times[j - 1], width):
                total += 1
        starts[i + 1] = total
    ends = np.empty(total, np.int64)
    facts = np.zeros((total, FACTS))
    bits = values.view(np.int64)
    place = -1
    extra = 0.0
    for i in range(series):
        for j in range(offsets[i], offsets[i + 1]):
            end = _end(times[j], width)
            if j == offsets[i] or end != ends[place]:
                if place >= 0:
                    facts[place, SUM] += extra
                place += 1
                ends[place] = end
                extra = 0.0
            if bits[j] == _STALE:
                facts[place, ENDED] = times[j]
            else:
                extra = _add(facts[place], times[j], values[j], extra)
    if place >= 0:
        facts[place, SUM] += extra
    return starts, ends, facts


@inlined
def _end(time: int, width: int) -> int:
    return -((-time) // width) * width


@inlined
def _add(fact: Floats, time: int, value: float, extra: float) -> float:
    """Add a sample to its bucket; the compensation of the sum so far."""
    if fact[COUNT] == 0:
        fact[FIRST_TIME], fact[FIRST] = time, value
        fact[MIN], fact[MAX] = value, value
        fact[SUM] = value
    else:
        if value < fact[LAST]:
            fact[RESETS] += 1
            fact[LOST] += fact[LAST]
        if value < fact[MIN] or math.isnan(fact[MIN]):
            fact[MIN] = value
        if value > fact[MAX] or math.isnan(fact[MAX]):
            fact[MAX] = value
        fact[SUM], extra = kahan(value, fact[SUM], extra)
    fact[COUNT] += 1
    fact[LAST_TIME], fact[LAST] = time, value
    fact[ENDED] = 0
    return extra


@kernel
def windows(offsets: Times, ends: Times, facts: Floats, steps: Times, span: int, operation: int) -> tuple[Floats, Mask]:
    """A function of the samples in (step - span, step] for every series and step.

    For LATEST the value is absent when a marker ended the series or nothing was there.
    """
    series = len(offsets) - 1
    out = np.full((series, len(steps)), np.nan)
    present = np.zeros((series, len(steps)), np.bool_)
    whole = np.zeros(FACTS)
    for i in range(series):
        low = high = offsets[i]
        for s in range(len(steps)):
            while high < offsets[i + 1] and ends[high] <= steps[s]:
                high += 1
            while low < high and ends[low] <= steps[s] - span:
                low += 1
            _join(facts, low, high, whole)
            if whole[COUNT] < (2 if operation <= DELTA else 1):
                continue
            if operation == LATEST and (whole[ENDED] > 0 or whole[LAST_TIME] <= steps[s] - span):
                continue
            present[i, s] = True
            out[i, s] = _value(whole, steps[s], span, operation)
    return out, present


@inlined
def _join(facts: Floats, low: int, high: int, whole: Floats) -> None:
    """Facts of consecutive buckets as of one."""
    whole[:] = 0
    extra = 0.0
    for j in range(low, high):
        fact = facts[j]
        if fact[ENDED] > 0:
            whole[ENDED] = fact[ENDED]
        if fact[COUNT] == 0:
            continue
        if fact[ENDED] == 0:
            whole[ENDED] = 0
        if whole[COUNT] == 0:
            ended = whole[ENDED]
            whole[:] = fact
            whole[ENDED] = ended
            continue
        if fact[FIRST] < whole[LAST]:
            whole[RESETS] += 1
            whole[LOST] += whole[LAST]
        whole[RESETS] += fact[RESETS]
        whole[LOST] += fact[LOST]
        whole[COUNT] += fact[COUNT]
        if fact[MIN] < whole[MIN] or math.isnan(whole[MIN]):
            whole[MIN] = fact[MIN]
        if fact[MAX] > whole[MAX] or math.isnan(whole[MAX]):
            whole[MAX] = fact[MAX]
        whole[SUM], extra = kahan(fact[SUM], whole[SUM], extra)
        whole[LAST_TIME], whole[LAST] = fact[LAST_TIME], fact[LAST]
    whole[SUM] += extra


@inlined
def _value(whole: Floats, end: int, span: int, operation: int) -> float:
    if operation <= DELTA:
        return _extrapolated(whole, end, span, operation)
    if operation == SUM_OVER:
        return whole[SUM]
    if operation == AVG_OVER:
        return whole[SUM] / whole[COUNT]
    if operation == COUNT_OVER:
        return whole[COUNT]
    if operation == MIN_OVER:
        return whole[MIN]
    if operation == MAX_OVER:
        return whole[MAX]
    if operation == PRESENT_OVER:
        return 1.0
    if operation == RESETS_OVER:
        return whole[RESETS]
    return whole[LAST]


@inlined
def _extrapolated(whole: Floats, end: int, span: int, operation: int) -> float:
    """rate, increase and delta, as `promql.kernels.extrapolated` has them."""
    change = whole[LAST] - whole[FIRST]
    if operation != DELTA:
        change += whole[LOST]
    to_start = (whole[FIRST_TIME] - (end - span)) / 1000
    to_end = (end - whole[LAST_TIME]) / 1000
    sampled = (whole[LAST_TIME] - whole[FIRST_TIME]) / 1000
    average = sampled / (whole[COUNT] - 1)
    threshold = average * 1.1
    if to_start >= threshold:
        to_start = average / 2
    if operation != DELTA and change > 0 and whole[FIRST] >= 0:
        to_start = min(to_start, sampled * (whole[FIRST] / change))
    if to_end >= threshold:
        to_end = average / 2
    factor = (sampled + to_start + to_end) / sampled
    if operation == RATE:
        factor /= span / 1000
    return change * factor
