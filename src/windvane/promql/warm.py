"""Loads or compiles every kernel before the first user waits for one.

A kernel is compiled for the types of its arguments, so this evaluates real expressions over one
made-up series, with arrays laid out as the store's are (read-only).
"""

from __future__ import annotations

import numpy as np

from windvane.promql.arrange import Collector, arrange
from windvane.promql.cache import Flat, merge
from windvane.promql.evaluate import Evaluator
from windvane.promql.kept import Kept
from windvane.promql.labels import Labels, Pool
from windvane.promql.native.read import decode
from windvane.promql.pack import STRETCH_MS
from windvane.promql.parse import parse
from windvane.promql.parts import Parts
from windvane.promql.plan import Context
from windvane.promql.value import STALE, Samples, Steps
from windvane.store.blocks import Block

QUERIES = (
    "sum by (le) (rate(m[1m]))",
    "histogram_quantile(0.9, m)",
    "topk(1, m) + on (le) group_left m",
    "quantile(0.5, m)",
    "m and m or m unless m",
    "sum_over_time(m[1m])",
    "min_over_time(m[1m])",
    "max_over_time(m[1m:10s])",
    "quantile_over_time(0.5, m[1m])",
    "mad_over_time(m[1m])",
    "deriv(m[1m])",
    "double_exponential_smoothing(m[1m], 0.5, 0.5)",
    "rate(m[1m] smoothed) or changes(m[1m] anchored) or (m smoothed)",
    'label_replace(m > 8, "le", "", "", "") or vector(1)',
)

NATIVE_QUERIES = (
    "histogram_quantile(0.9, sum by (le) (rate(m[1m])))",
    "histogram_fraction(0, 1, avg(m) * 2)",
    "histogram_stddev(sum_over_time(m[1m]))",
    "m + m",
)


def warm() -> None:
    """Evaluate one expression for each kernel; seconds the first time, a moment from the cache."""
    pool, steps = Pool(), Steps(0, 60_000, 30_000)
    samples = _samples(pool)
    evaluator = Evaluator(Context(steps.start, steps.end), pool, lambda _: samples, lambda: None)
    for query in QUERIES:
        evaluator.value(parse(query), steps)


def warm_native() -> None:
    """As `warm`, for native histograms."""
    pool, steps, ids = Pool(), Steps(0, 60_000, 30_000), np.array([1, 2], np.uint64)
    records = [
        [
            series.view(np.float64),
            np.int64(time).view(np.float64),
            3,
            0,
            3 + time,
            time,
            1e-9,
            0,
            2,
            0,
            0,
            1,
            2,
            1,
            2 + time,
        ]
        for series in ids
        for time in range(0, 60_000, 10_000)
    ]
    native = decode(ids, np.array(records, np.float64).reshape(-1))
    labels = Labels.of(pool, [{"__name__": "m", "le": "1"}, {"__name__": "m", "le": "2"}])
    none = np.zeros(0, np.int64)
    samples = Samples(labels, np.zeros(3, np.int64), none, np.zeros(0), native=native)
    evaluator = Evaluator(Context(steps.start, steps.end), pool, lambda _: samples, lambda: None)
    for query in NATIVE_QUERIES:
        evaluator.value(parse(query), steps)


def _samples(pool: Pool) -> Samples:
    ids = np.array([1, 2], np.uint64)
    times = np.arange(0, 60_000, 10_000)
    column, both, values = np.repeat(ids, len(times)), np.tile(times, 2), np.arange(2.0 * len(times))
    values[3] = STALE
    raw = np.concatenate([part.view(np.uint8) for part in (column, both, values)])
    for array in (column, both, values, raw):
        array.setflags(write=False)
    size, number = 8 * len(both), np.dtype(np.int64)
    collector = Collector(ids, len(both), len(both))
    block = Block(raw, len(both), {"Id": (number, 0), "T": (number, size), "Value": (number, 2 * size)})
    for _ in range(2):  # the second is woven into the first
        collector.add(block)
    flat = Flat(ids, *collector.arranged())
    merge(flat, flat, 0).cut(ids, 0, 60_000, len(both))
    for kept in (Kept(Parts({}), 0), Kept(Parts({}), 0, border=1 << 62)):  # flat, and packed
        one = Flat(ids[:1], flat.offsets[:2], flat.times[: len(times)], flat.values[: len(times)], flat.stale)
        held = kept.plus(Parts({}), one, 1 << 20).plus(Parts({}), flat, 1 << 20).plus(Parts({}), one, 1 << 20)
        for until in (30_000, STRETCH_MS):
            pieces = held.cut(ids, -1, until, len(both))
            assert pieces is not None
            pieces.unpacked()
    ids.setflags(write=False)
    arranged = arrange(ids, column, both, values)  # as rollups read
    labels = Labels.of(pool, [{"__name__": "m", "le": "1"}, {"__name__": "m", "le": "+Inf"}])
    return Samples(labels, *arranged)
