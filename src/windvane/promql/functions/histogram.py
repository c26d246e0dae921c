"""Functions of classic histograms: series told apart by their upper bound in the label `le`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from windvane.promql import gather, numbers
from windvane.promql.binary import merge_same
from windvane.promql.functions.base import Evaluation, Function, position
from windvane.promql.functions.window import note_quantiles
from windvane.promql.labels import Labels
from windvane.promql.syntax import METRIC_NAME, Call, Expr
from windvane.promql.value import Floats, Steps, Times, Vector

BUCKET = "le"


@dataclass(frozen=True, slots=True)
class _Histograms:
    """Bucket series by histogram: histogram g has rows order[starts[g]:starts[g + 1]], by upper bound."""

    labels: Labels
    vector: Vector
    bounds: Floats
    order: Times
    starts: Times


def _histograms(evaluation: Evaluation, expr: Expr, steps: Steps) -> _Histograms:
    vector = evaluation.vector(expr, steps)
    bounds = _bounds(evaluation, vector.labels, expr)
    known = ~np.isnan(bounds)
    if not known.all():
        vector, bounds = vector.take(known), bounds[known]
    labels = vector.labels.drop((BUCKET,))
    group, first = labels.groups()
    order = np.lexsort((bounds, group))
    starts = np.searchsorted(group[order], np.arange(len(first) + 1))
    return _Histograms(labels.take(first), vector, bounds, order, starts)


def _bounds(evaluation: Evaluation, labels: Labels, expr: Expr) -> Floats:
    """The upper bound of each series, NaN (with a warning) where `le` is not a number."""
    distinct, which = np.unique(labels.column(BUCKET), return_inverse=True)
    parsed = []
    for code in distinct.tolist():
        bound = numbers.parse(evaluation.pool[code])
        parsed.append(math.nan if bound is None else bound)
        if bound is None:
            names = {evaluation.pool[name] for name in labels.column(METRIC_NAME).tolist()}
            evaluation.notes.warn(
                f'bucket label "le" is missing or has a malformed value of "{evaluation.pool[code]}" '
                f'for metric name "{min(names)}" {position(expr)}'
            )
    return np.array(parsed, np.float64)[which.reshape(-1)]


def _quantile(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    q = evaluation.numbers(call.args[0], steps)
    note_quantiles(evaluation, call.args[0], q)
    h = _histograms(evaluation, call.args[1], steps)
    values, present, forced = gather.histogram_quantile(
        h.order, h.starts, h.bounds, h.vector.values, h.vector.present, q
    )
    if forced.any():
        evaluation.notes.inform(
            "input to histogram_quantile needed to be fixed for monotonicity (see "
            "https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile) "
            f"{position(call.args[1])}"
        )
    return merge_same(Vector(h.labels.drop_name(), values, present).without_empty())


FUNCTIONS: dict[str, Function] = {"histogram_quantile": _quantile}
