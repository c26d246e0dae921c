"""What can be read but means nothing: types that do not fit, aggregates of constants, bad expressions."""

from __future__ import annotations

from enum import Enum

from windvane.tracing.traceql import printer
from windvane.tracing.traceql.errors import TraceQLError
from windvane.tracing.traceql.regex import problem
from windvane.tracing.traceql.syntax import (
    ARITHMETIC,
    Aggregate,
    Attribute,
    Binary,
    Calculation,
    Combined,
    Compare,
    Duration,
    Field,
    Filter,
    Function,
    GroupBy,
    Intrinsic,
    IntrinsicField,
    Kind,
    Literal,
    Metrics,
    MetricsMath,
    Nil,
    Number,
    Pipeline,
    Presence,
    Query,
    Reference,
    Scalar,
    ScalarFilter,
    Search,
    SecondStage,
    Series,
    Spanset,
    Stage,
    Status,
    Top,
    Unary,
)

MAX_BY = 5
MAX_COMPARED = 1_000


class Type(Enum):
    """What a field is known to hold before any span is seen."""

    ANY = "attribute"
    STRING = "string"
    BOOL = "boolean"
    NUMBER = "number"
    STATUS = "status"
    KIND = "kind"


_INTRINSIC_TYPES = {
    Intrinsic.STATUS: Type.STATUS,
    Intrinsic.KIND: Type.KIND,
    **dict.fromkeys(
        [Intrinsic.DURATION, Intrinsic.TRACE_DURATION, Intrinsic.CHILD_COUNT, Intrinsic.EVENT_TIME,
         Intrinsic.NESTED_LEFT, Intrinsic.NESTED_RIGHT, Intrinsic.NESTED_PARENT],
        Type.NUMBER,
    ),
}  # fmt: skip
_ORDERED = frozenset({"=", "!=", "<", "<=", ">", ">="})
_ALLOWED = {
    Type.STRING: _ORDERED | {"=~", "!~"},
    Type.BOOL: frozenset({"&&", "||", "=", "!="}),
    Type.NUMBER: _ORDERED | ARITHMETIC,
    Type.STATUS: frozenset({"=", "!="}),
    Type.KIND: frozenset({"=", "!="}),
}


def check(query: Query) -> None:
    """Nothing, or a `TraceQLError` that names the part that means nothing."""
    if isinstance(query, Search):
        _pipeline(query.pipeline)
    else:
        _series(query)


def _series(series: Series) -> None:
    if isinstance(series, Literal):
        return
    _second_stages(series.then)
    if isinstance(series, MetricsMath):
        if isinstance(series.left, Literal) and isinstance(series.right, Literal):
            raise TraceQLError(f"arithmetic of metrics needs a metrics query: {printer.print_series(series)}")
        _series(series.left)
        _series(series.right)
        return
    _pipeline(series.pipeline)
    if isinstance(series.function, Compare):
        _compare(series)
    else:
        _function(series.function)


def _function(function: Function) -> None:
    text = printer.print_function(function)
    if len(function.by) > MAX_BY:
        raise TraceQLError(f"metrics are grouped by at most {MAX_BY} fields: {text}")
    if function.operand is not None and type_of(function.operand) not in (Type.ANY, Type.NUMBER):
        raise TraceQLError(f"metrics over time need a field that is a number: {text}")
    if any(not 0 <= quantile <= 1 for quantile in function.quantiles):
        raise TraceQLError(f"quantiles lie between 0 and 1: {text}")


def _compare(metrics: Metrics) -> None:
    compare = metrics.function
    assert isinstance(compare, Compare)
    _filter(compare.selection)
    if not 0 < compare.top <= MAX_COMPARED:
        raise TraceQLError(f"compare() top number of values must be from 1 to {MAX_COMPARED}, not {compare.top}")
    if (compare.start_ns or compare.end_ns) and not 0 < compare.start_ns < compare.end_ns:
        raise TraceQLError("compare() end timestamp must be greater than start timestamp, both greater than 0")


def _second_stages(stages: tuple[SecondStage, ...]) -> None:
    for stage in stages:
        if isinstance(stage, Top) and stage.count <= 0:
            raise TraceQLError(f"{stage.name}({stage.count}): the limit must be greater than 0")


def _pipeline(pipeline: Pipeline) -> None:
    for stage in pipeline.stages:
        _stage(stage)


def _stage(stage: Stage) -> None:
    match stage:
        case ScalarFilter(_, left, right):
            _number(left)
            _number(right)
            if not (_has_aggregate(left) or _has_aggregate(right)):
                raise TraceQLError(f"a scalar filter needs an aggregate: {printer.print_stage(stage)}")
        case GroupBy(operand):
            _typed(operand)
            if not refers(operand):
                raise TraceQLError(f"grouping field expressions must reference the span: {printer.print_stage(stage)}")
        case Filter() | Combined() | Pipeline():
            _spanset(stage)


def _spanset(spanset: Spanset) -> None:
    match spanset:
        case Filter():
            _filter(spanset)
        case Combined(op, left, right):
            _spanset(left)
            _spanset(right)
            if op not in ("&&", "||") and (_many(left) or _many(right)):
                raise TraceQLError(
                    f"structural operators take one spanset on each side; after by() add coalesce(): "
                    f"{printer.print_spanset(spanset)}"
                )
        case Pipeline():
            _pipeline(spanset)


def _many(spanset: Spanset) -> bool:
    """Whether there may be several spansets of one trace."""
    if not isinstance(spanset, Pipeline):
        return False
    many = False
    for stage in spanset.stages:
        many = isinstance(stage, GroupBy) or (many and isinstance(stage, Filter | ScalarFilter))
    return many


def _filter(filter_: Filter) -> None:
    if _typed(filter_.expression) not in (Type.ANY, Type.BOOL):
        raise TraceQLError(f"span filter field expressions must resolve to a boolean: {printer.print_spanset(filter_)}")


def _number(number: Number) -> None:
    match number:
        case Aggregate(_, operand) if operand is not None:
            text = printer.print_number(number)
            if _typed(operand) not in (Type.ANY, Type.NUMBER):
                raise TraceQLError(f"aggregate field expressions must resolve to a number type: {text}")
            if not refers(operand):
                raise TraceQLError(f"aggregate field expressions must reference the span: {text}")
        case Calculation(_, left, right):
            _number(left)
            _number(right)


def _has_aggregate(number: Number) -> bool:
    if isinstance(number, Calculation):
        return _has_aggregate(number.left) or _has_aggregate(number.right)
    return isinstance(number, Aggregate)


def refers(field: Field) -> bool:
    """Whether a field depends on the span."""
    match field:
        case Attribute() | IntrinsicField():
            return True
        case Unary(_, operand) | Presence(operand, _):
            return refers(operand)
        case Binary(_, left, right):
            return refers(left) or refers(right)
    return False


def type_of(field: Field) -> Type:
    """The type of a field that is known to be right."""
    match field:
        case Literal(value):
            return _literal_type(value)
        case IntrinsicField(which):
            return _INTRINSIC_TYPES.get(which, Type.STRING)
        case Unary(op, _):
            return Type.BOOL if op == "!" else Type.NUMBER
        case Binary(op, _, _):
            return Type.NUMBER if op in ARITHMETIC else Type.BOOL
        case Presence():
            return Type.BOOL
    return Type.ANY


def _literal_type(value: Scalar) -> Type:
    match value:
        case bool():
            return Type.BOOL
        case int() | float() | Duration():
            return Type.NUMBER
        case Status():
            return Type.STATUS
        case Kind():
            return Type.KIND
    return Type.STRING


def _typed(field: Field) -> Type:
    """The type of a field, after its parts were found to fit."""
    match field:
        case Nil():
            raise TraceQLError("nil is only compared, by = and !=")
        case Unary(op, operand):
            _unary(op, operand, field)
        case Presence(operand, _):
            _typed(operand)
            if not isinstance(operand, Attribute | IntrinsicField):
                raise TraceQLError(f"only fields can be nil: {printer.print_field(field)}")
        case Binary():
            _binary(field)
    return type_of(field)


def _unary(op: str, operand: Field, whole: Field) -> None:
    if _typed(operand) not in (Type.ANY, Type.BOOL if op == "!" else Type.NUMBER):
        raise TraceQLError(f"illegal operation for the given type: {printer.print_field(whole)}")


def _binary(binary: Binary) -> None:
    left, right = _typed(binary.left), _typed(binary.right)
    text = printer.print_field(binary)
    if Type.ANY not in (left, right) and left is not right:
        raise TraceQLError(f"binary operations must operate on the same type: {text}")
    for side in (left, right):
        if side is not Type.ANY and binary.op not in _ALLOWED[side]:
            raise TraceQLError(f"illegal operation for the given types: {text}")
    if binary.op in ("=~", "!~"):
        pattern = binary.right
        if not isinstance(pattern, Literal) or not isinstance(pattern.value, str):
            raise TraceQLError(f"a regular expression is a string on the right side: {text}")
        if reason := problem(pattern.value):
            raise TraceQLError(f"invalid regex: {text}: {reason}")


def references(field: Field) -> list[Reference]:
    """The attributes and intrinsics of a field, in the order of the text."""
    match field:
        case Attribute() | IntrinsicField():
            return [field]
        case Unary(_, operand) | Presence(operand, _):
            return references(operand)
        case Binary(_, left, right):
            return references(left) + references(right)
    return []
