"""What if an operation were faster: durations computed anew, not read off the critical path.

A span's own work between two events (a child begins, the span ends) starts when the last of the children that had
finished by then had finished. Made faster, the work shrinks; the children begin that much earlier, and where the wait
is for another child now, the gain ends there. So a change off the critical path gains nothing, and one on it at most
what it owns. With nothing changed every duration comes out as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from windvane.kit.errors import BadInputError
from windvane.tracing.analysis.critical import quantiles
from windvane.tracing.analysis.spans import Floats, Ints, Mask
from windvane.tracing.analysis.tree import Tree, durations


@dataclass(frozen=True, slots=True)
class Projection:
    """Quantiles of durations before and after a change, in nanoseconds; `affected` traces have such spans."""

    service: str
    operation: str
    faster: float
    affected: int
    before_ns: dict[str, float]
    after_ns: dict[str, float]


def project(tree: Tree, service: str, operation: str, faster: float) -> Projection:
    """The own work of a service's spans (of one operation, or all with '') takes `faster` (0 to 1) less time."""
    if not 0 < faster <= 1:
        raise BadInputError(f"faster {faster:g}: expected a share above 0 and at most 1, such as 0.3 for 30 % faster")
    spans = tree.spans
    wanted = np.array([name.service == service and operation in ("", name.operation) for name in spans.names], np.bool_)
    changed = wanted[spans.columns.name] if len(spans) else np.zeros(0, np.bool_)
    if not changed.any():
        named = f"{service!r}" + (f" with operation {operation!r}" if operation else "")
        raise BadInputError(f"no span of {named} in the traces")
    touched = np.zeros(len(spans.trace_ids), np.bool_)
    touched[spans.columns.trace[changed]] = True
    before = durations(tree)
    after = before.astype(np.float64)
    inside = touched[spans.columns.trace]
    lengths = retimed(tree, np.where(changed, 1 - faster, 1.0), inside)
    chosen = touched & (tree.roots >= 0)
    after[chosen] = lengths[tree.roots[chosen]]
    return Projection(service, operation, faster, int(touched.sum()), quantiles(before), quantiles(after))


def retimed(tree: Tree, factor: Floats, inside: Mask) -> Floats:
    """Every span's length when its own work takes `factor` as long; rows that are not `inside` stay as they are."""
    lengths = tree.length.astype(np.float64)
    events, begun = _Events.of(tree, inside), np.zeros(len(lengths))
    for rows in reversed(tree.levels):
        here = rows[inside[rows]]
        if len(here):
            lengths[here] = events.run(here, _Times(lengths, begun, tree.length), factor)
    return lengths


@dataclass(frozen=True, slots=True)
class _Times:
    """New lengths of rows below, when children begin anew since their parent did, and lengths before."""

    lengths: Floats
    begun: Floats
    before: Ints


@dataclass(frozen=True, slots=True)
class _Events:
    """When attached children begin and end, parent by parent in the order of time.

    `first` and `count` say where a row's events lie; `at` is the time since the parent began, `child` the
    child's row, `ends` tells an end from a beginning.
    """

    first: Ints
    count: Ints
    at: Ints
    child: Ints
    ends: Mask

    @classmethod
    def of(cls, tree: Tree, inside: Mask) -> _Events:
        children = np.flatnonzero(tree.attached & inside)
        child = np.concatenate([children, children])
        ends = np.repeat(np.array([False, True]), len(children))
        above = tree.spans.parent[child]
        at = np.where(ends, tree.high[child], tree.low[child]) - tree.low[above]
        # At the same moment, ends come before beginnings, so that a child can follow one that just ended; between
        # them come children without length, each its beginning before its end.
        empty = tree.high[child] == tree.low[child]
        rank = np.where(empty, 1, np.where(ends, 0, 2))
        order = np.lexsort((ends, np.where(empty, child, 0), rank, at, above))
        count = np.bincount(above, minlength=len(tree.spans))
        return cls(np.cumsum(count) - count, count, at[order], child[order], ends[order])

    def run(self, rows: Ints, times: _Times, factor: Floats) -> Floats:
        """New lengths of rows on one level, whose children's are known; one event of every row at a time."""
        share = factor[rows]
        reached = np.zeros(len(rows))  # when, anew, all children that have ended had ended
        since = np.zeros(len(rows))  # when, before, the last of them had
        active = np.flatnonzero(self.count[rows] > 0)
        step = 0
        while len(active):
            event = self.first[rows[active]] + step
            child, at, ends = self.child[event], self.at[event], self.ends[event]
            opening, closing = active[~ends], active[ends]
            times.begun[child[~ends]] = reached[opening] + share[opening] * (at[~ends] - since[opening])
            done = child[ends]
            reached[closing] = np.maximum(reached[closing], times.begun[done] + times.lengths[done])
            since[closing] = at[ends]
            step += 1
            active = active[self.count[rows[active]] > step]
        return reached + share * (times.before[rows] - since)
