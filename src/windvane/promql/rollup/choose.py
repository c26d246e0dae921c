"""Which windows of a query may be answered from rollups.

Exactly, where windows are made of whole buckets and the function is one that buckets keep: then a
long range is answered from rolled days. Inexactly only where the query asks for a resolution
(`max_source_resolution`, as Thanos calls it): then every window takes the buckets that end in it.
"""

from __future__ import annotations

from dataclasses import dataclass

from windvane.promql.rollup import kernels
from windvane.promql.rollup.build import DAY_MS, WIDTHS, RolledDays
from windvane.promql.value import Times

OPERATIONS = {
    "rate": kernels.RATE,
    "increase": kernels.INCREASE,
    "delta": kernels.DELTA,
    "sum_over_time": kernels.SUM_OVER,
    "avg_over_time": kernels.AVG_OVER,
    "count_over_time": kernels.COUNT_OVER,
    "min_over_time": kernels.MIN_OVER,
    "max_over_time": kernels.MAX_OVER,
    "last_over_time": kernels.LAST_OVER,
    "present_over_time": kernels.PRESENT_OVER,
    "resets": kernels.RESETS_OVER,
}
"""Functions that buckets answer. An instant selector is `LATEST`."""


@dataclass(frozen=True, slots=True)
class Segment:
    """Buckets that end in (after, until], from their table (`rolled`) or made of samples."""

    after: int
    until: int
    rolled: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Buckets of one width for all windows of a node."""

    width: int
    segments: tuple[Segment, ...]

    @property
    def after(self) -> int:
        """Where the first bucket begins."""
        return self.segments[0].after

    @property
    def until(self) -> int:
        """Where the last bucket ends."""
        return self.segments[-1].until


@dataclass(frozen=True, slots=True)
class Policy:
    """What one query may use. `resolution`: the widest bucket (ms) it asks for, None for exact answers only."""

    days: RolledDays
    resolution: int | None = None

    def choose(self, operation: int, ends: Times, span: int, step: int) -> Choice | None:
        """Buckets for windows of length `span` that end at `ends`, `step` apart; None where samples must answer."""
        if not len(ends):
            return None
        for width in sorted(WIDTHS, reverse=True):
            if self._fits(width, operation, int(ends[0]), span, step if len(ends) > 1 else 0):
                segments = self._segments(_down(int(ends[0]) - span, width), _up(int(ends[-1]), width))
                if any(segment.rolled for segment in segments):
                    return Choice(width, segments)
        return None

    def _fits(self, width: int, operation: int, end: int, span: int, step: int) -> bool:
        if self.resolution is not None:
            return width <= self.resolution and (span >= width or operation == kernels.LATEST)
        whole = span % width == 0 or (operation == kernels.LATEST and span < width)
        return whole and end % width == 0 and step % width == 0

    def _segments(self, after: int, until: int) -> tuple[Segment, ...]:
        """(after, until] cut at midnights where its source changes."""
        found: list[Segment] = []
        while after < until:
            day = after // DAY_MS
            end = min(until, (day + 1) * DAY_MS)
            rolled = self._usable(day)
            if found and found[-1].rolled == rolled:
                found[-1] = Segment(found[-1].after, end, rolled)
            else:
                found.append(Segment(after, end, rolled))
            after = end
        return tuple(found)

    def _usable(self, day: int) -> bool:
        """A rolled day whose samples are unchanged, or gone."""
        return day in self.days.rolled and not self.days.stale(day)


def worth_asking(after: int, until: int, now: int) -> bool:
    """Whether a read may touch rolled days at all: the youngest is two days old."""
    return until - after >= DAY_MS // 4 and after < now - 2 * DAY_MS


def _down(time: int, width: int) -> int:
    return time // width * width


def _up(time: int, width: int) -> int:
    return -(-time // width) * width
