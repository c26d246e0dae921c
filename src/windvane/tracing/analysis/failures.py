"""Where failures begin: the failing spans that no failure below explains.

A failing span is explained by a failing span below it, directly or through spans that say nothing of their status. A
span whose status is Ok handled what failed below. (A consumer's failure explains no producer's: nobody waited.)
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from windvane.tracing.analysis.spans import ERROR, OK, Ints, Mask, Name
from windvane.tracing.analysis.tree import Tree

_CHAIN = 32  # names told of the way up


@dataclass(frozen=True, slots=True)
class ErrorRoot:
    """An operation in which failures begin.

    `spans` of `traces` failed so; in `reached` traces the main root failed with it, every span between
    failing or silent. `chain` is the way up of the example, the failing span first.
    """

    name: Name
    spans: int
    traces: int
    reached: int
    chain: list[Name]
    example_trace: str
    example_span: str


def origins(tree: Tree) -> tuple[Ints, Mask]:
    """Rows where a failure begins, and for every row whether a failure there reaches the main root."""
    spans, columns = tree.spans, tree.spans.columns
    failed, handled = columns.status == ERROR, columns.status == OK
    below = np.zeros(len(spans), np.bool_)  # a failure below has come up to this span
    for rows in reversed(tree.levels[1:]):
        rising = rows[(failed[rows] | (below[rows] & ~handled[rows])) & tree.attached[rows]]
        below[spans.parent[rising]] = True
    tops = tree.roots[tree.roots >= 0]
    reaches = tree.inherit(tops[failed[tops]], tree.attached & ~handled)
    inside = np.zeros(len(spans), np.bool_)
    for rows in tree.levels:
        inside[rows] = True
    return np.flatnonzero(failed & ~below & inside), reaches


def error_roots(tree: Tree) -> list[ErrorRoot]:
    """Operations in which failures begin, those of most traces first."""
    rows, reaches = origins(tree)
    spans, columns = tree.spans, tree.spans.columns
    found = []
    for name in np.unique(columns.name[rows]).tolist():
        own = rows[columns.name[rows] == name]
        example = int(own[reaches[own]][0] if reaches[own].any() else own[0])
        found.append(
            ErrorRoot(
                spans.names[name],
                spans=len(own),
                traces=len(np.unique(columns.trace[own])),
                reached=len(np.unique(columns.trace[own[reaches[own]]])),
                chain=_chain(tree, example),
                example_trace=spans.trace_ids[int(columns.trace[example])],
                example_span=spans.span_id(example),
            )
        )
    return sorted(found, key=lambda one: (-one.traces, -one.spans, one.name))


def _chain(tree: Tree, row: int) -> list[Name]:
    names: list[Name] = []
    while row >= 0 and len(names) < _CHAIN:
        names.append(tree.spans.names[int(tree.spans.columns.name[row])])
        row = int(tree.spans.parent[row])
    return names
