"""PromQL text to a typed syntax tree, by precedence climbing.

The grammar is Prometheus 3's with its experimental parts: duration expressions, `anchored` and `smoothed`,
`fill`. What a query costs to parse is bounded: its length, how deeply it nests and how many operators
follow one another, so that hostile text ends in an error.
"""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

from windvane.promql import check, durations, selectors
from windvane.promql.errors import ParseError
from windvane.promql.lexer import Kind, Token
from windvane.promql.signatures import AGGREGATIONS, COMPARISON, FUNCTIONS, SET_OPERATORS, TRIM
from windvane.promql.stream import Stream
from windvane.promql.syntax import (
    Aggregate,
    At,
    AtEdge,
    Binary,
    Call,
    Cardinality,
    Duration,
    Edges,
    Expr,
    Matching,
    Number,
    Paren,
    Range,
    Selector,
    String,
    Subquery,
    Unary,
    ValueType,
    depth,
)

MAX_LENGTH = 256 * 1024
MAX_DEPTH = 300
_PRECEDENCE = {
    "or": 1,
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(COMPARISON | TRIM, 3),
    **dict.fromkeys("+-", 4),
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 6,
}
_PRECEDED = "must be preceded by an instant vector selector or range vector selector or a subquery"


@lru_cache(maxsize=1024)
def parse(text: str) -> Expr:
    """The checked syntax tree of `text`; `ParseError` says what is wrong and where."""
    if len(text) > MAX_LENGTH:
        raise ParseError(text, 0, f"query of {len(text)} characters is longer than {MAX_LENGTH}")
    stream = Stream(text)
    if stream.single and stream.token.kind is Kind.END:
        stream.fail("no expression found in input", 0)
    expr = expression(stream, 0)
    if stream.token.kind is not Kind.END:
        stream.unexpected()
    if depth(expr) > MAX_DEPTH:
        raise ParseError(text, 0, f"expression is deeper than {MAX_DEPTH} levels")
    check.check(text, expr)
    return expr


def parse_selector(text: str) -> Selector:
    """A series selector such as the HTTP API's `match[]` takes."""
    expr = parse(text)
    if not isinstance(expr, Selector) or expr.offset or expr.offset_expr or expr.edges or expr.at is not None:
        raise ParseError(text, 0, "expected a series selector")
    return expr


def round_half_away(value: float) -> int:
    """The nearest integer, halves away from zero (Go's math.Round)."""
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)


def expression(stream: Stream, floor: int) -> Expr:
    """An expression whose operators all bind at least as tightly as `floor`."""
    with stream.nested():
        left, length = _operand(stream), 0
        while stream.token.kind is Kind.OPERATOR and _PRECEDENCE.get(stream.token.text, -1) >= floor:
            left = _binary(stream, left)
            length += 1
            if length > MAX_DEPTH:
                stream.fail(f"more than {MAX_DEPTH} operators in a row")
    return left


# Binary operators


def _binary(stream: Stream, left: Expr) -> Expr:
    op = stream.advance().text
    return_bool = stream.word("bool")
    if return_bool:
        stream.advance()
    matching = _fills(stream, _matching(stream))
    right = expression(stream, _PRECEDENCE[op] + (op != "^"))
    if op in SET_OPERATORS and matching.cardinality is Cardinality.ONE_TO_ONE:
        matching = replace(matching, cardinality=Cardinality.MANY_TO_MANY)
    both = check.type_of(left) is ValueType.VECTOR and check.type_of(right) is ValueType.VECTOR
    filled = matching.fill_left is not None or matching.fill_right is not None
    meant = both or matching.labels or filled  # anything else between scalars is no mistake
    return Binary(op, left, right, matching if meant else None, return_bool, stream.span(left.span.start))


def _matching(stream: Stream) -> Matching:
    if not stream.word("on", "ignoring"):
        return Matching()
    on = stream.advance().text == "on"
    labels = selectors.labels(stream)
    if not stream.word("group_left", "group_right"):
        return Matching(Cardinality.ONE_TO_ONE, labels, on)
    left = stream.advance().text == "group_left"
    include = selectors.labels(stream) if stream.at("(") or not _starts_operand(stream) else ()
    return Matching(Cardinality.MANY_TO_ONE if left else Cardinality.ONE_TO_MANY, labels, on, include)


def _fills(stream: Stream, matching: Matching) -> Matching:
    """The values that stand for series missing on one side."""
    while stream.word("fill", "fill_left", "fill_right"):
        word = stream.advance().text
        stream.advance()
        value = _signed_number(stream, "", "")
        stream.expect(")")
        if word != "fill_right":
            matching = replace(matching, fill_left=value)
        if word != "fill_left":
            matching = replace(matching, fill_right=value)
    return matching


# Operands


def _operand(stream: Stream) -> Expr:
    if stream.at("+", "-"):
        return _unary(stream)
    expr = _primary(stream)
    while True:
        if stream.at("["):
            expr = _range(stream, expr)
        elif stream.at("@"):
            expr = _fixed(stream, expr)
        elif stream.word("offset"):
            expr = _offset(stream, expr)
        elif stream.word("anchored", "smoothed"):
            expr = _with_edges(stream, expr)
        else:
            return expr


def _starts_operand(stream: Stream) -> bool:
    """Whether an expression may begin here; `fill` too stands where one may, after `group_left`."""
    literal = stream.token.kind in (Kind.NUMBER, Kind.DURATION, Kind.STRING)
    named = selectors.names_metric(stream.token) or stream.word("fill", "fill_left", "fill_right")
    return literal or named or stream.at("+", "-", "(", "{")


def _unary(stream: Stream) -> Expr:
    operator = stream.advance()
    inner = expression(stream, _PRECEDENCE["^"])
    span = stream.span(operator.start)
    if isinstance(inner, Number):
        return replace(inner, value=-inner.value if operator.text == "-" else inner.value, span=span)
    return Unary(operator.text, inner, span)


def _primary(stream: Stream) -> Expr:  # noqa: RET503 - `unexpected` never returns
    token = stream.token
    if token.kind in (Kind.NUMBER, Kind.DURATION):
        stream.advance()
        return Number(float(token.value), stream.span(token.start), token.kind is Kind.DURATION)
    if token.kind is Kind.STRING:
        stream.advance()
        return String(str(token.value), stream.span(token.start))
    if stream.at("("):
        stream.advance()
        inner = expression(stream, 0)
        stream.expect(")")
        return Paren(inner, stream.span(token.start))
    if token.kind is Kind.AGGREGATOR and _aggregates(stream):
        return _aggregate(stream)
    if token.kind in (Kind.IDENTIFIER, Kind.PREPROCESSOR) and stream.called():
        return _call(stream)
    if stream.at("{") or selectors.names_metric(token):
        return selectors.selector(stream)
    stream.unexpected()


def _aggregates(stream: Stream) -> bool:
    """Whether the name of an aggregation is used as one, and not as a metric's name."""
    return stream.called() or stream.followed_by("by", "without")


# Calls


def _call(stream: Stream) -> Expr:
    name = stream.advance()
    args = _arguments(stream)
    function = name.text if name.kind is Kind.PREPROCESSOR else name.raw
    if function not in FUNCTIONS:
        stream.fail(f'unknown function with name "{function}"', name.start)
    return Call(function, args, stream.span(name.start))


def _arguments(stream: Stream) -> tuple[Expr, ...]:
    stream.expect("(")
    args: list[Expr] = []
    while not stream.at(")"):
        args.append(expression(stream, 0))
        comma = stream.token
        if not stream.accept(","):
            break
        if not _starts_operand(stream) and stream.token.kind is not Kind.ERROR:
            stream.fail("trailing commas not allowed in function call args", comma.start)
    stream.expect(")")
    return tuple(args)


def _aggregate(stream: Stream) -> Expr:
    name = stream.advance()
    with stream.aggregation():
        grouping = _grouping(stream)
        args = _arguments(stream)
        labels, without = _grouping(stream) or ((), False) if grouping is None else grouping
    op, span = name.text, stream.span(name.start)
    wanted = 1 if AGGREGATIONS[op] is None else 2
    if not args:
        stream.fail("no arguments for aggregate expression provided", name.start)
    if len(args) != wanted:
        reason = f"wrong number of arguments for aggregate expression provided, expected {wanted}, got {len(args)}"
        stream.fail(reason, name.start)
    return Aggregate(op, args[-1], args[0] if wanted == 2 else None, labels, without, span)


def _grouping(stream: Stream) -> tuple[tuple[str, ...], bool] | None:
    """Labels of `by (…)` or `without (…)`, and whether it is the latter; None if it is neither."""
    if not stream.word("by", "without"):
        return None
    without = stream.advance().text == "without"
    return selectors.labels(stream), without


# Ranges, offsets, @, and how a window's bounds are met


def _range(stream: Stream, expr: Expr) -> Expr:
    bracket = stream.advance()
    duration, duration_expr = durations.between_brackets(stream)
    if stream.accept(":"):
        return _subquery(stream, expr, duration, duration_expr)
    stream.expect("]", "subquery or range", '":" or "]"')
    if not isinstance(expr, Selector):
        stream.fail("ranges only allowed for vector selectors", bracket.start)
    if expr.offset or expr.offset_expr:
        stream.fail("no offset modifiers allowed before range", bracket.start)
    if isinstance(expr.at, int):
        stream.fail("no @ modifiers allowed before range", bracket.start)
    return Range(expr, duration, stream.span(expr.span.start), duration_expr)


def _subquery(stream: Stream, expr: Expr, duration: int, duration_expr: Duration | None) -> Subquery:
    step, step_expr = None, None
    if not stream.at("]"):
        expected = 'number, duration, step(), range(), or "]"'
        step, step_expr = durations.between_brackets(stream, "subquery selector", expected)
    stream.expect("]", "subquery selector", '"]"')
    span = stream.span(expr.span.start)
    step = None if step_expr else step
    return Subquery(expr, duration, step, span=span, duration_expr=duration_expr, step_expr=step_expr)


def _offset(stream: Stream, expr: Expr) -> Expr:
    stream.advance()
    offset, offset_expr = durations.after_offset(stream)
    node = _movable(stream, expr, f"offset modifier {_PRECEDED}")
    if node.offset or node.offset_expr:
        stream.fail("offset may not be set multiple times", expr.span.start)
    return _put(stream, expr, replace(node, offset=offset, offset_expr=offset_expr))


def _fixed(stream: Stream, expr: Expr) -> Expr:
    stream.advance()
    at = _time(stream, expr)
    node = _movable(stream, expr, f"@ modifier {_PRECEDED}")
    if node.at is not None:
        stream.fail("@ <timestamp> may not be set multiple times", expr.span.start)
    return _put(stream, expr, replace(node, at=at))


def _time(stream: Stream, expr: Expr) -> At:
    for edge in AtEdge:
        if stream.word(edge.value.removesuffix("()")):
            stream.advance()
            stream.expect("(", "@", "timestamp")
            stream.expect(")", "@", "timestamp")
            return edge
    seconds = _signed_number(stream, "@", "timestamp")
    if not abs(seconds) < float(1 << 63):
        shown = {math.inf: "+Inf", -math.inf: "-Inf"}.get(seconds, f"{seconds:f}".replace("nan", "NaN"))
        stream.fail(f"timestamp out of bounds for @ modifier: {shown}", expr.span.start)
    return round_half_away(seconds * 1000)


def _signed_number(stream: Stream, context: str, expected: str) -> float:
    sign = -1.0 if stream.at("-") else 1.0
    if stream.at("+", "-"):
        stream.advance()
    token: Token = stream.token
    if token.kind not in (Kind.NUMBER, Kind.DURATION):
        stream.unexpected(context, expected)
    stream.advance()
    return sign * float(token.value)


def _with_edges(stream: Stream, expr: Expr) -> Expr:
    edges = Edges(stream.advance().text)
    if isinstance(expr, Subquery):
        stream.fail(f"{edges.value} modifier is not supported for subqueries", expr.span.start)
    if not isinstance(expr, Selector | Range):
        stream.fail(f"{edges.value} modifier not implemented", expr.span.start)
    node = expr.selector if isinstance(expr, Range) else expr
    if node.edges not in (None, edges):
        stream.fail("anchored and smoothed modifiers cannot be used together", expr.span.start)
    return _put(stream, expr, replace(node, edges=edges), longer=False)


def _movable(stream: Stream, expr: Expr, reason: str) -> Selector | Subquery:
    """What an offset or a fixed time is set on."""
    node = expr.selector if isinstance(expr, Range) else expr
    if not isinstance(node, Selector | Subquery):
        stream.fail(reason, expr.span.start)
    return node


def _put(stream: Stream, expr: Expr, node: Selector | Subquery, *, longer: bool = True) -> Expr:
    """`expr` with its changed selector or subquery, up to the last token."""
    span = stream.span(expr.span.start) if longer else expr.span
    if isinstance(expr, Range):
        assert isinstance(node, Selector)
        return replace(expr, selector=node, span=span)
    return replace(node, span=span)
