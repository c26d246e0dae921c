"""The parser: what it accepts, how it groups, how it fails, and that nothing harms it."""

from __future__ import annotations

import contextlib

import promql_parser
import promql_queries as queries
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.promql.errors import ParseError, QueryError
from windvane.promql.parse import MAX_LENGTH, parse, parse_selector
from windvane.promql.syntax import (
    Aggregate,
    AtEdge,
    Binary,
    Call,
    Expr,
    Number,
    Paren,
    Range,
    Selector,
    Subquery,
    Unary,
)


def shape(expr: Expr) -> object:
    """The tree with only its operators and names."""
    match expr:
        case Binary():
            return (expr.op, shape(expr.left), shape(expr.right))
        case Unary():
            return (expr.op, shape(expr.expr))
        case Paren():
            return shape(expr.expr)
        case Selector():
            return expr.matchers[0].value
        case Number():
            return expr.value
        case Call():
            return (expr.function, *map(shape, expr.args))
        case Aggregate():
            return (expr.op, shape(expr.expr))
        case _:
            return type(expr).__name__


@pytest.mark.parametrize(
    ("text", "tree"),
    [
        ("a + b * c", ("+", "a", ("*", "b", "c"))),
        ("a ^ b ^ c", ("^", "a", ("^", "b", "c"))),
        ("a - b - c", ("-", ("-", "a", "b"), "c")),
        ("-a ^ 2", ("-", ("^", "a", 2.0))),
        ("-a * b", ("*", ("-", "a"), "b")),
        ("a or b and c unless d", ("or", "a", ("unless", ("and", "b", "c"), "d"))),
        ("a == b + c", ("==", "a", ("+", "b", "c"))),
        ("a AND b", ("and", "a", "b")),
        ("a atan2 b * c", ("*", ("atan2", "a", "b"), "c")),
        ("SUM(a)", ("sum", "a")),
        ("sum", "sum"),
        ("and", "and"),
        ("offset offset 5m", "offset"),
        ("a-b", ("-", "a", "b")),
        ("rate(a[5m])", ("rate", "Range")),
        ("inf", float("inf")),
        ("5m", 300.0),
    ],
)
def test_precedence_and_names(text: str, tree: object) -> None:
    assert shape(parse(text)) == tree


def test_ranges_offsets_and_fixed_times() -> None:
    assert parse("a[5m] offset 1m @ start()") == Range(
        Selector(parse_selector("a").matchers, 60_000, AtEdge.START), 300_000
    )
    subquery = parse("a[1h:30s] @ 1.5 offset -1m")
    assert isinstance(subquery, Subquery)
    assert (subquery.duration, subquery.step, subquery.offset, subquery.at) == (3_600_000, 30_000, -60_000, 1500)
    default = parse("(a)[1h:]")
    assert isinstance(default, Subquery)
    assert default.step is None
    negative = parse("a @ -1.0005")
    assert isinstance(negative, Selector)
    assert negative.at == -1001
    assert parse("a[1h30m5s250ms]") == parse("a[5405.25]")


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("", "1:1", "no expression found"),
        ("a{", "1:3", "unexpected end of input"),
        ("sum(a", "1:6", "unexpected end of input"),
        ("a\n+ %", "2:3", "unexpected operator '%'"),
        ('a{b="c}', "1:5", "unterminated quoted string"),
        ("a[5m", "1:5", "unexpected end of input"),
        ("a[0s]", "1:3", "duration must be greater than 0"),
        ("a[5x]", "1:3", "bad number or duration syntax"),
        ("a[1m1h]", "1:3", "not a valid duration string"),
        ("(a)[5m]", "1:1", "ranges only allowed for vector selectors"),
        ("a offset 1m [5m]", "1:1", "no offset modifiers allowed before range"),
        ("sum(a) offset 1m", "1:1", "offset modifier must be preceded by"),
        ("a offset 1m offset 1m", "1:13", "may not be set multiple times"),
        ("a @ inf", "1:5", "timestamp out of bounds"),
        ("nope(a)", "1:1", 'unknown function with name "nope"'),
        ("rate(a)", "1:6", "expected type range vector"),
        ("topk(a)", "1:1", "wrong number of arguments"),
        ("a + bool b", "1:5", "bool modifier can only be used on comparison operators"),
        ("1 + on (a) 2", "1:1", "vector matching only allowed between instant vectors"),
        ('"x" == "y"', "1:1", "must contain only scalar and instant vector types"),
        ("-a[5m]", "1:1", "unary expression only allowed"),
        ("a b", "1:3", "unexpected name 'b'"),
        ("a 1", "1:3", "unexpected number '1'"),
        ("sum(a,)", "1:7", "trailing commas not allowed"),
        ('a{b="\\q"}', "1:6", "unknown escape sequence"),
        ("a @ start", "1:10", 'expected "("'),
        ('a{__name__="b"}', "1:3", "metric name must not be set twice"),
    ],
)
def test_errors_name_place_and_reason(text: str, position: str, reason: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(text)
    assert caught.value.message.startswith(f"{position}: parse error: ")
    assert reason in caught.value.message


@pytest.mark.parametrize(
    "text",
    ["(" * 100_000, "-" * 100_000 + "a", "a+" * 50_000 + "a", "sum(" * 5000 + "a" + ")" * 5000, "a" * (MAX_LENGTH + 1)],
    ids=["parentheses", "signs", "operators", "calls", "length"],
)
def test_hostile_text_ends_in_an_error(text: str) -> None:
    with pytest.raises(ParseError):
        parse(text)


def test_a_selector_is_just_a_selector() -> None:
    assert parse_selector('a{b!="c"}').matchers[1].value == "c"
    for text in ("a[5m]", "a offset 1m", "sum(a)", "1"):
        with pytest.raises(QueryError, match="expected a series selector"):
            parse_selector(text)


@settings(max_examples=400)
@given(
    st.text(alphabet="ab_:{}[]()=~!\"'`,.+-*/%^<>@ 0159mhsxe\n\\#boolsumrateonby", max_size=60) | st.text(max_size=40)
)
def test_any_text_parses_or_is_refused(text: str) -> None:
    with contextlib.suppress(QueryError):
        parse(text)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1_000_000))
def test_agrees_with_another_parser(seed: int) -> None:
    """Whatever the generator writes, cut anywhere: both accept or both refuse."""
    text = queries.Generator(seed).query()
    text = text[: seed % (2 * len(text))]
    if "start()" in text or "@ -" in text:
        return
    try:
        promql_parser.parse(text)
        accepted = True
    except ValueError:
        accepted = False
    try:
        parse(text)
    except QueryError:
        assert not accepted, text
    else:
        assert accepted, text
