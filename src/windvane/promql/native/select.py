"""Native histograms beside floats: the latest sample of a series, flat samples from matrices and back."""

from __future__ import annotations

import numpy as np

from windvane.promql.native.histogram import NO_RESET, RESET, UNKNOWN, Histogram
from windvane.promql.native.resets import was_reset
from windvane.promql.syntax import Aggregate, Binary, Call, Expr, Selector, Subquery, children
from windvane.promql.value import Floats, Grid, Mask, NativeSamples, Samples, Times, Vector


def latest(samples: Samples, ends: Times, span: int, found: tuple[Floats, Mask, Times]) -> Grid | None:
    """Put the histograms that are the last sample of a window into what was `found` of floats; all of them as a grid.

    `found` is (values, present, times). Whatever is newer counts, also a staleness marker of either kind.
    """
    native = samples.native
    if native is None:
        return None
    values, present, times = found
    grid = np.full(present.shape, None, object)
    for row in np.flatnonzero(np.diff(native.offsets)).tolist():
        own, histograms = native.times_of(row), native.histograms_of(row)
        floats = samples.times[int(samples.offsets[row]) : int(samples.offsets[row + 1])]
        place, other = np.searchsorted(own, ends, "right") - 1, np.searchsorted(floats, ends, "right") - 1
        at = np.where(place >= 0, own[place], np.iinfo(np.int64).min)
        newer = (place >= 0) & (at > ends - span)
        if len(floats):
            newer &= (other < 0) | (at > floats[other])
        grid[row, newer] = histograms[place[newer]]
        some = grid[row].astype(np.bool_)
        present[row] = np.where(newer, some, present[row])
        times[row] = np.where(newer, at, times[row])
        values[row, newer] = np.nan
    return grid


def negated(grid: Grid | None) -> Grid | None:
    """Every histogram with its counts below zero."""
    if grid is None:
        return None
    out = np.full(grid.shape, None, object)
    for place in np.argwhere(grid.astype(np.bool_)).tolist():
        out[tuple(place)] = grid[tuple(place)].scaled(-1.0)
    return out


def without_stale(native: NativeSamples | None) -> NativeSamples | None:
    """The histograms without staleness markers."""
    if native is None:
        return None
    some = native.histograms.astype(np.bool_)
    if some.all():
        return native
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(some)])
    return NativeSamples(before[native.offsets], native.times[some], native.histograms[some])


def flat(vector: Vector, times: Times) -> NativeSamples | None:
    """The histograms of a matrix in series order."""
    if vector.native is None:
        return None
    which = vector.is_native()
    rows, columns = np.nonzero(which)
    if not len(rows):
        return None
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(which.sum(axis=1))])
    return NativeSamples(offsets, times[columns], vector.native[rows, columns])


def of_subquery(native: NativeSamples | None) -> NativeSamples | None:
    """The histograms without hints of resets: a subquery may leave samples out, or repeat them."""
    if native is None:
        return None
    histograms = np.empty(len(native.histograms), object)
    for place, one in enumerate(native.histograms.tolist()):
        histograms[place] = one.with_hint(UNKNOWN) if one.hint in (RESET, NO_RESET) else one
    return NativeSamples(native.offsets, native.times, histograms)


def only_counted(expr: Expr, wanted: bool = False) -> frozenset[int]:
    """Selectors (by `id`) whose native histograms are only asked for count and sum, past nothing that sees buckets.

    As in Prometheus these are read without buckets, which shows in annotations and, for gauges, in rates.
    """
    match expr:
        case Selector():
            return frozenset({id(expr)}) if wanted else frozenset()
        case Subquery() | Binary(op="==" | "!=" | "</" | ">/") | Aggregate(op="count_values"):
            return frozenset()
        case Call(function=function) if function in _NEEDING_BUCKETS:
            return frozenset()
        case Call(function=function):
            wanted = wanted or function in _COUNTING
    return frozenset().union(*(only_counted(child, wanted) for child in children(expr)))


_COUNTING = frozenset({"histogram_count", "histogram_sum", "histogram_avg"})
_NEEDING_BUCKETS = frozenset(
    {
        "histogram_quantile",
        "histogram_quantiles",
        "histogram_fraction",
        "histogram_stddev",
        "histogram_stdvar",
        "changes",
    }
)


def without_buckets(native: NativeSamples | None) -> NativeSamples | None:
    """The histograms without buckets; what these say of resets has become the hint, but for the first of a series."""
    if native is None:
        return None
    histograms = np.empty(len(native.histograms), object)
    first = set(native.offsets.tolist())
    previous: Histogram | None = None
    for place, one in enumerate(native.histograms.tolist()):
        if place in first:
            previous = None
        if one is None:
            continue
        hint = one.hint
        if hint == UNKNOWN and previous is not None:
            hint = RESET if was_reset(one, previous) else NO_RESET
        histograms[place] = Histogram(one.schema, hint, one.count, one.sum)
        previous = one
    return NativeSamples(native.offsets, native.times, histograms)


def within(native: NativeSamples | None, after: int, until: int) -> NativeSamples | None:
    """The histograms at times in (after, until]."""
    if native is None:
        return None
    inside = (native.times > after) & (native.times <= until)
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(inside)])
    return NativeSamples(before[native.offsets], native.times[inside], native.histograms[inside])


def concatenated(vectors: list[Vector]) -> Grid | None:
    """The grids of several vectors of equal steps, one below the other."""
    if all(vector.native is None for vector in vectors):
        return None
    return np.concatenate(
        [np.full(vector.present.shape, None, object) if vector.native is None else vector.native for vector in vectors]
    )


def merged(vector: Vector, groups: Times, count: int) -> Grid | None:
    """The grid with rows of one group as one row; no two of them have a histogram at one step."""
    if vector.native is None:
        return None
    grid = np.full((count, vector.present.shape[1]), None, object)
    rows, columns = np.nonzero(vector.is_native())
    grid[groups[rows], columns] = vector.native[rows, columns]
    return grid
