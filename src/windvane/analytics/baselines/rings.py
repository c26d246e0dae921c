"""The newest minutes of all scopes: scopes x minutes, with what was expected of them and how they were judged."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

RING = 150
"""Minutes that are kept: the local level looks two hours back, and what is learnt lags by half an hour."""
ROOM = 270
"""Further columns: minutes are appended until they are full, then the last `RING` move to the front."""
SIGNALS = 3
"""Errors, latency, rate: in this order wherever signals are numbered."""

Small = npt.NDArray[np.float32]


class Rings:
    """Columns end at `end`, the last of them is the minute before `next` (minutes since the epoch)."""

    def __init__(self, rows: int) -> None:
        def unknown() -> Small:
            return np.full((rows, RING + ROOM), np.nan, np.float32)

        self.end = RING
        self.next = 0
        self.requests, self.errors, self.slow, self.means = unknown(), unknown(), unknown(), unknown()
        """Of latency the logarithms: the 95th percentile, the mean."""
        self.rate_due, self.rate_shape, self.slow_due = unknown(), unknown(), unknown()
        """Logarithms: of the expected, and (shape) of what recent days alone say."""
        self.rate_unseen = np.ones((rows, RING + ROOM), bool)
        self.slow_unseen = np.ones((rows, RING + ROOM), bool)
        self.slow_known = np.full((rows, RING + ROOM), np.inf, np.float32)
        """How many minutes the expected latency is made of; infinite where days taught it."""
        self.odd = np.zeros((rows, SIGNALS, RING + ROOM), bool)
        self.factor = np.ones((rows, SIGNALS, RING + ROOM), np.float32)
        self.score = np.zeros((rows, SIGNALS, RING + ROOM), np.float32)

    def arrays(self) -> list[npt.NDArray[np.generic]]:
        """All of them, their last axis is minutes."""
        return [one for one in vars(self).values() if isinstance(one, np.ndarray)]

    def column(self, minute: int) -> int:
        """Where a minute lies."""
        return self.end - (self.next - minute)

    def append(self, first: int, requests: Small, errors: Small, slow: Small, means: Small) -> None:
        """Write minutes from `first` on, over those that were there already; minutes between are unknown."""
        if not self.next:
            self.next = first
        again, size = self.next - first, requests.shape[1]
        if again < 0:
            raise ValueError(f"minutes {self.next} to {first} are missing")
        self.end, self.next = self.end - again, first
        self._make_room(size)
        here = slice(self.end, self.end + size)
        self._clear(self.end + again, here.stop)
        self.requests[:, here], self.errors[:, here] = requests, errors
        self.slow[:, here], self.means[:, here] = slow, means
        self.end, self.next = here.stop, first + size

    def _make_room(self, size: int) -> None:
        if self.end + size > RING + ROOM:
            for one in self.arrays():
                one[..., :RING] = one[..., self.end - RING : self.end]
            self.end = RING

    def _clear(self, begin: int, end: int) -> None:
        """Unknown, and nothing odd."""
        here = slice(begin, end)
        for one in (
            self.requests, self.errors, self.slow, self.means, self.rate_due, self.rate_shape, self.slow_due
        ):  # fmt: skip
            one[:, here] = np.nan
        self.rate_unseen[:, here] = self.slow_unseen[:, here] = True
        self.slow_known[:, here] = np.inf
        self.odd[..., here] = False
        self.factor[..., here], self.score[..., here] = 1.0, 0.0
