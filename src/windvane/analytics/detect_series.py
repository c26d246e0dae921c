"""Series as queries give them, judged by `detect`: laid on a grid, refused where too short, each alert explained."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from windvane.analytics.detect import WAYS, WEIGHTS, Detected, Way, detect
from windvane.analytics.seasonal import DAY, Floats
from windvane.kit.errors import BadInputError

ALERT = 0.5
"""Score of the mildest alert."""
LEAST = 300
"""Known points below which nothing is said: the oddest of fewer is not odd enough for an alert that means something."""


@dataclass(frozen=True, slots=True)
class Judged:
    """`times` (Unix seconds, a step apart), `values` (NaN unknown) and what was found; nothing unknown is an alert."""

    times: npt.NDArray[np.int64]
    values: Floats
    found: Detected

    def why(self, at: int) -> Way:
        """The way in which a point was oddest."""
        return max(WAYS, key=lambda way: WEIGHTS[way] * self.found.ways[way][at])


def judge(times: npt.NDArray[np.int64], values: Floats, step: int) -> Judged:
    """Judge a series whose times ascend by multiples of `step`. `BadInputError` where too little is known of it."""
    known = np.isfinite(values)
    times, values = times[known], values[known]
    if len(values) < LEAST:
        raise BadInputError(
            f"history of {len(values)} points a step of {step} s apart is too short to tell what is odd: "
            f"{LEAST} are needed ({LEAST * step / DAY:.2g} days)"
        )
    index = (times - times[0]) // step
    spread = np.full(int(index[-1]) + 1, np.nan)
    spread[index] = values
    grid = times[0] + step * np.arange(len(spread))
    found = detect(grid, spread)
    return Judged(grid, spread, found.only(np.isfinite(spread)))
