"""How much counters grew, step by step, from their values on a grid: exact, where `rate` extrapolates.

A counter that appears within the window began at nought (a version's first error makes its series), unless its first
value is far beyond what it does afterwards: then it had counted elsewhere before, and what it grew is not known.
A counter that falls was set back and has counted its value since.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from windvane.promql.value import MatrixResult

Floats = NDArray[np.float64]

_FAR = 10.0
_FEW = 100.0


def on_grid(found: MatrixResult, series: int, start_ms: int, step_ms: int, steps: int) -> Floats:
    """A series' values at start, start + step, …; NaN where it has none."""
    values = np.full(steps, np.nan)
    times, own = found.points(series)
    values[(times - start_ms) // step_ms] = own
    return values


def growth(values: Floats) -> Floats:
    """Between each value and the next, one fewer than the values; nought where either is unknown."""
    before, now = values[:-1], values[1:]
    grown = np.where(now >= before, now - before, now)
    grown = np.where(np.isfinite(now) & np.isfinite(before), grown, 0.0)
    alive = np.flatnonzero(np.isfinite(values))
    if len(alive) and alive[0] > 0:
        first, rest = float(values[alive[0]]), float(grown.max(initial=0.0))
        if first <= _FEW or first <= _FAR * rest:
            grown[alive[0] - 1] = first
    return grown
