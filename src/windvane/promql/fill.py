"""The modifiers `fill`, `fill_left` and `fill_right`: values that stand for series missing on one side (experimental).

Each match group that one side lacks at some step gets a row there, with no labels but those matched on.
"""

from __future__ import annotations

import numpy as np

from windvane.promql.labels import Labels, concatenate
from windvane.promql.native import select as natives
from windvane.promql.syntax import METRIC_NAME, Matching
from windvane.promql.value import Mask, Vector


def filled(left: Vector, right: Vector, matching: Matching) -> tuple[Vector, Vector]:
    """Both sides, with rows added where they are asked for."""
    keys = (_matched(left.labels, matching), _matched(right.labels, matching))
    groups, first = concatenate(*keys).groups()
    labels = concatenate(*keys).take(first)
    in_left = _present(left, groups[: len(left)], len(first))
    in_right = _present(right, groups[len(left) :], len(first))
    return (
        _with_rows(left, labels, in_right & ~in_left, matching.fill_left),
        _with_rows(right, labels, in_left & ~in_right, matching.fill_right),
    )


def _matched(labels: Labels, matching: Matching) -> Labels:
    return labels.keep(matching.labels) if matching.on else labels.drop((*matching.labels, METRIC_NAME))


def _present(vector: Vector, group: np.ndarray, groups: int) -> Mask:
    out = np.zeros((groups, vector.values.shape[1]), np.bool_)
    np.logical_or.at(out, group, vector.present)
    return out


def _with_rows(side: Vector, labels: Labels, missing: Mask, value: float | None) -> Vector:
    rows = np.flatnonzero(missing.any(axis=1))
    if value is None or not len(rows):
        return side
    added = Vector(labels.take(rows), np.full((len(rows), missing.shape[1]), value), missing[rows])
    values, present = np.concatenate([side.values, added.values]), np.concatenate([side.present, added.present])
    return Vector(concatenate(side.labels, added.labels), values, present, natives.concatenated([side, added]))
