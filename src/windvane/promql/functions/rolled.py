"""Functions of ranges whose windows came from rollups: names and notes as from samples."""

from __future__ import annotations

import numpy as np

from windvane.promql.binary import SAME_LABELS
from windvane.promql.errors import ExecutionError
from windvane.promql.functions.base import Evaluation
from windvane.promql.functions.window import note_gauges
from windvane.promql.rollup.nodes import Buckets, RolledNode
from windvane.promql.syntax import Call, Expr
from windvane.promql.value import Vector


def rolled_vector(evaluation: Evaluation, expr: Expr, node: RolledNode, buckets: Buckets) -> Vector:
    """The value of a selector, or of a function of a range."""
    values, present = buckets.windows(node)
    labels = buckets.labels
    if not isinstance(expr, Call):
        return Vector(labels, values, present).without_empty()
    if expr.function in ("rate", "increase"):
        note_gauges(evaluation, expr, labels.take(np.asarray(present.any(axis=1))))
    if expr.function != "last_over_time":
        labels = labels.drop_name()
    vector = Vector(labels, values, present).without_empty()
    if not vector.labels.unique():
        raise ExecutionError(SAME_LABELS)
    return vector
