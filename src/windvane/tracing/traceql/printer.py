"""A tree as TraceQL text that reads back as the same tree."""

from __future__ import annotations

import re

from windvane.tracing.traceql.syntax import (
    Aggregate,
    Attribute,
    Calculation,
    Coalesce,
    Combined,
    Compare,
    Duration,
    Field,
    Filter,
    Function,
    GroupBy,
    Hints,
    IntrinsicField,
    Kind,
    Literal,
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
    Select,
    Series,
    Spanset,
    Stage,
    Status,
    Top,
    Unary,
)

_PLAIN_NAME = re.compile(r"[^\s{}()=~!<>&|^,\"\d][^\s{}()=~!<>&|^,\"]*")
_LEAST = -(1 << 63)
"""The one integer that cannot be written as a number with a sign."""
_CONTROLS = {"\n": "\\n", "\t": "\\t", "\r": "\\r", "\\": "\\\\", '"': '\\"'}


def print_query(query: Query) -> str:
    """The query in its canonical form."""
    if isinstance(query, Search):
        return print_pipeline(query.pipeline) + _hints(query.hints)
    return print_series(query)


def print_series(series: Series) -> str:
    """A metrics query or a part of one."""
    if isinstance(series, Literal):
        return print_value(series.value)
    if isinstance(series, MetricsMath):
        operands = [print_value(s.value) if isinstance(s, Literal) else f"({print_series(s)})"
                    for s in (series.left, series.right)]  # fmt: skip
        text = f" {series.op} ".join(operands)
        if series.then:
            text = f"({text})"
    else:
        text = f"{print_pipeline(series.pipeline)} | {print_function(series.function)}"
    return text + "".join(map(_second, series.then)) + _hints(series.hints)


def print_function(function: Function | Compare) -> str:
    """`rate() by (name)` and its like."""
    if isinstance(function, Compare):
        times = f", {function.start_ns}, {function.end_ns}" if function.start_ns or function.end_ns else ""
        return f"compare({print_spanset(function.selection)}, {function.top}{times})"
    inner = [] if function.operand is None else [print_field(function.operand)]
    inner += map(print_value, function.quantiles)
    by = f" by ({_list(function.by)})" if function.by else ""
    return f"{function.name}({', '.join(inner)}){by}"


def _second(stage: SecondStage) -> str:
    if isinstance(stage, Top):
        return f" | {stage.name}({stage.count})"
    return f" {stage.op} {print_value(stage.value)}"


def _hints(hints: Hints) -> str:
    return f" with ({', '.join(f'{name}={print_value(value)}' for name, value in hints)})" if hints else ""


def print_pipeline(pipeline: Pipeline) -> str:
    """Stages, joined by pipes."""
    return " | ".join(map(print_stage, pipeline.stages))


def print_stage(stage: Stage) -> str:
    """One stage of a pipeline."""
    match stage:
        case ScalarFilter(op, left, right):
            return f"{print_number(left)} {op} {print_number(right)}"
        case GroupBy(operand):
            return f"by({print_field(operand)})"
        case Coalesce():
            return "coalesce()"
        case Select(fields):
            return f"select({_list(fields)})"
    return print_spanset(stage)


def print_spanset(spanset: Spanset) -> str:
    """A filter, a combination, or a pipeline in parentheses."""
    match spanset:
        case Filter(Literal(True)):
            return "{ }"
        case Filter(expression):
            return f"{{ {print_field(expression)} }}"
        case Combined(op, left, right):
            return f"{_operand(left)} {op} {_operand(right)}"
    return f"({print_pipeline(spanset)})"


def _operand(spanset: Spanset) -> str:
    return f"({print_spanset(spanset)})" if isinstance(spanset, Combined) else print_spanset(spanset)


def print_number(number: Number) -> str:
    """An aggregate or arithmetic."""
    match number:
        case Aggregate(op, operand):
            return f"{op}({'' if operand is None else print_field(operand)})"
        case Calculation(op, left, right):
            sides = [f"({print_number(side)})" if isinstance(side, Calculation) else print_number(side)
                     for side in (left, right)]  # fmt: skip
            return f" {op} ".join(sides)
    return print_value(number.value)


def print_field(field: Field) -> str:  # noqa: PLR0911 - a case a kind of node
    """An expression over one span."""
    match field:
        case Literal(value):
            return print_value(value)
        case Attribute(scope, name):
            return f"{scope.value}.{_name(name)}"
        case IntrinsicField(which):
            return which.value
        case Nil():
            return "nil"
        case Unary(op, operand):
            return f"{op}{_inner(operand)}"
        case Presence(operand, there):
            return f"{_inner(operand)} {'!=' if there else '='} nil"
    return f"{_inner(field.left)} {field.op} {_inner(field.right)}"


def _inner(field: Field) -> str:
    plain = isinstance(field, Attribute | IntrinsicField) or (
        isinstance(field, Literal) and not (_number(field.value) and str(field.value).startswith("-"))
    )
    return print_field(field) if plain else f"({print_field(field)})"


def _number(value: Scalar) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _list(fields: tuple[Reference, ...]) -> str:
    return ", ".join(map(print_field, fields))


def _name(name: str) -> str:
    if _PLAIN_NAME.fullmatch(name):
        return name
    escaped = name.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def print_value(value: Scalar) -> str:
    """A literal."""
    match value:
        case bool():
            return "true" if value else "false"
        case Duration():
            return print_duration(value)
        case Status() | Kind():
            return str(value.value)
        case str():
            return '"' + "".join(_character(one) for one in value) + '"'
    return "minInt" if value == _LEAST else repr(value)


def _character(one: str) -> str:
    if one in _CONTROLS:
        return _CONTROLS[one]
    return one if one.isprintable() or ord(one) > 0xFFFF else f"\\u{ord(one):04x}"


def print_duration(nanoseconds: int) -> str:
    """The shortest exact duration with one unit: `1500ms`, `2h`."""
    sign, rest = ("-" if nanoseconds < 0 else ""), abs(nanoseconds)
    for unit, size in (("h", 3_600 * 10**9), ("m", 60 * 10**9), ("s", 10**9), ("ms", 10**6), ("us", 10**3)):
        if rest and rest % size == 0:
            return f"{sign}{rest // size}{unit}"
    return f"{sign}{rest}ns" if rest else "0s"
