"""Types of expressions, and what the grammar alone cannot refuse."""

from __future__ import annotations

from typing import NoReturn

from windvane.promql import regex
from windvane.promql.errors import ParseError
from windvane.promql.quoting import quote
from windvane.promql.signatures import AGGREGATIONS, COMPARISON, FUNCTIONS, SET_OPERATORS, Signature
from windvane.promql.syntax import (
    METRIC_NAME,
    Aggregate,
    Binary,
    Call,
    Cardinality,
    Expr,
    Matcher,
    Matching,
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
    """Raise `ParseError` for the first operand of a wrong type or selector that would match everything.

    Operands are looked at before what they are operands of, as Prometheus does, so that the same mistake of
    several is named.
    """
    match expr:
        case Selector():
            _check_selector(text, expr)
        case Call():
            _check_call(text, expr)
        case Aggregate():
            _check_aggregate(text, expr)
        case Binary():
            _check_binary(text, expr)
        case _:
            for child in children(expr):
                check(text, child)
            _check_operand(text, expr)


def _fail(text: str, expr: Expr, reason: str) -> NoReturn:
    raise ParseError(text, expr.span.start, reason)


def _expect(text: str, expr: Expr, wanted: ValueType, where: str) -> None:
    check(text, expr)
    got = type_of(expr)
    if got is not wanted:
        _fail(text, expr, f"expected type {wanted.value} in {where}, got {got.value}")


def _check_operand(text: str, expr: Expr) -> None:
    match expr:
        case Unary(expr=inner) if type_of(inner) not in (_SCALAR, _VECTOR):
            wanted = "unary expression only allowed on expressions of type scalar or instant vector"
            _fail(text, expr, f'{wanted}, got "{type_of(inner).value}"')
        case Subquery(expr=inner) if type_of(inner) is not _VECTOR:
            got = {_MATRIX: "matrix"}.get(type_of(inner), type_of(inner).value)
            _fail(text, expr, f"subquery is only allowed on instant vector, got {got} instead")


def _check_selector(text: str, selector: Selector, *, anything: bool = False) -> None:
    if selector.name:
        inside = [matcher.value for matcher in selector.matchers[1:] if matcher.name == METRIC_NAME]
        if inside:
            names = f"{quote(selector.name)} or {quote(inside[0])}"
            _fail(text, selector, f"metric name must not be set twice: {names}")
    elif not anything and all(_matches_empty(matcher) for matcher in selector.matchers):
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
    _check_count(text, call, signature, given)
    if call.function == "info" and given > 1:
        _check_info(text, call)
    for place, arg in enumerate(call.args):
        wanted = signature.args[min(place, len(signature.args) - 1)]
        if call.function == "info" and place == 1:
            continue
        _expect(text, arg, wanted, f'call to function "{call.function}"')


def _check_count(text: str, call: Call, signature: Signature, given: int) -> None:
    least, most = signature.least, signature.most
    if given >= least and (most is None or given <= most):
        return
    bound = f"at least {least}" if given < least else f"at most {most}"
    if least == most:
        bound = str(least)
    _fail(text, call, f'expected {bound} argument(s) in call to "{call.function}", got {given}')


def _check_info(text: str, call: Call) -> None:
    """The second argument of info() is label matchers, written as a selector without a name."""
    matchers = call.args[1]
    if type_of(matchers) is not _VECTOR:
        got = type_of(matchers).value
        _fail(text, call, f'expected type {_VECTOR.value} in call to function "info", got {got}')
    if not isinstance(matchers, Selector):
        _fail(text, matchers, "expected label selectors only")
    if matchers.name:
        _fail(text, matchers, "expected label selectors only, got vector selector instead")
    _check_selector(text, matchers, anything=True)


def _check_aggregate(text: str, aggregate: Aggregate) -> None:
    _expect(text, aggregate.expr, _VECTOR, "aggregation expression")
    wanted = AGGREGATIONS[aggregate.op]
    if wanted is not None and aggregate.param is not None:
        _expect(text, aggregate.param, wanted, "aggregation parameter")


def _check_binary(text: str, binary: Binary) -> None:
    check(text, binary.left)
    check(text, binary.right)
    left, right, op = type_of(binary.left), type_of(binary.right), binary.op
    if binary.return_bool and op not in COMPARISON:
        _fail_at_operator(text, binary, "bool modifier can only be used on comparison operators")
    if op in COMPARISON and not binary.return_bool and left is right is _SCALAR:
        _fail_at_operator(text, binary, "comparisons between scalars must use BOOL modifier")
    matching = binary.matching or Matching()
    if matching.on and (both := [label for label in matching.labels if label in matching.include]):
        _fail_at_operator(text, binary, f"label {quote(both[0])} must not occur in ON and GROUP clause at once")
    for operand in (binary.left, binary.right):
        if type_of(operand) not in (_SCALAR, _VECTOR):
            _fail(text, operand, "binary expression must contain only scalar and instant vector types")
    _check_matching(text, binary, matching, both=left is right is _VECTOR)
    if op in SET_OPERATORS and _SCALAR in (left, right):
        _fail(text, binary, f"set operator {quote(op)} not allowed in binary scalar expression")


def _check_matching(text: str, binary: Binary, matching: Matching, *, both: bool) -> None:
    filled = matching.fill_left is not None or matching.fill_right is not None
    if not both:
        if matching.labels:
            _fail(text, binary, "vector matching only allowed between instant vectors")
        if filled:
            _fail(text, binary, "filling in missing series only allowed between instant vectors")
    elif binary.op in SET_OPERATORS:
        if matching.cardinality is not Cardinality.MANY_TO_MANY:
            _fail(text, binary, f"no grouping allowed for {quote(binary.op)} operation")
        if filled:
            _fail(text, binary, "filling in missing series not allowed for set operators")


def _fail_at_operator(text: str, binary: Binary, reason: str) -> NoReturn:
    position = binary.left.span.end
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    raise ParseError(text, position, reason)
