"""Binary operators over matrices: arithmetic, comparison, vector matching and set operators.

Vectors are matched row by row, not step by step: rows of both sides get the number of their match
group, every (left row, right row) of a group is a pair, and each pair is computed at all steps at
once. Ambiguity is an error only at steps where it really occurs, as in Prometheus.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from windvane.promql.errors import ExecutionError, QueryLimitError
from windvane.promql.fill import filled
from windvane.promql.jit import kernel
from windvane.promql.labels import Labels, aligned, concatenate
from windvane.promql.native import binary as native_binary
from windvane.promql.native import select as natives
from windvane.promql.native.columns import Grid
from windvane.promql.quoting import quote
from windvane.promql.signatures import ARITHMETIC, COMPARISON, TRIM
from windvane.promql.syntax import METRIC_NAME, Cardinality, Matching, quote_label
from windvane.promql.value import Floats, Mask, Notes, Scalar, Times, Vector

_OPERATIONS: dict[str, Callable[[Floats, Floats], Floats]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
    "%": np.fmod,
    "^": np.power,
    "atan2": np.arctan2,
}
_COMPARISONS: dict[str, Callable[[Floats, Floats], Mask]] = {
    "==": np.equal,
    "!=": np.not_equal,
    ">": np.greater,
    "<": np.less,
    ">=": np.greater_equal,
    "<=": np.less_equal,
}
SAME_LABELS = "vector cannot contain metrics with the same labelset"
MAX_CELLS = 1 << 28


@dataclass(frozen=True, slots=True)
class How:
    """How an operator is asked for: with `bool` or not; and where its annotations go, naming its place."""

    return_bool: bool
    notes: Notes
    place: str


def scalars(op: str, left: Scalar, right: Scalar) -> Scalar:
    """Both sides scalars; comparisons give 0 or 1."""
    if op in TRIM:
        raise ExecutionError(f'operator "{op}" not allowed for Scalar operations')
    if op in COMPARISON:
        return Scalar(_COMPARISONS[op](left.values, right.values).astype(np.float64))
    return Scalar(_OPERATIONS[op](left.values, right.values))


def vector_scalar(op: str, vector: Vector, scalar: Scalar, how: How, *, swapped: bool) -> Vector:
    """A vector with a scalar (on the left if `swapped`); a comparison keeps the vector's own values."""
    numbers = np.broadcast_to(scalar.values, vector.values.shape)
    left, right = (numbers, vector.values) if swapped else (vector.values, numbers)
    values, present = _computed(op, left, right, vector.present, how.return_bool)
    if op in COMPARISON and not how.return_bool:
        values = vector.values
    if op in TRIM:
        _note_trimmed_floats(op, vector.present & ~vector.is_native(), how)
    native = None
    if vector.native is not None:
        note = native_binary.Note(how.notes, how.place, return_bool=how.return_bool, swapped=swapped)
        values, present, native = native_binary.with_scalar(op, vector, scalar.values, (values, present), note)
    labels = vector.labels.drop_name() if op in ARITHMETIC or how.return_bool else vector.labels
    return merge_same(Vector(labels, values, present, native))


def vectors(op: str, left: Vector, right: Vector, matching: Matching, how: How) -> Vector:
    """Arithmetic or comparison of two vectors, one-to-one or many-to-one."""
    if matching.fill_left is not None or matching.fill_right is not None:
        left, right = filled(left, right, matching)
    flipped = matching.cardinality is Cardinality.ONE_TO_MANY
    many, one = (right, left) if flipped else (left, right)
    many_key, one_key, keys = match_groups(many.labels, one.labels, matching)
    _refuse_duplicates(many, one, one_key, keys, matching)
    pair_many, pair_one = _pairs(many_key, one_key, keys)
    if len(pair_many) * many.values.shape[1] > MAX_CELLS:
        raise QueryLimitError("vector matching would produce too many samples")
    a, b = many.take(pair_many), one.take(pair_one)
    values, present, native, both = _paired(op, b if flipped else a, a if flipped else b, how)
    labels = _result_labels(op, a.labels, b.labels, matching)
    if how.return_bool:
        labels = labels.drop_name()
    _refuse_ambiguous(labels, both, many_key[pair_many], keys, matching)
    return merge_same(Vector(labels, values, present, native).without_empty())


def _paired(op: str, left: Vector, right: Vector, how: How) -> tuple[Floats, Mask, Grid | None, Mask]:
    """Two vectors row by row: values, presence, histograms, and where both sides met and fit together."""
    both = left.present & right.present
    values, present = _computed(op, left.values, right.values, both, how.return_bool)
    if op in TRIM:
        _note_trimmed_floats(op, both & ~left.is_native() & ~right.is_native(), how)
        both &= left.is_native()
    if left.native is None and right.native is None:
        return values, present, None, both
    note = native_binary.Note(how.notes, how.place, return_bool=how.return_bool)
    values, present, native, failed = native_binary.with_vector(op, left, right, (values, present), note)
    return values, present, native, both & ~failed


def set_operation(op: str, left: Vector, right: Vector, matching: Matching) -> Vector:
    """and, or, unless: presence decided at every step by what the other side's match group has."""
    left_key, right_key, keys = match_groups(left.labels, right.labels, matching)
    if op == "or":
        taken = any_of_group(left.present, left_key, keys)[right_key]
        rest = right.with_present(right.present & ~taken).without_empty()
        labels = concatenate(left.labels, rest.labels)
        values = np.concatenate([left.values, rest.values])
        present = np.concatenate([left.present, rest.present])
        return merge_same(Vector(labels, values, present, natives.concatenated([left, rest])))
    matched = any_of_group(right.present, right_key, keys)[left_key]
    present = left.present & (matched if op == "and" else ~matched)
    return left.with_present(present).without_empty()


def match_groups(left: Labels, right: Labels, matching: Matching) -> tuple[Times, Times, int]:
    """The match group of each left and each right row, and how many groups there are."""
    if matching.on:
        a, b = left.keep(matching.labels), right.keep(matching.labels)
    else:
        ignored = (*matching.labels, METRIC_NAME)
        a, b = aligned(left.drop(ignored), right.drop(ignored))
    groups, first = concatenate(a, b).groups()
    return groups[: len(left)], groups[len(left) :], len(first)


def merge_same(vector: Vector) -> Vector:
    """Join rows of equal labels; an error where two of them have a value at the same step."""
    if vector.labels.unique():
        return vector
    groups, first = vector.labels.groups()
    values, present, clash = merged_rows(vector.values, vector.present, groups, len(first))
    if clash:
        raise ExecutionError(SAME_LABELS)
    return Vector(vector.labels.take(first), values, present, natives.merged(vector, groups, len(first)))


def _note_trimmed_floats(op: str, floats: Mask, how: How) -> None:
    if floats.any():
        how.notes.inform(f"{native_binary.incompatible(op, 'float', 'float')} {how.place}")


def _computed(op: str, left: Floats, right: Floats, both: Mask, return_bool: bool) -> tuple[Floats, Mask]:
    """Values and presence; a comparison without bool keeps left values where it holds."""
    if op in ARITHMETIC:
        return _OPERATIONS[op](left, right), both
    if op in TRIM:
        return np.asarray(left), np.zeros_like(both)
    holds = _COMPARISONS[op](left, right)
    return (holds.astype(np.float64), both) if return_bool else (np.asarray(left), both & holds)


def _pairs(many_key: Times, one_key: Times, keys: int) -> tuple[Times, Times]:
    """All (many row, one row) of equal key, by many row."""
    order = np.argsort(one_key, kind="stable")
    starts = np.searchsorted(one_key[order], np.arange(keys + 1))
    counts = (starts[1:] - starts[:-1])[many_key]
    pair_many = np.repeat(np.arange(len(many_key)), counts)
    within = np.arange(len(pair_many)) - np.repeat(np.cumsum(counts) - counts, counts)
    return pair_many, order[starts[:-1][many_key[pair_many]] + within]


def _refuse_duplicates(many: Vector, one: Vector, one_key: Times, keys: int, matching: Matching) -> None:
    """The "one" side may have one row a group at any step at which the other side has any."""
    if np.bincount(one_key, minlength=1).max(initial=0) < 2:
        return
    steps = many.present.any(axis=0)
    twice = counts_of_group(one.present & steps, one_key, keys) > 1
    if not twice.any():
        return
    group, step = (int(index[0]) for index in np.nonzero(twice))
    rows = np.flatnonzero((one_key == group) & one.present[:, step])[:2]
    pair = one.labels.take(rows).dicts()
    matched = {name: value for name, value in pair[0].items() if _matched_on(name, matching)}
    first, second = sorted(map(labels_text, pair))
    side = "left" if matching.cardinality is Cardinality.ONE_TO_MANY else "right"
    raise ExecutionError(
        f"found duplicate series for the match group {labels_text(matched)} on the {side} "
        f"hand-side of the operation: [{first}, {second}];many-to-many matching not allowed: "
        "matching labels must be unique on one side"
    )


def _matched_on(label: str, matching: Matching) -> bool:
    listed = label in matching.labels
    return listed if matching.on else label != METRIC_NAME and not listed


def _refuse_ambiguous(labels: Labels, both: Mask, key: Times, keys: int, matching: Matching) -> None:
    """One-to-one allows one pair a group and step; many-to-one one of the same result labels."""
    if matching.cardinality is Cardinality.ONE_TO_ONE:
        if np.bincount(key, minlength=1).max(initial=0) > 1 and (counts_of_group(both, key, keys) > 1).any():
            raise ExecutionError(
                "multiple matches for labels: many-to-one matching must be explicit (group_left/group_right)"
            )
        return
    groups, first = labels.groups()
    if len(first) == len(labels):
        return
    marked, distinct = np.unique(np.stack([groups, key]), axis=1, return_inverse=True)
    if (counts_of_group(both, distinct.reshape(-1), marked.shape[1]) > 1).any():
        raise ExecutionError("multiple matches for labels: grouping labels must ensure unique matches")


def _result_labels(op: str, many: Labels, one: Labels, matching: Matching) -> Labels:
    """The "many" side's labels, cut down to those matched on when one-to-one, plus the included ones."""
    labels = many.drop_name() if op in ARITHMETIC else many
    if matching.cardinality is Cardinality.ONE_TO_ONE:
        labels = labels.keep(matching.labels) if matching.on else labels.drop(matching.labels)
    for name in matching.include:
        labels = labels.with_column(name, one.column(name))
    return labels


def labels_text(labels: dict[str, str]) -> str:
    """A label set as messages show it."""
    return f"{{{', '.join(f'{quote_label(name)}={quote(value)}' for name, value in labels.items())}}}"


@kernel
def any_of_group(present: Mask, group: Times, groups: int) -> Mask:
    """Whether any row of each group is present, at every step."""
    rows, steps = present.shape
    out = np.zeros((groups, steps), np.bool_)
    for i in range(rows):
        for s in range(steps):
            out[group[i], s] |= present[i, s]
    return out


@kernel
def counts_of_group(present: Mask, group: Times, groups: int) -> Times:
    """How many rows of each group are present, at every step."""
    rows, steps = present.shape
    out = np.zeros((groups, steps), np.int64)
    for i in range(rows):
        for s in range(steps):
            out[group[i], s] += present[i, s]
    return out


@kernel
def merged_rows(values: Floats, present: Mask, group: Times, groups: int) -> tuple[Floats, Mask, bool]:
    """Rows of each group as one, and whether two had a value at the same step."""
    rows, steps = present.shape
    out = np.full((groups, steps), np.nan)
    some = np.zeros((groups, steps), np.bool_)
    clash = False
    for i in range(rows):
        for s in range(steps):
            if present[i, s]:
                clash |= some[group[i], s]
                out[group[i], s] = values[i, s]
                some[group[i], s] = True
    return out, some, clash
