"""Aggregations over labels at every step."""

from __future__ import annotations

import numpy as np

from windvane.promql import gather, numbers
from windvane.promql.errors import ExecutionError, UnsupportedError
from windvane.promql.labels import Labels
from windvane.promql.syntax import METRIC_NAME, Aggregate
from windvane.promql.value import Floats, Mask, Notes, Scalar, Text, Times, Vector

_OPERATIONS = {
    "sum": gather.SUM,
    "avg": gather.AVG,
    "count": gather.COUNT,
    "min": gather.MIN,
    "max": gather.MAX,
    "group": gather.GROUP,
    "stddev": gather.STDDEV,
    "stdvar": gather.STDVAR,
}


def aggregate(node: Aggregate, vector: Vector, param: Scalar | Text | None, notes: Notes) -> Vector:
    """`node`'s aggregation of its evaluated operand and parameter."""
    if node.op == "count_values":
        assert isinstance(param, Text)
        return _count_values(node, vector, param.value)
    keys = _keys(vector.labels, node)
    group, first = keys.groups()
    if node.op in _OPERATIONS:
        values, present = gather.aggregate(vector.values, vector.present, group, len(first), _OPERATIONS[node.op])
        return Vector(keys.take(first), values, present).without_empty()
    assert isinstance(param, Scalar)
    if node.op == "quantile":
        _note_quantiles(param.values, node, notes)
        values, present = gather.quantiles(vector.values, vector.present, group, len(first), param.values)
        return Vector(keys.take(first), values, present).without_empty()
    return _chosen(node, vector, param.values, group, len(first))


def _keys(labels: Labels, node: Aggregate) -> Labels:
    return labels.drop((*node.grouping, METRIC_NAME)) if node.without else labels.keep(node.grouping)


def _note_quantiles(q: Floats, node: Aggregate, notes: Notes) -> None:
    for value in np.unique(q[~((q >= 0) & (q <= 1))]):
        notes.warn(f"quantile value should be between 0 and 1, got {numbers.general(value)} (1:{node.span[0] + 1})")


def _chosen(node: Aggregate, vector: Vector, k: Floats, group: Times, groups: int) -> Vector:
    """topk, bottomk and limitk: some of the series, with all their labels."""
    if node.op == "limit_ratio":
        raise UnsupportedError("limit_ratio is not supported by this version")
    if not len(k) or not np.nanmax(k, initial=0) >= 1:
        return vector.take(np.zeros(0, np.int64))
    limits = _counts(k)
    if node.op == "limitk":
        chosen = _first(vector.present, group, groups, limits)
    else:
        chosen = gather.ranked(vector.values, vector.present, group, groups, limits, node.op == "topk")
    result = Vector(vector.labels, vector.values, chosen)
    if vector.values.shape[1] == 1 and node.op != "limitk":
        return result.take(_ranking(result, group, node.op == "topk"))
    return result.without_empty()


def _counts(k: Floats) -> Times:
    if np.isnan(k).any():
        raise ExecutionError("Parameter value is NaN")
    if k.min() <= -(2.0**63):
        raise ExecutionError(f"Scalar value {numbers.general(k.min())} underflows int64")
    if k.max() >= 2.0**63:
        raise ExecutionError(f"Scalar value {numbers.general(k.max())} overflows int64")
    return k.astype(np.int64)


def _first(present: Mask, group: Times, groups: int, limits: Times) -> Mask:
    order = np.argsort(group, kind="stable")
    before = np.cumsum(present[order], axis=0)
    starts = np.searchsorted(group[order], np.arange(groups))
    base = np.where(starts[:, None] > 0, before[np.maximum(starts - 1, 0)], 0)
    rank = np.empty_like(before)
    rank[order] = before - base[group[order]]
    return present & (rank <= limits)


def _ranking(vector: Vector, group: Times, top: bool) -> Times:
    """Rows present at the only step: by group, best value first, NaN last."""
    rows = np.flatnonzero(vector.present[:, 0])
    values = vector.values[rows, 0]
    return rows[np.lexsort((-values if top else values, np.isnan(values), group[rows]))]


def _count_values(node: Aggregate, vector: Vector, label: str) -> Vector:
    """How many series have each value, the value as text becoming a label."""
    if not label:
        raise ExecutionError('invalid label name ""')
    rows, columns = np.nonzero(vector.present)
    distinct, which = np.unique(vector.values[rows, columns].view(np.int64), return_inverse=True)
    pool = vector.labels.pool
    codes = pool.codes(numbers.fixed(value) for value in distinct.view(np.float64))
    cells = np.stack([rows, codes[which.reshape(-1)]])
    pairs, pair = np.unique(cells, axis=1, return_inverse=True)
    labels = vector.labels.take(pairs[0]).with_column(label, pairs[1].astype(np.int32))
    by = node if node.without else Aggregate(node.op, node.expr, node.param, (*node.grouping, label))
    keys = _keys(labels, by)
    group, first = keys.groups()
    counts = np.zeros((len(first), vector.values.shape[1]))
    np.add.at(counts, (group[pair.reshape(-1)], columns), 1)
    return Vector(keys.take(first), counts, counts > 0)
