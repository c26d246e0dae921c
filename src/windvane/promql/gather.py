"""Kernels over (series x steps) matrices: aggregation by group, ranking, classic histograms.

`group` is the group of each series; groups count from 0. Sums are compensated and run in series
order, as Prometheus 3 does (promql/engine.go, promql/quantile.go).
"""

# Kernels take flat arrays by position, and branch where a table of functions would not compile.
# ruff: noqa: C901, PLR0911, PLR0912, PLR0917
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math

import numpy as np

from windvane.promql.jit import inlined, kernel
from windvane.promql.kernels import kahan, quantile
from windvane.promql.value import Floats, Mask, Times

SUM, AVG, COUNT, MIN, MAX, GROUP, STDDEV, STDVAR = range(8)
_AT_ONCE = 8
_SMALLEST_NORMAL = 2.2250738585072014e-308
_TOLERANCE = 1e-12


@kernel
def aggregate(values: Floats, present: Mask, group: Times, groups: int, operation: int) -> tuple[Floats, Mask]:
    """One of the operations above over the series of each group, at every step."""
    series, steps = values.shape
    out = np.zeros((groups, steps))
    counts = np.zeros((groups, steps))
    extra = np.zeros((groups, steps))
    incremental = np.zeros((groups, steps) if operation == AVG else (0, 0), np.bool_)
    means = np.zeros((groups, steps) if operation in (AVG, STDDEV, STDVAR) else (0, 0))
    for i in range(series):
        g = group[i]
        for s in range(steps):
            if not present[i, s]:
                continue
            value = values[i, s]
            counts[g, s] += 1
            first = counts[g, s] == 1
            if operation == SUM:
                if first:
                    out[g, s] = value
                else:
                    out[g, s], extra[g, s] = kahan(value, out[g, s], extra[g, s])
            elif operation == AVG:
                _average(value, counts[g, s], g, s, out, extra, means, incremental)
            elif operation == MIN:
                if first or out[g, s] > value or math.isnan(out[g, s]):
                    out[g, s] = value
            elif operation == MAX:
                if first or out[g, s] < value or math.isnan(out[g, s]):
                    out[g, s] = value
            elif operation in (STDDEV, STDVAR):
                _spread(value, counts[g, s], g, s, out, means)
    for g in range(groups):
        for s in range(steps):
            out[g, s] = _finished(operation, out[g, s], extra[g, s], counts[g, s])
            if operation == AVG and incremental[g, s]:
                out[g, s] = means[g, s] + extra[g, s]
    return out, counts > 0


@inlined
def _average(
    value: float, count: float, g: int, s: int, out: Floats, extra: Floats, means: Floats, incremental: Mask
) -> None:
    """Add to a mean: by sum, incrementally from where the sum would overflow."""
    if count == 1:
        out[g, s] = value
        return
    if not incremental[g, s]:
        grown, compensation = kahan(value, out[g, s], extra[g, s])
        if not math.isinf(grown):
            out[g, s] = grown
            extra[g, s] = compensation
            return
        incremental[g, s] = True
        means[g, s] = out[g, s] / (count - 1)
        extra[g, s] /= count - 1
    weight = (count - 1) / count
    means[g, s], extra[g, s] = kahan(value / count, weight * means[g, s], weight * extra[g, s])


@inlined
def _spread(value: float, count: float, g: int, s: int, out: Floats, means: Floats) -> None:
    """Add to a sum of squared deviations (Welford)."""
    if count == 1:
        means[g, s] = value
        out[g, s] = 0.0 if math.isfinite(value) else math.nan
        return
    delta = value - means[g, s]
    means[g, s] += delta / count
    out[g, s] += delta * (value - means[g, s])


@inlined
def _finished(operation: int, total: float, extra: float, count: float) -> float:
    if count == 0:
        return math.nan
    if operation == SUM:
        return total + extra
    if operation == AVG:
        return total / count + extra / count
    if operation == COUNT:
        return count
    if operation == GROUP:
        return 1.0
    if operation == STDVAR:
        return total / count
    if operation == STDDEV:
        return math.sqrt(total / count)
    return total


@kernel
def quantiles(values: Floats, present: Mask, group: Times, groups: int, q: Floats) -> tuple[Floats, Mask]:
    """The q-quantile (a q for each step) over the series of each group."""
    series, steps = values.shape
    out = np.full((groups, steps), np.nan)
    some = np.zeros((groups, steps), np.bool_)
    sizes = np.zeros(groups + 1, np.int64)
    for g in group:
        sizes[g + 1] += 1
    starts = np.cumsum(sizes)
    fill = np.empty(groups, np.int64)
    column = np.empty(series)
    for s in range(steps):
        fill[:] = starts[:-1]
        for i in range(series):
            if present[i, s]:
                column[fill[group[i]]] = values[i, s]
                fill[group[i]] += 1
        for g in range(groups):
            if fill[g] > starts[g]:
                some[g, s] = True
                out[g, s] = quantile(q[s], column[starts[g] : fill[g]])
    return out, some


@kernel
def ranked(values: Floats, present: Mask, group: Times, groups: int, k: Times, top: bool) -> Mask:
    """Which series are among the k (for each step) largest or smallest of their group; NaN comes last.

    Of equal values the one met first stays, as in Prometheus's heap. A few steps are ranked at a time, so that
    a series' neighbouring values are read together.
    """
    series, steps = values.shape
    chosen = np.zeros((series, steps), np.bool_)
    widest = 0
    for s in range(steps):
        widest = max(widest, min(k[s], series))
    if widest < 1:
        return chosen
    heap = np.empty((_AT_ONCE, groups, widest), np.int64)
    size = np.empty((_AT_ONCE, groups), np.int64)
    least = np.empty((_AT_ONCE, groups))  # the worst value among k, which the next has to beat
    sign = 1.0 if top else -1.0
    for start in range(0, steps, _AT_ONCE):
        stop = min(start + _AT_ONCE, steps)
        size[:] = 0
        least[:] = np.nan
        for i in range(series):
            g = group[i]
            for s in range(start, stop):
                if not present[i, s] or sign * values[i, s] <= least[s - start, g]:
                    continue
                own = heap[s - start, g]
                held = _offered(own, size[s - start, g], i, values, s, k[s], sign)
                size[s - start, g] = held
                if held == k[s] and held > 0:
                    least[s - start, g] = sign * values[own[0], s]
        for s in range(start, stop):
            for g in range(groups):
                for place in range(size[s - start, g]):
                    chosen[heap[s - start, g, place], s] = True
    return chosen


@inlined
def _offered(heap: Times, size: int, row: int, values: Floats, s: int, k: int, sign: float) -> int:
    """Take a series into the heap of the k best, if it is one of them; the heap's size."""
    if size < k:
        heap[size] = row
        _sift_up(heap, size, values, s, sign)
        return size + 1
    if k > 0:
        worst = sign * values[heap[0], s]
        value = sign * values[row, s]
        if worst < value or (math.isnan(worst) and not math.isnan(value)):
            heap[0] = row
            _sift_down(heap, 0, size, values, s, sign)
    return size


@inlined
def _less(values: Floats, s: int, sign: float, a: int, b: int) -> bool:
    """The heap's order: NaN below everything."""
    return math.isnan(values[a, s]) or sign * values[a, s] < sign * values[b, s]


@inlined
def _sift_up(heap: Times, place: int, values: Floats, s: int, sign: float) -> None:
    while place > 0:
        parent = (place - 1) // 2
        if not _less(values, s, sign, heap[place], heap[parent]):
            return
        heap[place], heap[parent] = heap[parent], heap[place]
        place = parent


@inlined
def _sift_down(heap: Times, place: int, size: int, values: Floats, s: int, sign: float) -> None:
    while True:
        child = 2 * place + 1
        if child >= size:
            return
        if child + 1 < size and _less(values, s, sign, heap[child + 1], heap[child]):
            child += 1
        if not _less(values, s, sign, heap[child], heap[place]):
            return
        heap[place], heap[child] = heap[child], heap[place]
        place = child


@inlined
def _almost_equal(a: float, b: float) -> bool:
    total, difference = abs(a) + abs(b), abs(a - b)
    if a == 0 or b == 0 or total < _SMALLEST_NORMAL:
        return difference < _TOLERANCE * _SMALLEST_NORMAL
    return difference / min(total, 1.7976931348623157e308) < _TOLERANCE


@inlined
def buckets_at(rows: Times, bounds: Floats, values: Floats, present: Mask, s: int, upper: Floats, count: Floats) -> int:
    """Fill `upper` and `count` with the buckets present at a step, equal bounds added up; their number."""
    size = 0
    for i in rows:
        if not present[i, s]:
            continue
        if size and upper[size - 1] == bounds[i]:
            count[size - 1] += values[i, s]
        else:
            upper[size] = bounds[i]
            count[size] = values[i, s]
            size += 1
    return size


@inlined
def _monotonic(upper: Floats, count: Floats, size: int, fixed: Floats) -> None:
    """Make cumulative counts non-decreasing: differences within the tolerance in silence, drops with notice.

    `fixed` becomes the bounds of the first and last bucket that was raised, and the largest drop; or stays NaN.
    """
    before = count[0]
    for b in range(1, size):
        if count[b] == before:
            continue
        if _almost_equal(before, count[b]) or (math.isnan(before) and math.isnan(count[b])):
            count[b] = before
        elif count[b] < before:
            if math.isnan(fixed[0]):
                fixed[0] = upper[b]
                fixed[2] = before - count[b]
            fixed[1] = upper[b]
            fixed[2] = max(fixed[2], before - count[b])
            count[b] = before
        else:
            before = count[b]


@inlined
def _interpolated(q: float, upper: Floats, count: Floats, size: int) -> float:
    observations = count[size - 1]
    if observations == 0:
        return math.nan
    rank = q * observations
    low, high = 0, size - 1  # binary search as Go's sort.Search, so that NaN ends in the same bucket
    while low < high:
        middle = (low + high) // 2
        if count[middle] >= rank:
            high = middle
        else:
            low = middle + 1
    if low == size - 1:
        return upper[size - 2]
    if low == 0 and upper[0] <= 0:
        return upper[0]
    start = 0.0
    inside = count[low]
    if low > 0:
        start = upper[low - 1]
        inside -= count[low - 1]
        rank -= count[low - 1]
    return start + (upper[low] - start) * (rank / inside)


@kernel
def histogram_quantile(
    order: Times, starts: Times, bounds: Floats, values: Floats, present: Mask, q: Floats
) -> tuple[Floats, Mask, Floats]:
    """Quantiles of classic histograms: (values, present, how counts had to be made monotonic).

    The last has for each histogram and step the bounds between which counts were raised and the largest
    difference, or NaN. Histogram g has the series order[starts[g]:starts[g + 1]], ascending by upper bound `bounds`.
    """
    groups, steps = len(starts) - 1, values.shape[1]
    out = np.full((groups, steps), np.nan)
    some = np.zeros((groups, steps), np.bool_)
    fixed = np.full((groups, steps, 3), np.nan)
    upper = np.empty(len(order))
    count = np.empty(len(order))
    for g in range(groups):
        rows = order[starts[g] : starts[g + 1]]
        for s in range(steps):
            size = buckets_at(rows, bounds, values, present, s, upper, count)
            if size == 0:
                continue
            some[g, s] = True
            if math.isnan(q[s]):
                continue
            if q[s] < 0 or q[s] > 1:
                out[g, s] = -math.inf if q[s] < 0 else math.inf
            elif upper[size - 1] == math.inf:
                _monotonic(upper, count, size, fixed[g, s])
                if size > 1:
                    out[g, s] = _interpolated(q[s], upper, count, size)
    return out, some, fixed
