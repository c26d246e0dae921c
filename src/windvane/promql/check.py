"""Types of expressions, and what the grammar alone cannot refuse."""

from __future__ import annotations

from typing import NoReturn

from windvane.promql import regex
from windvane.promql.errors import ParseError
from windvane.promql.signatures import AGGREGATIONS, COMPARISON, FUNCTIONS, SET_OPERATORS
from windvane.promql.syntax import (
    METRIC_NAME,
    Aggregate,
    Binary,
    Call,
    Cardinality,
    Expr,
    Matcher,
    MatchOp,
    Number,
    Paren,
    Range,
    Selector,
    String,
    Subquery,
    Unary,
    ValueType,
    children,
)

_SCALAR, _VECTOR, _MATRIX, _STRING = ValueType.SCALAR, ValueType.VECTOR, ValueType.MATRIX, ValueType.STRING


def type_of(expr: Expr) -> ValueType:  # noqa: PLR0911 - a case a node
    """What `expr` evaluates to."""
    match expr:
        case Number():
            return _SCALAR
        case String():
            return _STRING
        case Selector() | Aggregate():
            return _VECTOR
        case Range() | Subquery():
            return _MATRIX
        case Call(function=function):
            return FUNCTIONS[function].returns
        case Paren(expr=inner) | Unary(expr=inner):
            return type_of(inner)
        case Binary(left=left, right=right):
            return _SCALAR if type_of(left) is _SCALAR and type_of(right) is _SCALAR else _VECTOR


def check(text: str, expr: Expr) -> None:
    """Raise `ParseError` where operands have the wrong type or a selector would match everything."""
    match expr:
        case Selector():
            _check_selector(text, expr)
        case Call():
            _check_call(text, expr)
        case Aggregate():
            _check_aggregate(text, expr)
        case Binary():
            _check_binary(text, expr)
        case Unary(expr=inner) if type_of(inner) not in (_SCALAR, _VECTOR):
            got = type_of(inner).value
            _fail(
                text,
                expr,
                f'unary expression only allowed on expressions of type scalar or instant vector, got "{got}"',
            )
        case Subquery(expr=inner) if type_of(inner) is not _VECTOR:
            _fail(text, expr, f"subquery is only allowed on instant vector, got {type_of(inner).value} instead")
    for child in children(expr):
        check(text, child)


def _fail(text: str, expr: Expr, reason: str) -> NoReturn:
    raise ParseError(text, expr.span[0], reason)


def _expect(text: str, expr: Expr, wanted: ValueType, where: str) -> None:
    got = type_of(expr)
    if got is not wanted:
        _fail(text, expr, f"expected type {wanted.value} in {where}, got {got.value}")


def _check_selector(text: str, selector: Selector) -> None:
    for matcher in selector.matchers:
        if matcher.op in (MatchOp.REGEX, MatchOp.NOT_REGEX):
            problem = regex.problem(matcher.value)
            if problem:
                _fail(text, selector, f"error parsing regexp: {problem}")
    if all(_matches_empty(matcher) for matcher in selector.matchers):
        _fail(text, selector, "vector selector must contain at least one non-empty matcher")


def _matches_empty(matcher: Matcher) -> bool:
    match matcher.op:
        case MatchOp.EQUAL:
            return matcher.value == ""
        case MatchOp.NOT_EQUAL:
            return matcher.value != ""
        case MatchOp.REGEX:
            return regex.anchored(matcher.value).fullmatch("") is not None
        case MatchOp.NOT_REGEX:
            return regex.anchored(matcher.value).fullmatch("") is None


def _check_call(text: str, call: Call) -> None:
    signature, given = FUNCTIONS[call.function], len(call.args)
    most = len(signature.args)
    least = most - abs(signature.variadic)
    if signature.variadic == 0 and given != most:
        _fail(text, call, f'expected {most} argument(s) in call to "{call.function}", got {given}')
    if given < least:
        _fail(text, call, f'expected at least {least} argument(s) in call to "{call.function}", got {given}')
    if signature.variadic > 0 and given > most:
        _fail(text, call, f'expected at most {most} argument(s) in call to "{call.function}", got {given}')
    for place, arg in enumerate(call.args):
        _expect(text, arg, signature.args[min(place, most - 1)], f'call to function "{call.function}"')
    if call.function == "info" and given == 2 and not isinstance(call.args[1], Selector):
        _fail(text, call.args[1], "expected label selectors only")


def _check_aggregate(text: str, aggregate: Aggregate) -> None:
    _expect(text, aggregate.expr, _VECTOR, "aggregation expression")
    wanted = AGGREGATIONS[aggregate.op]
    if wanted is not None and aggregate.param is not None:
        _expect(text, aggregate.param, wanted, "aggregation parameter")


def _check_binary(text: str, binary: Binary) -> None:
    left, right, op = type_of(binary.left), type_of(binary.right), binary.op
    if not {left, right} <= {_SCALAR, _VECTOR}:
        _fail(text, binary, "binary expression must contain only scalar and instant vector types")
    if op in COMPARISON and not binary.return_bool and left is right is _SCALAR:
        _fail(text, binary, "comparisons between scalars must use BOOL modifier")
    if op in SET_OPERATORS and _SCALAR in (left, right):
        _fail(text, binary, f'set operator "{op}" not allowed in binary scalar expression')
    matching = binary.matching
    if op in SET_OPERATORS and matching is not None and matching.cardinality is not Cardinality.MANY_TO_MANY:
        _fail(text, binary, "set operations must always be many-to-many")


def metric_name(selector: Selector) -> str:
    """The metric's name, where the selector fixes it; else ''."""
    for matcher in selector.matchers:
        if matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL:
            return matcher.value
    return ""
