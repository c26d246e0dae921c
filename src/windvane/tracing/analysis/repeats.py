"""Calls that repeat under one parent: N+1 queries, and calls tried again after they failed.

Calls are alike when they go to the same service under the same name, numbers and ids in it aside. Ten one after the
other could be one (N+1); ten at once are a fan-out, which is no finding.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from windvane.kit.errors import BadInputError
from windvane.tracing.analysis.critical import Path
from windvane.tracing.analysis.spans import ERROR, Ints, Mask, Name
from windvane.tracing.analysis.tree import Tree, sums

MIN_CALLS = 5
_SEQUENTIAL = 0.8  # of the calls, so many at least must begin after all before them have ended

_VARIABLE = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|\b(?=[a-f]*\d)[0-9a-f]{8,}\b|\d+", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Repeat:
    """Similar calls from one operation to another, parent by parent.

    `parents` made at least the least number of calls, in `traces`; `calls` of a parent in the middle and at most,
    `time_ns` the sum of the calls' lengths in the middle and `path_ns` what they and spans below own of
    critical paths, of all parents together. The example is the parent with most calls.
    """

    caller: Name
    called: Name
    traces: int
    parents: int
    calls: float
    most: int
    time_ns: float
    path_ns: int
    example_trace: str
    example_span: str


def similar(operation: str) -> str:
    """An operation's name without what varies from call to call; a protocol's version stays."""
    return _VARIABLE.sub("*", operation)


def n_plus_one(tree: Tree, path: Path, least: int = MIN_CALLS) -> list[Repeat]:
    """Calls made one after the other, `least` or more under one parent; the costliest first."""
    if least < 2:
        raise BadInputError(f"calls {least}: expected at least 2")
    groups = _Groups.of(tree, least)
    chosen = np.zeros(len(groups.size), np.bool_)
    follows = groups.follows()
    for number, (first, size) in enumerate(zip(groups.first.tolist(), groups.size.tolist(), strict=True)):
        chosen[number] = int(follows[first : first + size].sum()) + 1 >= _SEQUENTIAL * size
    return sorted(groups.told(chosen, path), key=_costliest)


def retried(tree: Tree, path: Path, least: int = 2) -> list[Repeat]:
    """Calls tried again: one after the other, all but the last failed; those with the most attempts first."""
    groups = _Groups.of(tree, least)
    failed = tree.spans.columns.status[groups.rows] == ERROR
    chosen = np.zeros(len(groups.size), np.bool_)
    follows = groups.follows()
    for number, (first, size) in enumerate(zip(groups.first.tolist(), groups.size.tolist(), strict=True)):
        last = first + size - 1
        chosen[number] = bool(failed[first:last].all() and follows[first + 1 : last + 1].all())
    return sorted(groups.told(chosen, path), key=lambda one: (-one.most, *_costliest(one)))


def _costliest(one: Repeat) -> tuple[float, float, Name, Name]:
    return -one.path_ns, -one.time_ns * one.parents, one.caller, one.called


@dataclass(frozen=True, slots=True)
class _Groups:
    """Attached children of one parent with similar names, in the order of their beginnings; large groups only.

    `rows` are the children, group after group; a group lies from `first` on and has `size`.
    """

    tree: Tree
    rows: Ints
    first: Ints
    size: Ints
    kind: Ints
    called: list[Name]

    @classmethod
    def of(cls, tree: Tree, least: int) -> _Groups:
        spans = tree.spans
        called = list(dict.fromkeys(Name(name.service, similar(name.operation)) for name in spans.names))
        numbers = {name: number for number, name in enumerate(called)}
        kinds = np.array([numbers[Name(n.service, similar(n.operation))] for n in spans.names], np.int64)
        rows = np.flatnonzero(tree.attached)
        kind = kinds[spans.columns.name[rows]] if len(rows) else rows
        key = spans.parent[rows] * np.int64(max(1, len(called))) + kind
        order = np.lexsort((rows, tree.low[rows], key))
        key, rows, kind = key[order], rows[order], kind[order]
        begins = np.flatnonzero(np.append(True, key[1:] != key[:-1])[: len(key)])
        size = np.diff(np.append(begins, len(key)))
        large = size >= least
        begins, size = begins[large], size[large]
        ends = np.cumsum(size)
        within = np.arange(int(size.sum())) - np.repeat(ends - size, size)
        taken = rows[np.repeat(begins, size) + within]
        return cls(tree, taken, ends - size, size, kind[begins], called)

    def follows(self) -> Mask:
        """Where a call begins when the calls of its group before it have ended; not the first ones."""
        begins, ends = self.tree.low[self.rows], self.tree.high[self.rows]
        found = np.zeros(len(self.rows), np.bool_)
        for first, size in zip(self.first.tolist(), self.size.tolist(), strict=True):
            until = np.maximum.accumulate(ends[first : first + size])
            found[first + 1 : first + size] = begins[first + 1 : first + size] >= until[:-1]
        return found

    def told(self, chosen: Mask, path: Path) -> Iterator[Repeat]:
        """The chosen groups, merged by who calls what."""
        if not chosen.any():
            return
        spans, columns = self.tree.spans, self.tree.spans.columns
        deep = _with_below(self.tree, path.own)
        numbers = np.flatnonzero(chosen)
        parents = spans.parent[self.rows[self.first]]
        merged: dict[tuple[int, int], list[int]] = {}
        for number in numbers.tolist():
            merged.setdefault((int(columns.name[parents[number]]), int(self.kind[number])), []).append(number)
        time = self._of_group(columns.duration)
        owned = self._of_group(deep)
        for (caller, kind), groups in merged.items():
            own = np.array(groups)
            best = own[np.argmax(self.size[own])]
            parent = int(parents[best])
            yield Repeat(
                spans.names[caller], self.called[kind],
                traces=len(np.unique(columns.trace[parents[own]])),
                parents=len(own),
                calls=float(np.median(self.size[own])),
                most=int(self.size[best]),
                time_ns=float(np.median(time[own])),
                path_ns=int(owned[own].sum()),
                example_trace=spans.trace_ids[int(columns.trace[parent])],
                example_span=spans.span_id(parent),
            )  # fmt: skip

    def _of_group(self, values: Ints) -> Ints:
        group = np.repeat(np.arange(len(self.size)), self.size)
        return sums(group, values[self.rows], len(self.size))


def _with_below(tree: Tree, values: Ints) -> Ints:
    """For every row the sum of values of itself and the attached rows below it."""
    found = values.copy()
    for rows in reversed(tree.levels[1:]):
        held = rows[tree.attached[rows]]
        np.add.at(found, tree.spans.parent[held], found[held])
    return found
