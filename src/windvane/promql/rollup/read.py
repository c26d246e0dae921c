"""Buckets of a selection: rolled days from their table, other days from samples."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from windvane.promql.cache import Flat
from windvane.promql.labels import Labels
from windvane.promql.rollup import kernels
from windvane.promql.rollup.build import COLUMNS, WIDTHS
from windvane.promql.rollup.choose import Segment
from windvane.promql.rollup.nodes import Buckets, RolledNode
from windvane.promql.select import Query, condition, which
from windvane.promql.value import Floats, Ids, Times
from windvane.store.api import Limits

_FACTS = ", ".join(
    f"toFloat64(toUnixTimestamp64Milli({name})) AS {name}_" if kind == "<M8[ms]" else f"toFloat64({name}) AS {name}_"
    for name, _, kind in COLUMNS
)
_IN = "Time > fromUnixTimestamp64Milli({after:Int64}) AND Time <= fromUnixTimestamp64Milli({until:Int64})"


@dataclass(frozen=True, slots=True)
class _Rows:
    """Buckets in any order: their series' place among the ids, end, facts."""

    rows: Times
    ends: Times
    facts: Floats


@dataclass(frozen=True, slots=True)
class Source:
    """Where buckets come from: the tables, samples of a segment, labels of series; `ids` (ascending) are wanted."""

    ids: Ids
    query: Query
    samples: Callable[[Segment], Flat]
    labels: Callable[[Ids], Labels]
    limits: Limits


def read(node: RolledNode, source: Source) -> tuple[Buckets, int]:
    """The node's buckets, and how many rows that took; series without any are left out."""
    ids = source.ids
    if not len(ids):
        none = np.zeros(0, np.int64)
        return Buckets(source.labels(ids), np.zeros(1, np.int64), none, np.zeros((0, kernels.FACTS))), 0
    pieces = [
        _rolled(node, segment, source) if segment.rolled else _made(node, segment, ids, source.samples(segment))
        for segment in node.choice.segments
    ]
    rows = np.concatenate([piece.rows for piece in pieces])
    ends = np.concatenate([piece.ends for piece in pieces])
    order = np.lexsort((ends, rows))
    counts = np.bincount(rows, minlength=len(ids))
    some = np.flatnonzero(counts)
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[some])])
    facts = np.concatenate([piece.facts for piece in pieces])[order]
    return Buckets(source.labels(ids[some]), offsets, ends[order], facts), len(rows)


def _rolled(node: RolledNode, segment: Segment, source: Source) -> _Rows:
    ids = source.ids
    clause, params = which(ids, condition(node.matchers))
    frame = source.query(
        f"SELECT Id, toUnixTimestamp64Milli(Time) AS T, {_FACTS} FROM {WIDTHS[node.choice.width]} "
        f"WHERE {clause} AND {_IN}",
        {**params, "after": segment.after, "until": segment.until},
        source.limits,
    )
    own = frame["Id"].to_numpy(np.uint64)
    rows = np.minimum(np.searchsorted(ids, own), len(ids) - 1)
    known = ids[rows] == own
    facts = np.empty((len(frame), kernels.FACTS))
    for name, column, _ in COLUMNS:
        facts[:, column] = frame[f"{name}_"].to_numpy()
    return _Rows(rows[known], frame["T"].to_numpy(np.int64)[known], facts[known])


def _made(node: RolledNode, segment: Segment, ids: Ids, flat: Flat) -> _Rows:
    offsets, ends, facts = kernels.buckets(flat.offsets, flat.times, flat.values, node.choice.width)
    rows = np.repeat(np.searchsorted(ids, flat.ids), np.diff(offsets))
    inside = (ends > segment.after) & (ends <= segment.until)
    return _Rows(rows[inside], ends[inside], facts[inside])
