"""How many requests a proxy was serving at a time, and how that number was spread minute by minute.

A call made for a request finds that request being served; a call of the application's own (a job, a heartbeat) finds
what any moment would. So the mean number served at calls, against the mean over time, tells how many calls were made
for requests, also where something is always being served: a request's own call sees the number of a random *request*
(mean m2/m1, inspection paradox), a job's that of a random *moment* (mean m1).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from windvane.tracing.analysis.spans import Floats, Ints

_MINUTE = 60 * 10**9


@dataclass(frozen=True, slots=True)
class Chance:
    """What a moment of the minute of each call is like, chosen at random.

    `busy` is the share of time in which anything was served, `mean` and `variance` those of the number served.
    """

    busy: Floats
    mean: Floats
    variance: Floats

    @property
    def gain(self) -> Floats:
        """How many more are served, on average, at a call that was made for a request than at a random moment."""
        return np.divide(self.variance, self.mean, out=np.zeros_like(self.mean), where=self.mean > 0)


@dataclass(frozen=True, slots=True)
class Serving:
    """What one proxy served: beginnings and ends, each sorted, nanoseconds."""

    starts: Ints
    ends: Ints

    @classmethod
    def of(cls, starts: Ints, ends: Ints) -> Serving:
        return cls(np.sort(starts), np.sort(ends))

    def at(self, times: Ints) -> Ints:
        """How many were being served; both ends included."""
        return np.searchsorted(self.starts, times, "right") - np.searchsorted(self.ends, times, "left")

    def chance(self, times: Ints) -> Chance:
        """What a random moment near each of these times is like."""
        if not len(self.starts) or not len(times):
            nothing = np.zeros(len(times))
            return Chance(nothing, nothing, nothing)
        first = int(min(self.starts[0], times.min())) // _MINUTE
        last = int(max(self.ends[-1], times.max())) // _MINUTE
        minute = np.clip(times // _MINUTE - first, 0, _MOST - 1)
        busy, mean, square = self._moments(first, min(last - first + 1, _MOST))
        return Chance(busy[minute], mean[minute], np.maximum(0.0, square[minute] - mean[minute] ** 2))

    def _moments(self, first: int, minutes: int) -> tuple[Floats, Floats, Floats]:
        """Of each minute: the share of time with anything served, the mean number, the mean of its square.

        The first and the last minute are as long as requests were seen in them.
        """
        borders = (first + np.arange(1, minutes)) * _MINUTE
        times = np.concatenate([self.starts, self.ends, borders])
        steps = np.concatenate([np.ones(len(self.starts)), -np.ones(len(self.ends)), np.zeros(len(borders))])
        order = np.argsort(times, kind="stable")
        times, served = times[order], np.cumsum(steps[order])[:-1]
        lengths = np.diff(times).astype(np.float64)
        minute = np.clip(times[:-1] // _MINUTE - first, 0, minutes - 1)

        def over_time(values: Floats) -> Floats:
            whole = np.bincount(minute, lengths, minutes)
            return np.divide(
                np.bincount(minute, values * lengths, minutes), whole, out=np.zeros(minutes), where=whole > 0
            )

        return over_time((served > 0).astype(np.float64)), over_time(served), over_time(served**2)


_MOST = 100_000  # minutes: ten weeks
