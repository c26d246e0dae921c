"""Rewrites that keep a query's meaning and spare reading: constants are computed, tricks are undone.

`nestedSetParent < 0` is how clients ask for root spans; said as `span:parentID = ""` it needs no
trace. Ids are compared whole: an id given without its leading zeros is filled up.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from windvane.tracing.traceql.check import refers
from windvane.tracing.traceql.fields import calculate, comparison
from windvane.tracing.traceql.syntax import (
    ARITHMETIC,
    COMPARISONS,
    Binary,
    Combined,
    Duration,
    Field,
    Filter,
    GroupBy,
    Intrinsic,
    IntrinsicField,
    Literal,
    Pipeline,
    Presence,
    Spanset,
    Stage,
    Unary,
)

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "!=": "!="}
_ID_WIDTHS = {
    Intrinsic.TRACE_ID: 32,
    Intrinsic.LINK_TRACE_ID: 32,
    Intrinsic.SPAN_ID: 16,
    Intrinsic.PARENT_ID: 16,
    Intrinsic.LINK_SPAN_ID: 16,
}
_HEX = re.compile(r"[0-9a-fA-F]+")


def simplify_pipeline(pipeline: Pipeline) -> Pipeline:
    """The pipeline with simpler filters."""
    return Pipeline(tuple(_stage(stage) for stage in pipeline.stages))


def _stage(stage: Stage) -> Stage:
    if isinstance(stage, GroupBy):
        return stage
    return simplify_spanset(stage) if isinstance(stage, Filter | Combined | Pipeline) else stage


def simplify_spanset(spanset: Spanset) -> Spanset:
    """The spanset with simpler filters."""
    match spanset:
        case Filter(expression):
            return Filter(simplify(expression))
        case Combined(op, left, right):
            return Combined(op, simplify_spanset(left), simplify_spanset(right))
    return simplify_pipeline(spanset)


def simplify(field: Field) -> Field:
    """The expression, simplified; a comparison of a field with a literal has the field on its left."""
    match field:
        case Unary(op, operand):
            return _unary(op, simplify(operand))
        case Presence(operand, there):
            return Presence(simplify(operand), there)
        case Binary(op, left, right):
            return _binary(op, simplify(left), simplify(right))
    return field


def _unary(op: str, operand: Field) -> Field:
    if isinstance(operand, Literal):
        value = operand.value
        if op == "!" and isinstance(value, bool):
            return Literal(not value)
        if op == "-" and type(value) in (int, float, Duration):
            assert isinstance(value, int | float)
            return Literal(Duration(-value)) if isinstance(value, Duration) else Literal(-value)
    return Unary(op, operand)


def _binary(op: str, left: Field, right: Field) -> Field:
    if op in ("&&", "||"):
        return _logical(op, left, right)
    if isinstance(left, Literal) and isinstance(right, Literal):
        folded = _folded(op, left, right)
        return Binary(op, left, right) if folded is None else folded
    if op in _FLIPPED and isinstance(left, Literal) and refers(right):
        op, left, right = _FLIPPED[op], right, left
    if isinstance(left, IntrinsicField) and isinstance(right, Literal):
        return _intrinsic(op, left.which, right)
    return Binary(op, left, right)


def _logical(op: str, left: Field, right: Field) -> Field:
    neutral = Literal(op == "&&")
    for one, other in ((left, right), (right, left)):
        if one == neutral and _is_test(other):
            return other
        if one == Literal(op != "&&"):
            return one
    return Binary(op, left, right)


def _is_test(field: Field) -> bool:
    """Whether a field is true or false for every span, and never absent."""
    if isinstance(field, Unary):
        return field.op == "!" and _is_test(field.operand)
    return isinstance(field, Presence) or (isinstance(field, Binary) and field.op not in ARITHMETIC)


def _folded(op: str, left: Literal, right: Literal) -> Field | None:
    if op in COMPARISONS:
        return Literal(comparison(op)(left.value, right.value))
    if op not in ARITHMETIC:
        return None
    value = calculate(op, left.value, right.value)
    return None if value is None else Literal(value)


def _intrinsic(op: str, which: Intrinsic, literal: Literal) -> Field:
    value = literal.value
    if which is Intrinsic.NESTED_PARENT and _asks_for_roots(op, value):
        wanted = comparison(op)(-1, value)
        return Binary("=" if wanted else "!=", IntrinsicField(Intrinsic.PARENT_ID), Literal(""))
    width = _ID_WIDTHS.get(which)
    if width and op in ("=", "!=") and isinstance(value, str) and _HEX.fullmatch(value):
        literal = Literal(value.lower().zfill(width))
    return Binary(op, IntrinsicField(which), literal)


def _asks_for_roots(op: str, value: object) -> bool:
    """Whether a comparison with -1, the number of every root's parent, says the opposite for all other numbers."""
    if type(value) not in (int, float, Duration):
        return False
    test: Callable[[object, object], bool] = comparison(op)
    return (
        value in (-1, 0)
        and len({test(number, value) for number in (0, 1, 1 << 62)} | {test(-1, value)}) == 2
        and (len({test(number, value) for number in (0, 1, 1 << 62)}) == 1)
    )
