"""Durations: as literals, and as expressions over `step()` and `range()` of the query (experimental).

A literal becomes milliseconds when it is parsed. An expression stays in the tree until `resolve` puts
the query's own step and range into it, before anything is planned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from windvane.promql.errors import QueryError
from windvane.promql.lexer import Kind
from windvane.promql.stream import Stream
from windvane.promql.syntax import (
    Aggregate,
    Binary,
    Call,
    Duration,
    Expr,
    Number,
    Paren,
    Range,
    Selector,
    Subquery,
    Unary,
)
from windvane.promql.value import Steps

Parsed = tuple[int, Duration | None]
"""Milliseconds, and the expression that stands for them, if it is more than a literal."""

_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 4}
_SIGN = 3
_MAX_SECONDS = (1 << 63) / 1e9
_RANGE = "subquery or range selector"
_OPERAND = "number, duration, step(), or range()"

_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "%": math.fmod,
    "min": min,
    "max": max,
}


def between_brackets(stream: Stream, context: str = _RANGE, expected: str = _OPERAND) -> Parsed:
    """A range or a subquery's step."""
    expr = _Reader(stream, context, expected).expression(0)
    if isinstance(expr, Number):
        if expr.value <= 0:
            stream.fail("duration must be greater than 0", expr.span.start)
        return _milliseconds(expr.value), None
    return 0, expr


def after_offset(stream: Stream) -> Parsed:
    """An offset: one operand with any sign; more only in parentheses."""
    reader = _Reader(stream, "offset", _OPERAND)
    expr = reader.expression(0) if stream.at("(") else reader.single()
    return (_milliseconds(expr.value), None) if isinstance(expr, Number) else (0, expr)


def _milliseconds(seconds: float) -> int:
    nanoseconds = math.floor(abs(seconds) * 1e9 + 0.5)
    return nanoseconds // 1_000_000 * (-1 if seconds < 0 else 1)


class _Reader:
    """Duration expressions by precedence climbing; errors are those of one `context`."""

    def __init__(self, stream: Stream, context: str, expected: str) -> None:
        self._stream = stream
        self._context = context
        self._expected = expected

    def expression(self, floor: int) -> Number | Duration:
        """What binds at least as tightly as `floor`."""
        with self._stream.nested():
            left = self._operand()
            while self._stream.token.kind is Kind.OPERATOR and _PRECEDENCE.get(self._stream.token.text, -1) >= floor:
                operator = self._stream.advance()
                right = self.expression(_PRECEDENCE[operator.text] + (operator.text != "^"))
                if operator.text in "/%" and isinstance(right, Number) and right.value == 0:
                    self._stream.fail(f"{'division' if operator.text == '/' else 'modulo'} by zero", operator.start)
                left = Duration(operator.text, left, right, span=self._stream.span(left.span.start))
        return left

    def single(self) -> Number | Duration:
        """One operand, perhaps with a sign: `a offset -2 ^ 2` is a square."""
        return self._signed(self._operand) if self._stream.at("+", "-") else self._operand()

    def _operand(self) -> Number | Duration:  # noqa: RET503 - `unexpected` never returns
        stream, token = self._stream, self._stream.token
        if stream.at("+", "-"):
            return self._signed(lambda: self.expression(_SIGN))
        if stream.at("("):
            stream.advance()
            inner = self.expression(0)
            stream.expect(")", self._context, self._expected)
            whole = stream.span(token.start)
            return replace(inner, wrapped=True, span=whole) if isinstance(inner, Duration) else inner
        if token.kind in (Kind.NUMBER, Kind.DURATION):
            stream.advance()
            number = Number(float(token.value), stream.span(token.start), token.kind is Kind.DURATION)
            return self._bounded(number)
        if stream.word("step", "range") and stream.called():
            stream.advance()
            stream.advance()
            stream.expect(")", self._context, self._expected)
            return Duration(token.text, span=stream.span(token.start))
        if stream.word("min", "max") and stream.called():
            return self._extreme()
        stream.unexpected(self._context, self._expected)

    def _signed(self, operand: Callable[[], Number | Duration]) -> Number | Duration:
        sign = self._stream.advance()
        inner = operand()
        span = self._stream.span(sign.start)
        if isinstance(inner, Number):
            return self._bounded(replace(inner, value=-inner.value if sign.text == "-" else inner.value, span=span))
        return Duration("-", None, inner, span=span) if sign.text == "-" else inner

    def _bounded(self, number: Number) -> Number:
        if not abs(number.value) <= _MAX_SECONDS:
            self._stream.fail("duration out of range", number.span.start)
        return number

    def _extreme(self) -> Duration:
        stream, name = self._stream, self._stream.advance()
        stream.advance()
        left = self.expression(0)
        stream.expect(",", self._context, self._expected)
        right = self.expression(0)
        stream.expect(")", self._context, self._expected)
        return Duration(name.text, left, right, span=stream.span(name.start))


def resolve(expr: Expr, steps: Steps, *, instant: bool) -> Expr:
    """`expr` with every duration expression replaced by what it comes to; `QueryError` where that is none.

    An instant query has a step and a range of zero.
    """
    return _Resolver(0.0 if instant else steps.step / 1000, (steps.end - steps.start) / 1000).tree(expr)


class _Resolver:
    def __init__(self, step: float, span: float) -> None:
        self._known = {"step": step, "range": span}

    def tree(self, expr: Expr) -> Expr:  # noqa: PLR0911 - a case a node
        match expr:
            case Selector():
                return self._selector(expr)
            case Range(duration_expr=duration):
                length = expr.duration if duration is None else self._milliseconds(duration, signed=False)
                return replace(expr, selector=self._selector(expr.selector), duration=length, duration_expr=None)
            case Subquery():
                return self._subquery(expr)
            case Call(args=args):
                return replace(expr, args=tuple(self.tree(arg) for arg in args))
            case Aggregate(expr=inner, param=param):
                return replace(expr, expr=self.tree(inner), param=None if param is None else self.tree(param))
            case Binary(left=left, right=right):
                return replace(expr, left=self.tree(left), right=self.tree(right))
            case Unary(expr=inner) | Paren(expr=inner):
                return replace(expr, expr=self.tree(inner))
            case _:
                return expr

    def _selector(self, selector: Selector) -> Selector:
        if selector.offset_expr is None:
            return selector
        return replace(selector, offset=self._milliseconds(selector.offset_expr, signed=True), offset_expr=None)

    def _subquery(self, node: Subquery) -> Subquery:
        duration, step, offset = node.duration, node.step, node.offset
        if node.duration_expr is not None:
            duration = self._milliseconds(node.duration_expr, signed=False)
        if node.step_expr is not None:
            step = self._milliseconds(node.step_expr, signed=False)
        if node.offset_expr is not None:
            offset = self._milliseconds(node.offset_expr, signed=True)
        plain = replace(node, expr=self.tree(node.expr), duration=duration, step=step, offset=offset)
        return replace(plain, duration_expr=None, step_expr=None, offset_expr=None)

    def _milliseconds(self, expr: Duration, *, signed: bool) -> int:
        seconds = self._seconds(expr)
        if not signed and seconds <= 0:
            raise _error(expr, "duration must be greater than 0")
        if not abs(seconds) <= _MAX_SECONDS:
            raise _error(expr, "duration is out of range")
        return math.trunc(seconds * 1000)

    def _seconds(self, expr: Number | Duration | None) -> float:
        if expr is None:
            return 0.0
        if isinstance(expr, Number):
            return expr.value
        if expr.op in self._known:
            return self._known[expr.op]
        left, right = self._seconds(expr.left), self._seconds(expr.right)
        if expr.op in "/%" and right == 0:
            raise _error(expr, "division by zero" if expr.op == "/" else "modulo by zero")
        return _power(left, right) if expr.op == "^" else _OPERATIONS[expr.op](left, right)


def _power(base: float, exponent: float) -> float:
    try:
        return math.pow(base, exponent)
    except (OverflowError, ValueError):  # too large, or a root of a negative number: out of range
        return math.nan


def _error(expr: Duration, reason: str) -> QueryError:
    return QueryError(f"{expr.span.start}:{expr.span.end}: {reason}")
