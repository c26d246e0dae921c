"""Kernel of histogram_fraction over classic histograms (promql/quantile.go of Prometheus)."""

# Kernels take flat arrays by position, and branch where a table of functions would not compile.
# ruff: noqa: PLR0917
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math

import numpy as np

from windvane.promql.gather import buckets_at
from windvane.promql.jit import inlined, kernel
from windvane.promql.value import Floats, Mask, Times


@inlined
def _rank(value: float, upper: Floats, count: Floats, size: int) -> float:
    """How many observations are at most `value`; linear inside a bucket, the first of which begins at 0 or at -Inf."""
    lower = 0.0 if upper[0] > 0 else -math.inf
    rank = 0.0
    for b in range(size):
        if lower >= value:
            return rank
        if upper[b] > value:
            if lower == -math.inf:
                return count[b]
            return rank + (count[b] - rank) * (value - lower) / (upper[b] - lower)
        rank = count[b]
        lower = upper[b]
    return count[size - 1]


@inlined
def _fraction(low: float, high: float, upper: Floats, count: Floats, size: int) -> float:
    total = count[size - 1]
    if upper[size - 1] != math.inf or total == 0 or math.isnan(low) or math.isnan(high):
        return math.nan
    if low >= high:
        return 0.0
    return (min(_rank(high, upper, count, size), total) - min(_rank(low, upper, count, size), total)) / total


@kernel
def histogram_fraction(
    order: Times, starts: Times, bounds: Floats, values: Floats, present: Mask, low: Floats, high: Floats
) -> tuple[Floats, Mask]:
    """The share of observations between `low` and `high` (a pair a step) of each classic histogram.

    Histogram g has the series order[starts[g]:starts[g + 1]], ascending by upper bound `bounds`.
    """
    groups, steps = len(starts) - 1, values.shape[1]
    out = np.full((groups, steps), np.nan)
    some = np.zeros((groups, steps), np.bool_)
    upper = np.empty(len(order))
    count = np.empty(len(order))
    for g in range(groups):
        rows = order[starts[g] : starts[g + 1]]
        for s in range(steps):
            size = buckets_at(rows, bounds, values, present, s, upper, count)
            if size > 0:
                some[g, s] = True
                out[g, s] = _fraction(low[s], high[s], upper, count, size)
    return out, some
