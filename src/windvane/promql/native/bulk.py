"""Results of kernels as histograms, and resets of many series."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from windvane.promql.native import kernels
from windvane.promql.native.columns import Columns, Histograms
from windvane.promql.native.histogram import GAUGE
from windvane.promql.native.resets import was_reset
from windvane.promql.value import Floats, Mask, NativeSamples, Times


def histograms_of(  # noqa: PLR0917 - what a kernel returns
    own: Histograms,
    hints: NDArray[np.int32],
    models: Times,
    lengths: NDArray[np.int32],
    numbers: Floats,
    index: NDArray[np.int32],
    counts: Floats,
) -> Histograms:
    """Rows of a kernel as histograms of the layout that their models have among `own`."""
    c = own.columns
    positive, negative = lengths[:, 0].copy(), lengths[:, 1].copy()
    ends = np.cumsum(positive.astype(np.int64) + negative)
    count, total, zero = (numbers[:, place].copy() for place in range(kernels.NUMBERS))
    columns = Columns(
        c.schema[models], hints, count, total, c.threshold[models], zero, ends - positive - negative, positive,
        negative, c.bounds[models], index, counts,
    )  # fmt: skip
    return Histograms(columns, own.custom)


def found_resets(native: NativeSamples) -> Mask:
    """Which histograms (none a staleness marker) follow a reset of their counter; never the first of a series."""
    grid = native.histograms
    found: Any = kernels.resets(grid.histograms.columns, grid.index, native.offsets)
    for place in np.flatnonzero(found == 2).tolist():
        now, before = grid[place], grid[place - 1]
        assert now is not None
        assert before is not None
        found[place] = was_reset(now, before)
    return np.asarray(found == 1)


def scaled(own: Histograms, factors: Floats) -> Histograms:
    """Every histogram times its factor (or all times one); a negative factor makes a gauge of it."""
    own = own.compacted()
    c, every = own.columns, np.broadcast_to(factors, len(own))
    hint = np.where(every < 0, GAUGE, c.hint).astype(np.int32)
    counts = c.counts * np.repeat(every, c.positive.astype(np.int64) + c.negative)
    return own.changed(
        hint=hint, population=c.population * every, sum=c.sum * every, zero=c.zero * every, counts=counts
    )


def divided(own: Histograms, divisors: Floats) -> Histograms:
    """Every histogram by its divisor; by zero there are no buckets left, and the rest is infinite or NaN."""
    own = own.compacted()
    c, every = own.columns, np.broadcast_to(divisors, len(own))
    hint = np.where(every < 0, GAUGE, c.hint).astype(np.int32)
    with np.errstate(all="ignore"):
        counts = c.counts / np.repeat(every, c.positive.astype(np.int64) + c.negative)
        left = own.changed(
            hint=hint, population=c.population / every, sum=c.sum / every, zero=c.zero / every, counts=counts
        )
    positive, negative = np.where(every == 0, 0, c.positive), np.where(every == 0, 0, c.negative)
    return left.changed(positive=positive.astype(np.int32), negative=negative.astype(np.int32))


def without_empty(own: Histograms) -> Histograms:
    """Without buckets that count nothing."""
    start, positive, negative, index, counts = kernels.without_empty(own.columns)
    return own.changed(start=start, positive=positive, negative=negative, indices=index, counts=counts)
