"""A syntax tree as the JSON of Prometheus's /api/v1/parse_query, which its web console draws.

Durations and times are integers in milliseconds. A selector's matcher for a name that stands before the
braces comes last.
"""

from __future__ import annotations

from typing import Any

from windvane.promql import numbers
from windvane.promql.signatures import FUNCTIONS
from windvane.promql.syntax import (
    METRIC_NAME,
    Aggregate,
    AtEdge,
    Binary,
    Call,
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
)

TYPE_NAMES = {
    ValueType.SCALAR: "scalar",
    ValueType.VECTOR: "vector",
    ValueType.MATRIX: "matrix",
    ValueType.STRING: "string",
}


def tree(expr: Expr) -> dict[str, Any]:  # noqa: PLR0911 - a case a node
    """`expr` and all its operands."""
    match expr:
        case Number(value=number):
            return {"type": "numberLiteral", "val": numbers.fixed(number)}
        case String(value=text):
            return {"type": "stringLiteral", "val": text}
        case Selector():
            return {"type": "vectorSelector", **_selector(expr)}
        case Range(selector=selector, duration=duration):
            return {"type": "matrixSelector", **_selector(selector), "range": duration}
        case Subquery(expr=inner, duration=duration, step=step):
            times = {"range": duration, "step": step or 0, **_times(expr)}
            return {"type": "subquery", "expr": tree(inner), **times}
        case Call(function=function, args=args):
            return {"type": "call", "func": _function(function), "args": [tree(arg) for arg in args]}
        case Aggregate():
            return _aggregate(expr)
        case Binary():
            return _binary(expr)
        case Unary(op=op, expr=inner):
            return {"type": "unaryExpr", "op": op, "expr": tree(inner)}
        case Paren(expr=inner):
            return {"type": "parenExpr", "expr": tree(inner)}


def _selector(selector: Selector) -> dict[str, Any]:
    ordered = sorted(selector.matchers, key=lambda matcher: matcher.name == METRIC_NAME and bool(selector.name))
    matchers = [{"name": m.name, "value": m.value, "type": m.op.value} for m in ordered]
    edges = {"anchored": selector.edges is Edges.ANCHORED, "smoothed": selector.edges is Edges.SMOOTHED}
    return {"name": selector.name, "matchers": matchers, **_times(selector), **edges}


def _times(node: Selector | Subquery) -> dict[str, Any]:
    edge = {AtEdge.START: "start", AtEdge.END: "end"}
    return {
        "offset": node.offset,
        "timestamp": node.at if isinstance(node.at, int) else None,
        "startOrEnd": edge[node.at] if isinstance(node.at, AtEdge) else None,
    }


def _function(name: str) -> dict[str, Any]:
    signature = FUNCTIONS[name]
    return {
        "name": name,
        "argTypes": [TYPE_NAMES[kind] for kind in signature.args],
        "variadic": signature.variadic,
        "returnType": TYPE_NAMES[signature.returns],
    }


def _aggregate(node: Aggregate) -> dict[str, Any]:
    return {
        "type": "aggregation",
        "op": node.op,
        "expr": tree(node.expr),
        "param": None if node.param is None else tree(node.param),
        "grouping": list(node.grouping),
        "without": node.without,
    }


def _binary(node: Binary) -> dict[str, Any]:
    return {
        "type": "binaryExpr",
        "op": node.op,
        "lhs": tree(node.left),
        "rhs": tree(node.right),
        "matching": None if node.matching is None else _matching(node.matching),
        "bool": node.return_bool,
    }


def _matching(matching: Matching) -> dict[str, Any]:
    return {
        "card": matching.cardinality.value,
        "labels": list(matching.labels),
        "on": matching.on,
        "include": list(matching.include),
        "fillValues": {"lhs": matching.fill_left, "rhs": matching.fill_right},
    }
