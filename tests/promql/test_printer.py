"""Trees as text and as JSON: what is printed parses to the same tree."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from promql_trees import canonical, expressions

from windvane.promql.ast_json import tree
from windvane.promql.parse import parse
from windvane.promql.printer import MAX_LINE, pretty, to_text

LONG = "a_metric_with_quite_a_long_name_of_fifty_characters"


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("SUM(a) BY (b, c)", "sum by (b, c) (a)"),
        ("sum by () (a)", "sum(a)"),
        ("avg without (b) (a)", "avg without (b) (a)"),
        ("topk(5,a)", "topk(5, a)"),
        ('a{z="1",b=~"x.*",c!="y",d!~"w"}', 'a{b=~"x.*",c!="y",d!~"w",z="1"}'),
        ('{"a.b","c d"="e"}', '{"c d"="e",__name__="a.b"}'),
        ('{__name__="a"}', '{__name__="a"}'),
        ("a offset 90m @ 1.5", "a @ 1.500 offset 1h30m"),
        ("a[36h] offset -1d @ end()", "a[36h] @ end() offset -1d"),
        ("rate(a[300] anchored @ start())", "rate(a[5m] anchored @ start())"),
        ("a smoothed offset 1s @ 1", "a @ 1.000 smoothed offset 1s"),
        ("max_over_time(a[1h:] offset 1w)", "max_over_time(a[1h:] offset 1w)"),
        ("a[1y1ms:1.5]", "a[8760h1ms:1s500ms]"),
        ("a[2*step():max(1m,range()/10)]", "a[2 * step():max(1m, range() / 10)]"),
        ("a offset -(1m + 30)", "a offset -(1m + 30)"),
        ("a==bool on(b)group_left()c", "a == bool on (b) group_left () c"),
        ("a*ignoring(b)group_right(c)d", "a * ignoring (b) group_right (c) d"),
        ("a+fill(0)b", "a + fill (0) b"),
        ("a-on(b)fill_right(2)fill_left(-1.5)c", "a - on (b) fill_left (-1.5) fill_right (2) c"),
        ("-(+a)", "-(+a)"),
        ("0x10 + 1e21 + .5 + 1_000", "16 + 1000000000000000000000 + 0.5 + 1000"),
        ("inf - NaN", "+Inf - NaN"),
        ("10m0s", "10m"),
        ("-5m", "-5m"),
        ("'\\x01é\\u200b'", '"\\x01é\\u200b"'),
        ('`a"\\`', '"a\\"\\\\"'),
        ("a # comment", "a"),
        ("time()", "time()"),
    ],
)
def test_one_line(text: str, printed: str) -> None:
    assert to_text(parse(text)) == printed
    assert canonical(parse(printed)) == canonical(parse(text))


def test_lines_are_split_at_a_hundred_bytes() -> None:
    fits = f'sum({LONG}{{a="{"x" * (MAX_LINE - len(LONG) - 11)}"}})'
    assert len(fits) == MAX_LINE
    assert pretty(parse(fits)) == fits
    assert pretty(parse(fits.replace("x", "é", 1))) == "sum(\n  " + fits[4:-1].replace("x", "é", 1) + "\n)"


def test_every_operand_gets_its_own_lines(golden: object) -> None:
    text = (
        f"histogram_quantile(0.9, sum by (le) (rate({LONG}[5m]) + rate({LONG}[5m]))) / on (a) group_left () "
        f"(topk(3, -{LONG} or {LONG}) > bool 5) - max_over_time(sum({LONG} + {LONG})[1h:1m])"
    )
    assert callable(golden)
    golden("pretty.promql", pretty(parse(text)))


@settings(max_examples=300, deadline=None)
@given(expressions())
def test_what_is_printed_parses_to_the_same_tree(text: str) -> None:
    expr = parse(text)
    assert canonical(parse(to_text(expr))) == canonical(expr)
    assert canonical(parse(pretty(expr))) == canonical(expr)


NO_TIMES = {"offset": 0, "timestamp": None, "startOrEnd": None}
NO_EDGES = {"anchored": False, "smoothed": False}


def named(name: str) -> dict[str, object]:
    matchers = [{"name": "__name__", "value": name, "type": "="}]
    return {"type": "vectorSelector", "name": name, "matchers": matchers, **NO_TIMES, **NO_EDGES}


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("1e3", {"type": "numberLiteral", "val": "1000"}),
        ("'x'", {"type": "stringLiteral", "val": "x"}),
        ("-a", {"type": "unaryExpr", "op": "-", "expr": named("a")}),
        ("(a)", {"type": "parenExpr", "expr": named("a")}),
        (
            'a{b!~"c"}[5m] offset 1m @ 2',
            {
                "type": "matrixSelector",
                "name": "a",
                "range": 300_000,
                "offset": 60_000,
                "matchers": [
                    {"name": "b", "value": "c", "type": "!~"},
                    {"name": "__name__", "value": "a", "type": "="},
                ],
                "timestamp": 2000,
                "startOrEnd": None,
                **NO_EDGES,
            },
        ),
        (
            "a[1h:] @ end()",
            {
                "type": "subquery",
                "expr": named("a"),
                "range": 3_600_000,
                "step": 0,
                "offset": 0,
                "timestamp": None,
                "startOrEnd": "end",
            },
        ),
        (
            "round(a, 2)",
            {
                "type": "call",
                "func": {
                    "name": "round",
                    "argTypes": ["vector", "scalar"],
                    "variadic": 1,
                    "returnType": "vector",
                },
                "args": [named("a"), {"type": "numberLiteral", "val": "2"}],
            },
        ),
        (
            "sum without (b) (a)",
            {
                "type": "aggregation",
                "op": "sum",
                "expr": named("a"),
                "param": None,
                "grouping": ["b"],
                "without": True,
            },
        ),
        (
            "a > bool on (c) group_left (d) b",
            {
                "type": "binaryExpr",
                "op": ">",
                "lhs": named("a"),
                "rhs": named("b"),
                "matching": {
                    "card": "many-to-one",
                    "labels": ["c"],
                    "on": True,
                    "include": ["d"],
                    "fillValues": {"lhs": None, "rhs": None},
                },
                "bool": True,
            },
        ),
        (
            "1 + 2",
            {
                "type": "binaryExpr",
                "op": "+",
                "lhs": {"type": "numberLiteral", "val": "1"},
                "rhs": {"type": "numberLiteral", "val": "2"},
                "matching": None,
                "bool": False,
            },
        ),
    ],
)
def test_json_has_prometheus_s_shape(text: str, node: dict[str, object]) -> None:
    assert tree(parse(text)) == node


@settings(max_examples=100, deadline=None)
@given(expressions() | st.just("a and b"))
def test_every_tree_has_json(text: str) -> None:
    assert "type" in tree(parse(text))
