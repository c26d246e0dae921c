"""Sums over trailing windows of scopes x minutes, as differences of running sums."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from windvane.analytics.seasonal import Flags, Floats


def counted(values: npt.NDArray[np.floating]) -> Floats:
    """Values with nought for what is unknown."""
    return np.where(np.isfinite(values), values, 0.0)


def running(values: npt.NDArray[Any]) -> Floats:
    """Sums up to each column, with a nought before the first."""
    total = np.empty((len(values), values.shape[1] + 1))
    total[:, 0] = 0.0
    np.cumsum(values, axis=1, out=total[:, 1:])
    return total


def window(total: Floats, width: int, size: int) -> Floats:
    """Sums of the last `width` columns up to each of the last `size`."""
    many = total.shape[1]
    return np.asarray(total[:, many - size :] - total[:, many - size - width : many - width])


@dataclass(frozen=True, slots=True)
class Rate:
    """Running sums of requests that were seen, of those that were due, of known minutes and of those of a weekday that
    was never seen."""

    seen: Floats
    due: Floats
    known: Floats
    unseen: Floats

    @classmethod
    def of(cls, requests: Floats, due: Floats, unseen: Flags) -> Rate:
        """From scopes x minutes; NaN is unknown."""
        known = np.isfinite(requests) & np.isfinite(due)
        seen, wanted = np.where(known, requests, 0.0), np.where(known, due, 0.0)
        return cls(running(seen), running(wanted), running(known), running(unseen))
