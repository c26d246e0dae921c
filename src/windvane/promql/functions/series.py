"""Functions of whole series: labels, order, absence, and between scalars and vectors."""

from __future__ import annotations

import functools
import re

import numpy as np

from windvane.promql import regex
from windvane.promql.binary import merge_same
from windvane.promql.errors import ExecutionError
from windvane.promql.functions.base import Evaluation, Function, constant, position
from windvane.promql.functions.window import absence
from windvane.promql.plan import reads_sample_times
from windvane.promql.syntax import Call, Selector, unwrap
from windvane.promql.value import Scalar, Steps, Times, Vector

_CHUNK = re.compile(r"(\d+|\D+)", re.ASCII)


def _label_replace(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    target, replacement, source, pattern = (evaluation.text(arg) for arg in call.args[1:])
    if regex.problem(pattern):
        raise ExecutionError(f"invalid regular expression in label_replace(): {pattern}")
    _check_label(target, "destination", "label_replace")
    vector = evaluation.vector(call.args[0], steps)
    compiled, pool = regex.anchored(pattern), evaluation.pool
    replaced: dict[int, int] = {}
    for code in np.unique(vector.labels.column(source)).tolist():
        match = compiled.fullmatch(pool[code])
        if match is not None:
            replaced[code] = pool.code(regex.expand(replacement, match))
    sources, targets = vector.labels.column(source).tolist(), vector.labels.column(target).tolist()
    codes = np.array([replaced.get(s, t) for s, t in zip(sources, targets, strict=True)], np.int32)
    return merge_same(vector.with_labels(vector.labels.with_column(target, codes)))


def _label_join(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    target, separator, *sources = (evaluation.text(arg) for arg in call.args[1:])
    for source in sources:
        _check_label(source, "source", "label_join")
    _check_label(target, "destination", "label_join")
    vector = evaluation.vector(call.args[0], steps)
    columns = [vector.labels.values(source) for source in sources]
    joined = [separator.join(row) for row in zip(*columns, strict=True)] if columns else [""] * len(vector)
    labels = vector.labels.with_column(target, evaluation.pool.codes(joined))
    return merge_same(vector.with_labels(labels))


def _check_label(name: str, role: str, function: str) -> None:
    if not name:
        raise ExecutionError(f"invalid {role} label name in {function}(): {name}")


def _sort(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    """Order by value, NaN last; only an instant query shows an order."""
    vector = evaluation.vector(call.args[0], steps).floats()
    if len(steps) != 1:
        _note_no_order(evaluation, call)
        return vector
    rows = np.flatnonzero(vector.present[:, 0])
    values = vector.values[rows, 0]
    keys = (-values if call.function == "sort_desc" else values, np.isnan(values))
    return vector.take(rows[np.lexsort(keys)])


def _note_no_order(evaluation: Evaluation, call: Call) -> None:
    text = "sort is ineffective for range queries since results are always ordered by labels"
    evaluation.notes.warn(f"{text} {position(call)}")


def _sort_by_label(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    """Order by labels, digits by their number; ties by the whole label set."""
    vector = evaluation.vector(call.args[0], steps)
    if len(steps) != 1:
        _note_no_order(evaluation, call)
        return vector
    names = [evaluation.text(arg) for arg in call.args[1:]]
    sets, place = vector.labels.dicts(), np.empty(len(vector), np.int64)
    place[vector.labels.order()] = np.arange(len(vector))

    def compare(a: int, b: int) -> int:
        for name in names:
            left, right = sets[a].get(name, ""), sets[b].get(name, "")
            if left != right:
                return -1 if natural_less(left, right) else 1
        return int(place[a] - place[b])

    order = sorted(range(len(sets)), key=functools.cmp_to_key(compare))
    if call.function == "sort_by_label_desc":
        order.reverse()
    return vector.take(np.array(order, np.int64))


def natural_less(left: str, right: str) -> bool:
    """Whether `left` sorts before `right` chunk by chunk, runs of digits as numbers."""
    a, b = _CHUNK.findall(left), _CHUNK.findall(right)
    for place, chunk in enumerate(a):
        if place >= len(b):
            return False
        other = b[place]
        numeric = chunk.isdecimal() and other.isdecimal()
        if chunk == other or (numeric and int(chunk) == int(other)):
            if place == len(a) - 1:
                return True
            if place == len(b) - 1:
                return False
            continue
        return int(chunk) < int(other) if numeric else chunk < other
    return False


def _absent(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    vector = evaluation.vector(call.args[0], steps)
    return absence(evaluation, call.args[0], np.asarray(~vector.present.any(axis=0)))


def _scalar(evaluation: Evaluation, call: Call, steps: Steps) -> Scalar:
    """The value of the only element at each step, NaN when there is none or more than one."""
    vector = evaluation.vector(call.args[0], steps).floats()
    if not len(vector):
        return Scalar(np.full(len(steps), np.nan))
    row: Times = vector.present.argmax(axis=0)
    values = vector.values[row, np.arange(len(steps))]
    return Scalar(np.where(vector.present.sum(axis=0) == 1, values, np.nan))


def _vector(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    return constant(evaluation.pool, evaluation.numbers(call.args[0], steps))


def _time(_: Evaluation, __: Call, steps: Steps) -> Scalar:
    return Scalar(steps.times() / 1000)


def _pi(_: Evaluation, __: Call, steps: Steps) -> Scalar:
    return Scalar(np.full(len(steps), np.pi))


def _timestamp(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    if reads_sample_times(call):
        selector = unwrap(call.args[0])
        assert isinstance(selector, Selector)
        vector = evaluation.sample_times(selector, steps)
    else:
        inner = evaluation.vector(call.args[0], steps)
        times = np.broadcast_to(steps.times() / 1000, inner.values.shape)
        vector = Vector(inner.labels, times, inner.present)
    return merge_same(Vector(vector.labels.drop_name(), vector.values, vector.present))


FUNCTIONS: dict[str, Function] = {
    "label_replace": _label_replace,
    "label_join": _label_join,
    "sort": _sort,
    "sort_desc": _sort,
    "sort_by_label": _sort_by_label,
    "sort_by_label_desc": _sort_by_label,
    "absent": _absent,
    "scalar": _scalar,
    "vector": _vector,
    "time": _time,
    "pi": _pi,
    "timestamp": _timestamp,
}
