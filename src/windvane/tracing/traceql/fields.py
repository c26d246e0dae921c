"""Expressions over one span, compiled to functions of a trace and a place in it.

A value is a Python value of the attribute's type, None where there is none. An attribute that is an
array compares by its elements: `=` and orderings hold when they hold for any, `!=` and `!~` when for
all. Events and links are several where an attribute is one: a comparison holds when it does for any
of them. Values of types that do not compare make a comparison false; so does an absent value.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

from windvane.tracing.model import Span
from windvane.tracing.traceql.regex import anchored
from windvane.tracing.traceql.syntax import (
    ARITHMETIC,
    Attribute,
    Binary,
    Duration,
    Field,
    Intrinsic,
    IntrinsicField,
    Kind,
    Literal,
    Nil,
    Presence,
    Scope,
    Status,
    Unary,
)
from windvane.tracing.traceql.view import TraceView

Value: TypeAlias = Any
Compiled: TypeAlias = Callable[[TraceView, int], Value]


@dataclass(frozen=True, slots=True)
class Several:
    """The values that a span's events or links have."""

    values: tuple[Value, ...]


def compile_field(field: Field) -> Compiled:  # noqa: PLR0911 - a case a kind of node
    """The function that gives a field's value for a span."""
    match field:
        case Literal(value):
            return lambda _view, _place: value
        case Attribute():
            return _attribute(field)
        case IntrinsicField(which):
            return _INTRINSICS[which]
        case Unary(op, operand):
            return _unary(op, compile_field(operand))
        case Presence(operand, there):
            inner = compile_field(operand)
            return lambda view, place: present(inner(view, place)) is there
        case Binary():
            return _binary(field)
        case Nil():
            return lambda _view, _place: None


def matcher(field: Field) -> Callable[[TraceView, int], bool]:
    """Whether a span satisfies an expression."""
    compiled = compile_field(field)
    return lambda view, place: _true(compiled(view, place))


def _true(value: Value) -> bool:
    if type(value) is Several:
        return any(one is True for one in value.values)
    return value is True


def present(value: Value) -> bool:
    """Whether there is a value."""
    if type(value) is Several:
        return any(one is not None for one in value.values)
    return value is not None


def _attribute(attribute: Attribute) -> Compiled:
    name = attribute.name
    match attribute.scope:
        case Scope.SPAN:
            return lambda view, place: view.spans[place].attributes.get(name)
        case Scope.RESOURCE:
            return lambda view, place: resource_value(view.spans[place], name)
        case Scope.INSTRUMENTATION:
            return lambda view, place: view.spans[place].scope.get(name)
        case Scope.EVENT:
            return lambda view, place: Several(tuple(e.attributes.get(name) for e in view.spans[place].events))
        case Scope.LINK:
            return lambda view, place: Several(tuple(k.attributes.get(name) for k in view.spans[place].links))
    return lambda view, place: _any(view.spans[place], name)


def _any(span: Span, name: str) -> Value:
    value = span.attributes.get(name)
    return value if value is not None else resource_value(span, name)


def resource_value(span: Span, name: str) -> Value:
    """A resource's attribute; `service.name` is the service under which the span is stored."""
    if name == "service.name":
        return span.service or None
    return span.resource.get(name)


_KINDS = {one.value.capitalize(): one for one in Kind}
_STATUSES = {one.value.capitalize(): one for one in Status}


def _root_name(view: TraceView, _: int) -> Value:
    return view.root.name if view.root else None


def _root_service(view: TraceView, _: int) -> Value:
    return (view.root.service or None) if view.root else None


def _event_times(view: TraceView, place: int) -> Value:
    span = view.spans[place]
    return Several(tuple(Duration(event.time_ns - span.start_ns) for event in span.events))


_INTRINSICS: dict[Intrinsic, Compiled] = {
    Intrinsic.DURATION: lambda view, place: Duration(view.spans[place].duration_ns),
    Intrinsic.NAME: lambda view, place: view.spans[place].name,
    Intrinsic.STATUS: lambda view, place: _STATUSES.get(view.spans[place].status, Status.UNSET),
    Intrinsic.STATUS_MESSAGE: lambda view, place: view.spans[place].status_message,
    Intrinsic.KIND: lambda view, place: _KINDS.get(view.spans[place].kind, Kind.UNSPECIFIED),
    Intrinsic.CHILD_COUNT: lambda view, place: len(view.children[place]),
    Intrinsic.SPAN_ID: lambda view, place: view.spans[place].span_id,
    Intrinsic.PARENT_ID: lambda view, place: view.spans[place].parent_id,
    Intrinsic.TRACE_ID: lambda view, place: view.spans[place].trace_id,
    Intrinsic.TRACE_DURATION: lambda view, _place: Duration(view.duration_ns),
    Intrinsic.ROOT_NAME: _root_name,
    Intrinsic.ROOT_SERVICE: _root_service,
    Intrinsic.EVENT_NAME: lambda view, place: Several(tuple(event.name for event in view.spans[place].events)),
    Intrinsic.EVENT_TIME: _event_times,
    Intrinsic.LINK_TRACE_ID: lambda view, place: Several(tuple(link.trace_id for link in view.spans[place].links)),
    Intrinsic.LINK_SPAN_ID: lambda view, place: Several(tuple(link.span_id for link in view.spans[place].links)),
    Intrinsic.SCOPE_NAME: lambda view, place: view.spans[place].scope_name,
    Intrinsic.SCOPE_VERSION: lambda view, place: view.spans[place].scope_version,
    Intrinsic.NESTED_LEFT: lambda view, place: view.nested[place][0],
    Intrinsic.NESTED_RIGHT: lambda view, place: view.nested[place][1],
    Intrinsic.NESTED_PARENT: lambda view, place: view.nested[place][2],
}


def _unary(op: str, inner: Compiled) -> Compiled:
    if op == "!":
        return lambda view, place: _negated(inner(view, place))
    return lambda view, place: _minus(inner(view, place))


def _negated(value: Value) -> Value:
    return not value if isinstance(value, bool) else None


def _minus(value: Value) -> Value:
    if not is_number(value):
        return None
    return Duration(-value) if type(value) is Duration else -value


def _binary(binary: Binary) -> Compiled:
    left, right = compile_field(binary.left), compile_field(binary.right)
    if binary.op == "&&":
        return lambda view, place: _true(left(view, place)) and _true(right(view, place))
    if binary.op == "||":
        return lambda view, place: _true(left(view, place)) or _true(right(view, place))
    if binary.op in ARITHMETIC:
        op = binary.op
        return lambda view, place: calculate(op, left(view, place), right(view, place))
    test = comparison(binary.op)
    return lambda view, place: test(left(view, place), right(view, place))


def comparison(op: str) -> Callable[[Value, Value], bool]:
    """The test that an operator makes of two values."""
    scalar = _regex_test(op) if op in ("=~", "!~") else _ORDERINGS[op]
    all_of = op in ("!=", "!~")

    def test(left: Value, right: Value) -> bool:
        if type(left) is Several:
            return any(test(one, right) for one in left.values)
        if type(right) is Several:
            return any(test(left, one) for one in right.values)
        if type(left) is list:
            return bool(left) and (all if all_of else any)(test(one, right) for one in left)
        if type(right) is list:
            return bool(right) and (all if all_of else any)(test(left, one) for one in right)
        return comparable(left, right) and scalar(left, right)

    return test


def comparable(left: Value, right: Value) -> bool:
    """Whether two values are of types that compare."""
    if is_number(left) and is_number(right):
        return True
    return type(left) is type(right) and type(left) in (str, bool, Status, Kind)


def is_number(value: Value) -> bool:
    """Whether a value is an integer, a float or a duration."""
    return type(value) in (int, float, Duration)


_ORDERINGS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _regex_test(op: str) -> Callable[[Any, Any], bool]:
    wanted = op == "=~"

    def test(left: Any, right: Any) -> bool:
        if type(left) is not str or type(right) is not str:
            return False
        return (anchored(right).search(left) is not None) is wanted

    return test


def calculate(op: str, left: Value, right: Value) -> Value:
    """Arithmetic: of integers in 64 bits, of all else in floats. None where there is no result."""
    if not is_number(left) or not is_number(right):
        return None
    try:
        if type(left) is int and type(right) is int:
            return _whole(op, left, right)
        return _floating(op, float(left), float(right))
    except (ZeroDivisionError, OverflowError, ValueError):
        return None


def _whole(op: str, left: int, right: int) -> Value:
    match op:
        case "+":
            result = left + right
        case "-":
            result = left - right
        case "*":
            result = left * right
        case "/":
            result = abs(left) // abs(right) * (1 if (left < 0) == (right < 0) else -1)
        case "%":
            result = int(math.copysign(abs(left) % abs(right), left))
        case _:
            return _power(left, right)
    return (result + (1 << 63)) % (1 << 64) - (1 << 63)


def _power(base: int, exponent: int) -> Value:
    estimate = math.pow(base, exponent)
    return base**exponent if exponent >= 0 and abs(estimate) < 1 << 62 else estimate


def _floating(op: str, left: float, right: float) -> Value:
    match op:
        case "+":
            return left + right
        case "-":
            return left - right
        case "*":
            return left * right
        case "/":
            return left / right
        case "%":
            return math.fmod(left, right)
    return math.pow(left, right)
