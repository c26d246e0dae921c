"""Two traces side by side: the same path of services and operations is the same place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from windvane.tracing.analysis.critical import walk
from windvane.tracing.analysis.flame import flame
from windvane.tracing.analysis.spans import ERROR, Name
from windvane.tracing.analysis.tree import Tree, durations, self_time, sums

Change = Literal["added", "removed", "slower", "faster", "more", "fewer", "failed", "recovered", "same"]
FACTOR, LEAST_NS = 1.2, 1_000_000
"""Slower or faster: by a fifth and by a millisecond, at least."""


@dataclass(frozen=True, slots=True)
class Side:
    """A place in one of the traces: spans there, their failures, and nanoseconds."""

    spans: int
    errors: int
    total_ns: int
    self_ns: int
    path_ns: int


@dataclass(frozen=True, slots=True)
class Place:
    """A place in both traces; `parent` indexes the list of places, -1 at the top."""

    parent: int
    depth: int
    name: Name
    change: Change
    a: Side
    b: Side


@dataclass(frozen=True, slots=True)
class Comparison:
    """All places, parents before children, and how long both traces took."""

    a_ns: int
    b_ns: int
    places: list[Place]


def compare(tree: Tree) -> Comparison:
    """Compare the first trace (a) with the second (b) of two."""
    path = walk(tree)
    graph = flame(tree, path)
    columns, own = tree.spans.columns, self_time(tree)
    sides = []
    for trace in (0, 1):
        rows = np.flatnonzero((columns.trace == trace) & (graph.node >= 0))
        failed = (columns.status[rows] == ERROR).astype(np.int64)
        values = (np.ones(len(rows), np.int64), failed, tree.length[rows], own[rows], path.own[rows])
        sides.append(np.stack([sums(graph.node[rows], column, len(graph.parent)) for column in values], axis=1))
    a_ns, b_ns = durations(tree).tolist()
    places = []
    for node, (parent, depth, name) in enumerate(
        zip(graph.parent.tolist(), graph.depth.tolist(), graph.name.tolist(), strict=True)
    ):
        a, b = (Side(*side[node].tolist()) for side in sides)
        places.append(Place(parent, depth, tree.spans.names[name], change(a, b), a, b))
    return Comparison(a_ns, b_ns, places)


def change(a: Side, b: Side) -> Change:  # noqa: PLR0911  the first that holds, the gravest first
    """What became of a place from a to b."""
    if not a.spans:
        return "added"
    if not b.spans:
        return "removed"
    if bool(a.errors) != bool(b.errors):
        return "failed" if b.errors else "recovered"
    if b.total_ns >= a.total_ns * FACTOR and b.total_ns - a.total_ns >= LEAST_NS:
        return "slower"
    if a.total_ns >= b.total_ns * FACTOR and a.total_ns - b.total_ns >= LEAST_NS:
        return "faster"
    if a.spans != b.spans:
        return "more" if b.spans > a.spans else "fewer"
    return "same"
