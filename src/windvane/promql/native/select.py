"""Native histograms beside floats: the latest sample of a series, flat samples from matrices and back."""

from __future__ import annotations

import numpy as np

from windvane.promql.native import kernels
from windvane.promql.native.bulk import found_resets, scaled
from windvane.promql.native.columns import Grid, below_each_other
from windvane.promql.native.histogram import GAUGE, NO_RESET, RESET, UNKNOWN
from windvane.promql.syntax import Aggregate, Binary, Call, Expr, Selector, Subquery, children
from windvane.promql.value import Floats, Mask, NativeSamples, Sampled, Times, Vector


def latest(samples: Sampled, ends: Times, span: int, found: tuple[Floats, Mask, Times]) -> Grid | None:
    """Put the histograms that are the last sample of a window into what was `found` of floats; all of them as a grid.

    `found` is (values, present, times). Whatever is newer counts, also a staleness marker of either kind.
    """
    native = samples.native
    if native is None:
        return None
    values, present, times = found
    low, high = kernels.windows(native.offsets, native.times, ends, span)
    last = np.clip(high - 1, 0, max(0, len(native.times) - 1))
    newer, at = high > low, native.times[last] if len(native.times) else np.zeros(high.shape, np.int64)
    if len(samples.times):
        before, until = kernels.windows(samples.offsets, samples.times, ends, span)
        newer &= (until == before) | (at > samples.times[np.clip(until - 1, 0, len(samples.times) - 1)])
    numbers = native.histograms.index[last] if len(native.times) else np.full(high.shape, -1, np.int64)
    grid = Grid(np.where(newer, numbers, -1), native.histograms.histograms)
    present[newer] = grid.some[newer]
    times[newer] = at[newer]
    values[newer] = np.nan
    return grid


def negated(grid: Grid | None) -> Grid | None:
    """Every histogram with its counts below zero."""
    return None if grid is None else Grid(grid.index, scaled(grid.histograms, np.array(-1.0)))


def without_stale(native: NativeSamples | None) -> NativeSamples | None:
    """The histograms without staleness markers."""
    if native is None:
        return None
    some = native.histograms.some
    return native if some.all() else _kept(native, some)


def _kept(native: NativeSamples, some: Mask) -> NativeSamples:
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
    own = native.histograms.histograms
    hint = np.where(own.columns.hint == GAUGE, GAUGE, UNKNOWN).astype(np.int32)
    return NativeSamples(native.offsets, native.times, Grid(native.histograms.index, own.with_hints(hint)))


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
    some = native.histograms.some
    kept = _kept(native, some)
    own = kept.histograms.chosen()
    hint = own.columns.hint.copy()
    found = np.where(found_resets(kept), RESET, NO_RESET)
    found[kept.offsets[:-1][np.diff(kept.offsets) > 0]] = UNKNOWN
    hint[hint == UNKNOWN] = found[hint == UNKNOWN]
    zeros, none = np.zeros(len(own)), np.zeros(len(own), np.int32)
    bare = own.changed(hint=hint, threshold=zeros, zero=zeros, positive=none, negative=none, bounds=none)
    index = np.where(some, np.cumsum(some) - 1, -1)
    return NativeSamples(native.offsets, native.times, Grid(index, bare))


def within(native: NativeSamples | None, after: int, until: int) -> NativeSamples | None:
    """The histograms at times in (after, until]."""
    return None if native is None else _kept(native, (native.times > after) & (native.times <= until))


def concatenated(vectors: list[Vector]) -> Grid | None:
    """The grids of several vectors of equal steps, one below the other."""
    if all(vector.native is None for vector in vectors):
        return None
    return below_each_other([vector.native or Grid.empty(vector.present.shape) for vector in vectors])


def merged(vector: Vector, groups: Times, count: int) -> Grid | None:
    """The grid with rows of one group as one row; no two of them have a histogram at one step."""
    if vector.native is None:
        return None
    index = np.full((count, vector.present.shape[1]), -1, np.int64)
    rows, columns = np.nonzero(vector.is_native())
    index[groups[rows], columns] = vector.native.index[rows, columns]
    return Grid(index, vector.native.histograms)
