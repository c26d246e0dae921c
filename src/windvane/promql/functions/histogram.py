"""Functions of histograms: classic ones, series told apart by their upper bound in `le`, and native ones.

Both may be in one vector. Where a classic and a native histogram have equal labels at one step,
neither has a result.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial

import numpy as np

from windvane.promql import gather, numbers
from windvane.promql.binary import merge_same
from windvane.promql.fractions import histogram_fraction
from windvane.promql.functions.base import Evaluation, Function, position
from windvane.promql.functions.window import note_quantiles
from windvane.promql.labels import Labels, concatenate
from windvane.promql.native import distribution
from windvane.promql.native.columns import Histograms
from windvane.promql.native.estimate import Doubt
from windvane.promql.syntax import Call, Expr
from windvane.promql.value import Floats, Mask, Steps, Times, Vector

BUCKET = "le"
Estimate = Callable[[Histograms, Times, Times], tuple[Floats, set[Doubt]]]


@dataclass(frozen=True, slots=True)
class _Classic:
    """Bucket series by histogram: histogram g has rows order[starts[g]:starts[g + 1]], by upper bound.

    `wanted` are the steps at which each histogram may have a result.
    """

    labels: Labels
    vector: Vector
    bounds: Floats
    order: Times
    starts: Times
    wanted: Mask


def _histograms(evaluation: Evaluation, expr: Expr, steps: Steps) -> tuple[_Classic, Vector]:
    """The classic and the native histograms of an operand."""
    vector = evaluation.vector(expr, steps)
    classic = _classic(evaluation, vector.floats(), expr)
    native = vector.histograms() if vector.native is not None else vector.take(np.zeros(0, np.int64))
    if not len(native) or not len(classic.labels):
        return classic, native
    groups, first = concatenate(classic.labels, native.labels).groups()
    ours, theirs = groups[: len(classic.labels)], groups[len(classic.labels) :]
    taken = np.zeros((2, len(first), len(steps)), np.bool_)
    taken[0, ours], taken[1, theirs] = classic.wanted, native.present
    clash = taken[0] & taken[1]
    if clash.any():
        evaluation.notes.warn(f"vector contains a mix of classic and native histograms {position(expr)}")
    return (
        replace(classic, wanted=classic.wanted & ~clash[ours]),
        native.with_present(native.present & ~clash[theirs]).without_empty(),
    )


def _classic(evaluation: Evaluation, vector: Vector, expr: Expr) -> _Classic:
    bounds = _bounds(evaluation, vector.labels, expr)
    known = ~np.isnan(bounds)
    if not known.all():
        vector, bounds = vector.take(known), bounds[known]
    labels = vector.labels.drop((BUCKET,))
    group, first = labels.groups()
    order = np.lexsort((bounds, group))
    starts = np.searchsorted(group[order], np.arange(len(first) + 1))
    wanted = np.zeros((len(first), vector.present.shape[1]), np.bool_)
    np.logical_or.at(wanted, group, vector.present)
    return _Classic(labels.take(first), vector, bounds, order, starts, wanted)


def _bounds(evaluation: Evaluation, labels: Labels, expr: Expr) -> Floats:
    """The upper bound of each series, NaN (with a warning) where `le` is not a number."""
    distinct, which = np.unique(labels.column(BUCKET), return_inverse=True)
    parsed = []
    for code in distinct.tolist():
        bound = numbers.parse(evaluation.pool[code])
        parsed.append(math.nan if bound is None else bound)
        if math.isnan(parsed[-1]):
            text = f'bucket label "le" is missing or has a malformed value of "{evaluation.pool[code]}"'
            evaluation.notes.warn(f"{text} {position(expr)}")
    return np.array(parsed, np.float64)[which.reshape(-1)]


def _of_each(evaluation: Evaluation, vector: Vector, expr: Expr, function: Estimate) -> Vector:
    """A number for every native histogram, by histograms, numbers of those wanted and their steps."""
    values = np.full(vector.present.shape, np.nan)
    which = vector.is_native()
    if vector.native is not None and which.any():
        steps = np.nonzero(which)[1]
        values[which], doubts = function(vector.native.histograms, vector.native.index[which], steps)
        for doubt in Doubt:
            if doubt in doubts:
                evaluation.notes.inform(f"{doubt.value} {position(expr)}")
    return Vector(vector.labels, values, vector.present)


def _joined(classic: Vector, native: Vector) -> Vector:
    """Results of both kinds, without names."""
    labels = concatenate(classic.labels, native.labels) if len(native) else classic.labels
    vector = Vector(
        labels.drop_name(),
        np.concatenate([classic.values, native.values]),
        np.concatenate([classic.present, native.present]),
    )
    return merge_same(vector.without_empty())


def _quantile(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    q = evaluation.numbers(call.args[0], steps)
    note_quantiles(evaluation, call.args[0], q)
    histograms = _histograms(evaluation, call.args[1], steps)
    return _joined(*_quantiles_of(evaluation, call.args[1], histograms, q, steps))


def _quantiles_of(
    evaluation: Evaluation, expr: Expr, histograms: tuple[_Classic, Vector], q: Floats, steps: Steps
) -> tuple[Vector, Vector]:
    c, native = histograms
    values, present, fixed = gather.histogram_quantile(
        c.order, c.starts, c.bounds, c.vector.values, c.vector.present, q
    )
    raised = c.wanted & ~np.isnan(fixed[:, :, 0])
    if raised.any():
        _note_monotonicity(evaluation, expr, steps.times()[np.nonzero(raised)[1]], fixed[raised])
    natives = _of_each(evaluation, native, expr, lambda own, which, steps: distribution.quantiles(own, which, q[steps]))
    return Vector(c.labels, values, present & c.wanted), natives


def _note_monotonicity(evaluation: Evaluation, expr: Expr, times: Times, fixed: Floats) -> None:
    """Tell how far counts had to be raised: bounds and largest difference of each histogram, and its time."""
    low, high, most = fixed[:, 0].min(), fixed[:, 1].max(), fixed[:, 2].max()
    first, last = (
        datetime.fromtimestamp(int(time) // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        for time in (times.min(), times.max())
    )
    evaluation.notes.inform(
        "input to histogram_quantile needed to be fixed for monotonicity (see "
        "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile), "
        f"from buckets {numbers.general(low)} to {numbers.general(high)}, with a max diff of {most:.2g}, "
        f"over {len(fixed)} samples from {first} to {last} {position(expr)}"
    )


def _quantiles(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    """Several quantiles at once, told apart by a label."""
    target = evaluation.text(call.args[1])
    histograms = _histograms(evaluation, call.args[0], steps)
    parts: list[Vector] = []
    for arg in call.args[2:]:
        q = evaluation.numbers(arg, steps)
        note_quantiles(evaluation, arg, q)
        both = _quantiles_of(evaluation, call.args[0], histograms, q, steps)
        for bits in np.unique(q.view(np.int64)).tolist():
            here = q.view(np.int64) == bits
            code = evaluation.pool.code(numbers.open_metrics(float(q[here][0])))
            for part in both:
                labels = part.labels.drop_name().with_column(target, np.full(len(part), code, np.int32))
                parts.append(Vector(labels, part.values, part.present & here).without_empty())
    labels = parts[0].labels
    for part in parts[1:]:
        labels = concatenate(labels, part.labels)
    values, present = np.concatenate([p.values for p in parts]), np.concatenate([p.present for p in parts])
    return merge_same(Vector(labels, values, present))


def _fraction(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    low, high = (evaluation.numbers(arg, steps) for arg in call.args[:2])
    c, native = _histograms(evaluation, call.args[2], steps)
    values, present = histogram_fraction(c.order, c.starts, c.bounds, c.vector.values, c.vector.present, low, high)
    natives = _of_each(
        evaluation,
        native,
        call.args[2],
        lambda own, which, steps: distribution.fractions_between(own, which, low[steps], high[steps]),
    )
    return _joined(Vector(c.labels, values, present & c.wanted), natives)


def _number(
    function: Callable[[Histograms, Times], Floats], evaluation: Evaluation, call: Call, steps: Steps
) -> Vector:
    """A property of native histograms; floats have none."""
    vector = evaluation.vector(call.args[0], steps).histograms()
    numbers_ = _of_each(evaluation, vector, call.args[0], lambda own, which, _: (function(own, which), set()))
    return merge_same(numbers_.with_labels(numbers_.labels.drop_name()))


def _average(own: Histograms, which: Times) -> Floats:
    with np.errstate(all="ignore"):
        return own.columns.sum[which] / own.columns.population[which]


FUNCTIONS: dict[str, Function] = {
    "histogram_quantile": _quantile,
    "histogram_quantiles": _quantiles,
    "histogram_fraction": _fraction,
    "histogram_count": partial(_number, lambda own, which: own.columns.population[which]),
    "histogram_sum": partial(_number, lambda own, which: own.columns.sum[which]),
    "histogram_avg": partial(_number, _average),
    "histogram_stdvar": partial(_number, distribution.variances),
    "histogram_stddev": partial(_number, lambda own, which: np.sqrt(distribution.variances(own, which))),
}
