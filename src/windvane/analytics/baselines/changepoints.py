"""Where a series' level moved: time, size, and how sure that is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Changepoint:
    """The level moved at `at` (the first time of the new level) from `before` to `after`, in the series' unit.

    `certainty` is 0 to 1: 1 less the chance that noise alone brings a move as large somewhere in the series.
    """

    at: int
    before: float
    after: float
    certainty: float


def changepoints(times: npt.NDArray[np.int64], values: npt.NDArray[np.float64]) -> list[Changepoint]:
    """Moves of the level of a series (NaN is unknown), by time. Give logarithms, or residuals of what was expected."""
    raise NotImplementedError
