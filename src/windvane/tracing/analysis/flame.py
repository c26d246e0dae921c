"""Flame graphs: spans of many traces merged by the path of services and operations that leads to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from windvane.tracing.analysis.critical import Path, walk
from windvane.tracing.analysis.spans import ERROR, Ints, Mask
from windvane.tracing.analysis.tree import Tree, self_time, sums, traces_of


@dataclass(frozen=True, slots=True)
class Flame:
    """Merged spans, parents before their children; every array has an entry a node, `parent` is -1 at the top.

    `spans` merged, `traces` they are of, `errors` among them; `total` is the sum of their lengths, `own` of
    their self times, `path` of what they own of critical paths, in nanoseconds. `node` is each row's node,
    -1 for rows in none. `name` indexes the spans' names.
    """

    parent: Ints
    depth: Ints
    name: Ints
    spans: Ints
    traces: Ints
    errors: Ints
    total: Ints
    own: Ints
    path: Ints
    node: Ints


def flame(tree: Tree, path: Path | None = None) -> Flame:
    """Merge all spans of all traces."""
    path = walk(tree) if path is None else path
    columns = tree.spans.columns
    node, parent, name, depth = _merged(tree)
    rows = np.flatnonzero(node >= 0)
    size, of_row = len(parent), node[rows]
    return Flame(
        parent, depth, name,
        spans=np.bincount(of_row, minlength=size),
        traces=traces_of(of_row, columns.trace[rows], size),
        errors=np.bincount(of_row[columns.status[rows] == ERROR], minlength=size),
        total=sums(of_row, tree.length[rows], size),
        own=sums(of_row, self_time(tree)[rows], size),
        path=sums(of_row, path.own[rows], size),
        node=node,
    )  # fmt: skip


def _merged(tree: Tree) -> tuple[Ints, Ints, Ints, Ints]:
    """The node of every row, and the parent, name and depth of every node."""
    names = max(1, len(tree.spans.names))
    node = np.full(len(tree.spans), -1, np.int64)
    parents, called, depths, size = [], [], [], 0
    for depth, rows in enumerate(tree.levels):
        above = node[tree.spans.parent[rows]] if depth else np.full(len(rows), -1, np.int64)
        keys, of_row = np.unique((above + 1) * names + tree.spans.columns.name[rows], return_inverse=True)
        node[rows] = size + of_row
        parents.append(keys // names - 1)
        called.append(keys % names)
        depths.append(np.full(len(keys), depth, np.int64))
        size += len(keys)
    if not parents:
        nothing = np.empty(0, np.int64)
        return node, nothing, nothing, nothing
    return node, np.concatenate(parents), np.concatenate(called), np.concatenate(depths)


def below(graph: Flame, values: Ints) -> Ints:
    """For every node the sum of `values` of itself and all nodes below it."""
    found = values.copy()
    for depth in range(int(graph.depth.max(initial=0)), 0, -1):
        nodes = np.flatnonzero(graph.depth == depth)
        found += sums(graph.parent[nodes], found[nodes], len(found))
    return found


def large(graph: Flame, least: float) -> Mask:
    """The nodes whose own time with all below them is at least a share of the whole, and so all nodes above them."""
    weight = below(graph, graph.own)
    return weight >= least * int(graph.own.sum())
