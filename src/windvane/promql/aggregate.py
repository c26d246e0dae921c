"""Aggregations over labels at every step.

Floats are aggregated by kernels; where a vector has native histograms too, their part is put right afterwards.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from windvane.promql import gather, label_hash, numbers
from windvane.promql.errors import ExecutionError
from windvane.promql.labels import Labels
from windvane.promql.native import aggregate as natives
from windvane.promql.native.reports import Reports
from windvane.promql.syntax import METRIC_NAME, Aggregate, Expr
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
    if node.op in natives.IGNORING and vector.native is not None:
        vector = _floats(node, vector, param, notes)
    keys = _keys(vector.labels, node)
    group, first = keys.groups()
    if node.op in _OPERATIONS:
        return _reduced(node, vector, keys, notes)
    assert isinstance(param, Scalar)
    if node.op == "quantile":
        _note_quantiles(param.values, node, notes)
        values, present = gather.quantiles(vector.values, vector.present, group, len(first), param.values)
        return Vector(keys.take(first), values, present).without_empty()
    if node.op == "limit_ratio":
        return _sampled(vector, param.values, node, notes)
    return _chosen(node, vector, param.values, group, len(first))


def _reduced(node: Aggregate, vector: Vector, keys: Labels, notes: Notes) -> Vector:
    """One of `_OPERATIONS`: a row a group."""
    group, first = keys.groups()
    apart = vector.native is not None and node.op in ("sum", "avg")
    counted = vector.present & ~vector.is_native() if apart else vector.present
    values, present = gather.aggregate(vector.values, counted, group, len(first), _OPERATIONS[node.op])
    native = None
    if apart:
        values, present, native = natives.summed(node.op, vector, group, (values, present), reports(notes, node.expr))
    return Vector(keys.take(first), values, present, native).without_empty()


def reports(notes: Notes, expr: Expr) -> Reports:
    """Annotations placed at an expression."""
    return Reports(notes, str(expr.span))


def _floats(node: Aggregate, vector: Vector, param: Scalar | Text | None, notes: Notes) -> Vector:
    """The floats of an operand, with a note at which step histograms were ignored."""
    which = vector.is_native().any(axis=0)
    ranking = node.op in ("topk", "bottomk")
    if ranking and isinstance(param, Scalar):
        which &= param.values >= 1
    if which.any():
        reports(notes, node if ranking else node.expr).ignored_in_aggregation(node.op)
    return vector.floats()


def _keys(labels: Labels, node: Aggregate) -> Labels:
    return labels.drop((*node.grouping, METRIC_NAME)) if node.without else labels.keep(node.grouping)


def _note_quantiles(q: Floats, node: Aggregate, notes: Notes) -> None:
    """Warn of the worst quantiles outside of 0 to 1."""
    assert node.param is not None
    wrong = [math.nan] if np.isnan(q).any() else []
    wrong += [float(value) for value in {np.nanmax(q, initial=0), np.nanmin(q, initial=1)} if not 0 <= value <= 1]
    for value in wrong:
        text = f"quantile value should be between 0 and 1, got {numbers.general(value)}"
        notes.warn(f"{text} {node.param.span}")


def _chosen(node: Aggregate, vector: Vector, k: Floats, group: Times, groups: int) -> Vector:
    """topk, bottomk and limitk: some of the series, with all their labels."""
    if np.isnan(k).any():
        raise ExecutionError("Parameter value is NaN")
    if k.max(initial=0) < 1:
        return vector.take(np.zeros(0, np.int64))
    limits = _counts(k)
    if node.op == "limitk":
        chosen = _first(vector.present, group, groups, limits)
    else:
        chosen = gather.ranked(vector.values, vector.present, group, groups, limits, node.op == "topk")
    result = vector.with_present(chosen)
    if vector.values.shape[1] == 1 and node.op != "limitk":
        return result.take(_ranking(result, group, node.op == "topk"))
    return result.without_empty()


def _counts(k: Floats) -> Times:
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


def _sampled(vector: Vector, ratio: Floats, node: Aggregate, notes: Notes) -> Vector:
    """limit_ratio: the series whose labels hash into the first part of all hashes, or for r < 0 into the last."""
    assert node.param is not None
    if np.isnan(ratio).any():
        raise ExecutionError("Ratio value is NaN")
    for value in {float(ratio.max(initial=0)), float(ratio.min(initial=0))}:
        if abs(value) > 1:
            text = f"ratio value should be between -1 and 1, got {numbers.general(value)}"
            reports(notes, node.param).warn(f"{text}, capping to {numbers.general(math.copysign(1, value))}")
    ratio = np.clip(ratio, -1, 1)
    offsets = label_hash.offsets(vector.labels.dicts())[:, None]
    chosen = np.where(ratio >= 0, offsets < ratio, offsets >= 1 + ratio)
    return vector.with_present(vector.present & chosen).without_empty()


def _count_values(node: Aggregate, vector: Vector, label: str) -> Vector:
    """How many series have each value, the value as text becoming a label."""
    if not label:
        raise ExecutionError('invalid label name ""')
    rows, columns = np.nonzero(vector.present)
    codes = _value_codes(vector, rows, columns)
    cells = np.stack([rows, codes])
    pairs, pair = np.unique(cells, axis=1, return_inverse=True)
    labels = vector.labels.take(pairs[0]).with_column(label, pairs[1].astype(np.int32))
    by = node if node.without else replace(node, grouping=(*node.grouping, label))
    keys = _keys(labels, by)
    group, first = keys.groups()
    counts = np.zeros((len(first), vector.values.shape[1]))
    np.add.at(counts, (group[pair.reshape(-1)], columns), 1)
    return Vector(keys.take(first), counts, counts > 0)


def _value_codes(vector: Vector, rows: Times, columns: Times) -> Times:
    """Codes of the elements as text."""
    distinct, which = np.unique(vector.values[rows, columns].view(np.int64), return_inverse=True)
    pool = vector.labels.pool
    codes = pool.codes(numbers.fixed(value) for value in distinct.view(np.float64))[which.reshape(-1)].astype(np.int64)
    if vector.native is not None:
        for place in np.flatnonzero(vector.is_native()[rows, columns]).tolist():
            codes[place] = pool.code(natives.as_text(vector.native[rows[place], columns[place]]))
    return codes
