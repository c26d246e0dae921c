"""A syntax tree as text: on one line, or split as Prometheus's /api/v1/format_query splits it.

A node goes on one line when that has at most 100 bytes; else each of its operands gets lines of its own,
two spaces deeper. Selectors and literals are never split.
"""

from __future__ import annotations

from windvane.promql import numbers, quoting
from windvane.promql.syntax import (
    METRIC_NAME,
    Aggregate,
    AtEdge,
    Binary,
    Call,
    Cardinality,
    Duration,
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
    quote_label,
)

MAX_LINE = 100
"""Bytes in UTF-8."""


def to_text(expr: Expr) -> str:  # noqa: PLR0911 - a case a node
    """`expr` on one line; parses to an equal tree."""
    match expr:
        case Number():
            return _number(expr)
        case String(value=value):
            return quoting.quote(value)
        case Selector():
            return _selector(expr)
        case Range(selector=selector):
            edges = f" {selector.edges.value}" if selector.edges else ""
            return f"{_bare(selector)}[{_duration(expr.duration, expr.duration_expr)}]{edges}{_at_offset(selector)}"
        case Subquery(expr=inner):
            return to_text(inner) + _subquery_suffix(expr)
        case Call(function=function, args=args):
            return f"{function}({', '.join(map(to_text, args))})"
        case Aggregate(expr=inner, param=param):
            operands = (inner,) if param is None else (param, inner)
            return f"{_aggregation(expr)}({', '.join(map(to_text, operands))})"
        case Binary(left=left, right=right):
            return f"{to_text(left)} {_operator(expr)} {to_text(right)}"
        case Unary(op=op, expr=inner):
            return op + to_text(inner)
        case Paren(expr=inner):
            return f"({to_text(inner)})"


def pretty(expr: Expr) -> str:
    """`expr` on as many lines as it needs."""
    return _pretty(expr, 0)


def _pretty(expr: Expr, level: int) -> str:  # noqa: PLR0911 - a case a node
    indent, line = "  " * level, to_text(expr)
    match expr:
        case Unary(op=op, expr=inner):
            return f"{indent}{op}{_pretty(inner, level).strip()}"
        case Subquery(expr=inner):  # on one line it is not indented, as in Prometheus
            return _pretty(inner, level) + _subquery_suffix(expr) if _too_long(line) else line
        case Call(function=function, args=args) if args and _too_long(line):
            return f"{indent}{_split(function, args, level)}"
        case Aggregate(expr=inner, param=param) if _too_long(line):
            operands = (inner,) if param is None else (param, inner)
            return f"{indent}{_split(_aggregation(expr), operands, level)}"
        case Paren(expr=inner) if _too_long(line):
            return f"{indent}{_split('', (inner,), level)}"
        case Binary(left=left, right=right) if _too_long(line):
            return f"{_pretty(left, level + 1)}\n{indent}{_operator(expr)}\n{_pretty(right, level + 1)}"
        case _:
            return indent + line


def _too_long(line: str) -> bool:
    return len(line.encode()) > MAX_LINE


def _split(head: str, operands: tuple[Expr, ...], level: int) -> str:
    inner = ",\n".join(_pretty(operand, level + 1) for operand in operands)
    return f"{head}(\n{inner}\n{'  ' * level})"


def _number(number: Number) -> str:
    if number.duration:
        return quoting.duration(round(number.value * 1000))
    return numbers.fixed(number.value)


def _selector(selector: Selector) -> str:
    at, offset = _at(selector), _offset(selector)
    edges = f" {selector.edges.value}" if selector.edges else ""
    return f"{_bare(selector)}{at}{edges}{offset}"


def _bare(selector: Selector) -> str:
    """Name and matchers, sorted as text."""
    texts = sorted(str(matcher) for matcher in selector.matchers if not _is_name(selector, matcher))
    return selector.name + (f"{{{','.join(texts)}}}" if texts or not selector.name else "")


def _is_name(selector: Selector, matcher: Matcher) -> bool:
    named = matcher.name == METRIC_NAME and matcher.op is MatchOp.EQUAL
    return named and matcher.value == selector.name != ""


def _at_offset(node: Selector | Subquery) -> str:
    return _at(node) + _offset(node)


def _at(node: Selector | Subquery) -> str:
    if node.at is None:
        return ""
    return f" @ {node.at.value}" if isinstance(node.at, AtEdge) else f" @ {node.at / 1000:.3f}"


def _offset(node: Selector | Subquery) -> str:
    if node.offset_expr is None and node.offset == 0:
        return ""
    return f" offset {_duration(node.offset, node.offset_expr)}"


def _duration(milliseconds: int, expr: Duration | None) -> str:
    return quoting.duration(milliseconds) if expr is None else duration_text(expr)


def duration_text(expr: Duration | Number) -> str:
    """A duration expression."""
    if isinstance(expr, Number):
        return _number(expr)
    left = "" if expr.left is None else duration_text(expr.left)
    right = "" if expr.right is None else duration_text(expr.right)
    if expr.op in ("step", "range"):
        text = f"{expr.op}()"
    elif expr.op in ("min", "max"):
        text = f"{expr.op}({left}, {right})"
    elif expr.left is None:
        text = f"-{right}" if expr.op == "-" else right
    else:
        text = f"{left} {expr.op} {right}"
    return f"({text})" if expr.wrapped else text


def _subquery_suffix(node: Subquery) -> str:
    step = "" if node.step is None and node.step_expr is None else _duration(node.step or 0, node.step_expr)
    return f"[{_duration(node.duration, node.duration_expr)}:{step}]{_at_offset(node)}"


def _aggregation(node: Aggregate) -> str:
    if node.without:
        return f"{node.op} without ({_labels(node.grouping)}) "
    return f"{node.op} by ({_labels(node.grouping)}) " if node.grouping else node.op


def _labels(names: tuple[str, ...]) -> str:
    return ", ".join(map(quote_label, names))


def _operator(node: Binary) -> str:
    matching = "" if node.matching is None else _matching(node.matching)
    return f"{node.op}{' bool' if node.return_bool else ''}{matching}"


def _matching(matching: Matching) -> str:
    text = ""
    sides = {Cardinality.MANY_TO_ONE: "left", Cardinality.ONE_TO_MANY: "right"}
    side = sides.get(matching.cardinality)
    if matching.labels or matching.on or side:
        text += f" {'on' if matching.on else 'ignoring'} ({_labels(matching.labels)})"
    if side:
        text += f" group_{side} ({_labels(matching.include)})"
    return text + _fill(matching)


def _fill(matching: Matching) -> str:
    left, right = matching.fill_left, matching.fill_right
    if left is not None and left == right:
        return f" fill ({numbers.general(left)})"
    text = "" if left is None else f" fill_left ({numbers.general(left)})"
    return text if right is None else f"{text} fill_right ({numbers.general(right)})"
