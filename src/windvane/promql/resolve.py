"""What a query's own times put into its tree before it is planned.

Duration expressions become milliseconds; `start()`, `end()`, `range()` and `step()` become numbers; and
info() gets the selector of the info metrics it joins with, so that their samples are read like any other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

from windvane.promql.durations import MAX_SECONDS
from windvane.promql.errors import QueryError
from windvane.promql.syntax import (
    METRIC_NAME,
    Aggregate,
    Binary,
    Call,
    Duration,
    Expr,
    Matcher,
    MatchOp,
    Number,
    Paren,
    Range,
    Selector,
    Subquery,
    Unary,
)
from windvane.promql.value import Steps

TARGET_INFO = "target_info"
"""The info metric that info() joins with unless another is named."""

_OPERATIONS: dict[str, Callable[[float, float], float]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right,
    "%": math.fmod,
    "min": min,
    "max": max,
}


def resolve(expr: Expr, steps: Steps, *, instant: bool) -> Expr:
    """`expr` as it stands for a query at `steps`; `QueryError` where a duration comes to none.

    An instant query has a step and a range of zero.
    """
    return _Resolver(steps, instant).tree(expr)


class _Resolver:
    def __init__(self, steps: Steps, instant: bool) -> None:
        self._known = {
            "start": steps.start / 1000,
            "end": steps.end / 1000,
            "range": (steps.end - steps.start) / 1000,
            "step": 0.0 if instant else steps.step / 1000,
        }

    def tree(self, expr: Expr) -> Expr:  # noqa: PLR0911 - a case a node
        match expr:
            case Selector():
                return self._selector(expr)
            case Range(duration_expr=duration):
                length = expr.duration if duration is None else self._milliseconds(duration, signed=False)
                return replace(expr, selector=self._selector(expr.selector), duration=length, duration_expr=None)
            case Subquery():
                return self._subquery(expr)
            case Call(function=function) if function in self._known:
                return Number(self._known[function], expr.span)
            case Call(function=function, args=args):
                resolved = tuple(self.tree(arg) for arg in args)
                return replace(expr, args=_with_info_metrics(resolved) if function == "info" else resolved)
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
        if not abs(seconds) <= MAX_SECONDS:
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


def _with_info_metrics(args: tuple[Expr, ...]) -> tuple[Expr, ...]:
    matchers: tuple[Matcher, ...] = ()
    if len(args) > 1:
        assert isinstance(args[1], Selector)
        matchers = args[1].matchers
    if not any(matcher.name == METRIC_NAME for matcher in matchers):
        matchers = (Matcher(METRIC_NAME, MatchOp.EQUAL, TARGET_INFO), *matchers)
    return args[0], Selector(matchers, span=args[-1].span)
