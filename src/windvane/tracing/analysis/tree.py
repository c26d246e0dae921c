"""Who called whom and waited: spans clipped to their parents, the time each spent itself.

A child holds up its parent while both run. What sticks out of the parent is cut off. A child that lies outside of its
parent, or a consumer of what its parent produced, holds up nobody: it is detached, and the top of a tree of its own.
All sums run over differences of whole nanoseconds, so lengths add up exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from windvane.kit.errors import LimitError
from windvane.tracing.analysis.spans import KINDS, Floats, Ints, Mask, Spans

_PRODUCER, _CONSUMER = KINDS.index("Producer"), KINDS.index("Consumer")


@dataclass(frozen=True, slots=True)
class Tree:
    """Spans of many traces with their place in time.

    `levels` are the rows by depth (rows that are their own ancestors are in none). `low` and `high` bound a span
    after clipping; `attached` is where it holds up its parent. `roots` is the main root of every trace: the first
    span without a parent, before spans whose parent was not received; -1 for a trace of cycles.
    """

    spans: Spans
    levels: Sequence[Ints]
    low: Ints
    high: Ints
    attached: Mask
    roots: Ints

    @property
    def length(self) -> Ints:
        """How long each span ran, after clipping."""
        return self.high - self.low

    @classmethod
    def of(cls, spans: Spans) -> Tree:
        """Clip level by level, parents before their children."""
        columns, parent = spans.columns, spans.parent
        levels = _levels(parent)
        low, high = columns.start.copy(), columns.start + columns.duration
        attached = np.zeros(len(spans), np.bool_)
        for rows in levels[1:]:
            above = parent[rows]
            cut_low, cut_high = np.maximum(low[rows], low[above]), np.minimum(high[rows], high[above])
            whole = (low[rows] == cut_low) & (high[rows] == cut_high)
            waits = (columns.kind[rows] != _CONSUMER) | (columns.kind[above] != _PRODUCER)
            held = waits & (whole | (cut_low < cut_high))
            attached[rows] = held
            low[rows], high[rows] = np.where(held, cut_low, low[rows]), np.where(held, cut_high, high[rows])
        return cls(spans, levels, low, high, attached, _roots(spans, levels))

    def inherit(self, of_top: Ints, own: Mask) -> Mask:
        """Where a row has a property of its own and so have all rows above it, from the tops in `of_top` on."""
        has = np.zeros(len(self.spans), np.bool_)
        has[of_top] = True
        for rows in self.levels[1:]:
            has[rows] |= own[rows] & has[self.spans.parent[rows]]
        return has

    def line(self) -> tuple[Ints, Ints, Ints]:
        """Attached children on one line: their rows, and where each begins and ends.

        Every parent has a stretch of the line as long as it ran, so one sort orders the children of all.
        """
        stretch = self.length + 1
        if len(stretch) and float(stretch.sum(dtype=np.float64)) > 2.0**62:
            raise LimitError("the spans are too long together to be put in order; choose fewer traces")
        base = np.cumsum(stretch) - stretch
        rows = np.flatnonzero(self.attached)
        above = self.spans.parent[rows]
        shift = base[above] - self.low[above]
        return rows, self.low[rows] + shift, self.high[rows] + shift


def _levels(parent: Ints) -> list[Ints]:
    """Rows by depth."""
    order = np.argsort(parent, kind="stable")
    counts = np.bincount(parent + 1, minlength=len(parent) + 1)
    first = np.cumsum(counts) - counts  # where the children of row r begin: first[r + 1]
    levels: list[Ints] = []
    rows = order[: counts[0]]
    while len(rows):
        levels.append(rows)
        sizes = counts[rows + 1]
        ends = np.cumsum(sizes)
        within = np.arange(ends[-1]) - np.repeat(ends - sizes, sizes)
        rows = order[np.repeat(first[rows + 1], sizes) + within]
    return levels


def _roots(spans: Spans, levels: Sequence[Ints]) -> Ints:
    roots = np.full(len(spans.trace_ids), -1, np.int64)
    if not levels:
        return roots
    top = np.sort(levels[0])[::-1]
    lost = spans.columns.parent_id[top] > 0
    for rows in (top[lost], top[~lost]):  # the last assignment to a trace counts: its first row without a parent
        roots[spans.columns.trace[rows]] = rows
    return roots


def self_time(tree: Tree) -> Ints:
    """How long each span ran while none of its attached children did, in nanoseconds."""
    rows, begins, ends = tree.line()
    order = np.argsort(begins, kind="stable")
    begins, ends = begins[order], ends[order]
    reached = np.maximum.accumulate(ends) if len(ends) else ends
    before = np.concatenate([np.array([-1]), reached[:-1]]) if len(ends) else ends
    covered = np.maximum(0, ends - np.maximum(begins, before))
    own = tree.length
    return own - sums(tree.spans.parent[rows[order]], covered, len(own))


def durations(tree: Tree) -> Ints:
    """The length of every trace's main root, 0 for a trace without one."""
    return np.where(tree.roots >= 0, tree.length[tree.roots], 0) if len(tree.spans) else np.zeros_like(tree.roots)


def callers(tree: Tree) -> Ints:
    """For every row the service that called its service, -1 where none did: a call of another service on the way up."""
    spans = tree.spans
    of_name, _ = spans.services()
    service = of_name[spans.columns.name] if len(spans) else spans.columns.name
    caller = np.full(len(spans), -1, np.int64)
    for rows in tree.levels[1:]:
        above = spans.parent[rows]
        caller[rows] = np.where(service[rows] == service[above], caller[above], service[above])
    return caller


def quantile(values: Floats | Ints, at: float) -> float:
    """The value at a quantile, interpolated; 0 for no values."""
    return float(np.quantile(values, at)) if len(values) else 0.0


def traces_of(code: Ints, trace: Ints, size: int) -> Ints:
    """For every code (0 to `size`) the number of different traces it comes with."""
    keys = np.sort(code + trace * np.int64(size))
    return np.bincount(keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]] % max(1, size), minlength=size)


def sums(code: Ints, values: Ints, size: int) -> Ints:
    """Exact sums of values (not negative) by code (0 to `size`): in halves, which floats hold exactly."""
    low = np.bincount(code, values & _HALF, size).astype(np.int64)
    return low + (np.bincount(code, values >> _BITS, size).astype(np.int64) << _BITS)


_BITS = 30
_HALF = (1 << _BITS) - 1
