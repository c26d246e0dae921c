"""Durations: as literals, and as expressions over `step()` and `range()` of the query (experimental).

A literal becomes milliseconds when it is parsed. An expression stays in the tree until `resolve.resolve`
puts the query's own step and range into it, before anything is planned.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from windvane.promql.lexer import Kind
from windvane.promql.stream import Stream
from windvane.promql.syntax import Duration, Number

Parsed = tuple[int, Duration | None]
"""Milliseconds, and the expression that stands for them, if it is more than a literal."""

_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "%": 2, "^": 4}
_SIGN = 3  # binds like a product, but its operand may be a power
MAX_OPERATORS = 300
MAX_SECONDS = (1 << 63) / 1e9
"""Prometheus keeps durations as 64-bit nanoseconds."""
_RANGE = "subquery or range selector"
_OPERAND = "number, duration, step(), or range()"


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
            left, length = self._operand(), 0
            while self._stream.token.kind is Kind.OPERATOR and _PRECEDENCE.get(self._stream.token.text, -1) >= floor:
                operator = self._stream.advance()
                length += 1
                if length > MAX_OPERATORS:
                    self._stream.fail(f"more than {MAX_OPERATORS} operators in a row", operator.start)
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
        if not abs(number.value) <= MAX_SECONDS:
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
