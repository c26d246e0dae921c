"""Loads or compiles every kernel before the first user waits for one.

A kernel is compiled for the types of its arguments, so this evaluates real expressions over one
made-up series, with arrays laid out as the store's are (read-only).
"""

from __future__ import annotations

import numpy as np

from windvane.promql.arrange import arrange
from windvane.promql.evaluate import Evaluator
from windvane.promql.labels import Labels, Pool
from windvane.promql.parse import parse
from windvane.promql.plan import Context
from windvane.promql.value import STALE, Samples, Steps

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
    'label_replace(m > 8, "le", "", "", "") or vector(1)',
)


def warm() -> None:
    """Evaluate one expression for each kernel; seconds the first time, a moment from the cache."""
    pool, steps = Pool(), Steps(0, 60_000, 30_000)
    samples = _samples(pool)
    evaluator = Evaluator(Context(steps.start, steps.end), pool, lambda _: samples, lambda: None)
    for query in QUERIES:
        evaluator.value(parse(query), steps)


def _samples(pool: Pool) -> Samples:
    ids = np.array([1, 2], np.uint64)
    times = np.arange(0, 60_000, 10_000)
    column, both, values = np.repeat(ids, len(times)), np.tile(times, 2), np.arange(2.0 * len(times))
    values[3] = STALE
    for array in (ids, column, both, values):
        array.setflags(write=False)
    arranged = arrange(ids, column, both, values)
    labels = Labels.of(pool, [{"__name__": "m", "le": "1"}, {"__name__": "m", "le": "+Inf"}])
    return Samples(labels, *arranged)
