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


SELECTOR_OR_SUBQUERY = "an instant vector selector or range vector selector or a subquery"
ERRORS = {
    # What is no token.
    "": "1:1: no expression found in input",
    "# nothing\n": "1:1: no expression found in input",
    "2.5.": '1:1: bad number or duration syntax: "2.5."',
    "100..4": '1:1: bad number or duration syntax: "100.."',
    "0deadbeef": '1:1: bad number or duration syntax: "0de"',
    "1__0": '1:1: bad number or duration syntax: "1__"',
    "a[5mm]": '1:3: bad number or duration syntax: "5mm"',
    "a[1m1h]": '1:3: not a valid duration string: "1m1h"',
    "1e999": '1:1: error parsing number: strconv.ParseFloat: parsing "1e999": value out of range',
    "1 =~ 1": "1:3: unexpected character after '=': '~'",
    "1 !~ 1": "1:3: unexpected character after '!': '~'",
    "a !": "1:3: unexpected character after '!': '\ufffd'",
    "a ~": "1:3: unexpected character: '~'",
    "é": "1:1: unexpected character: 'é'",
    'a{b="c}': "1:5: unterminated quoted string",
    "`a": "1:1: unterminated raw string",
    'a{b="\\q"}': "1:5: unknown escape sequence U+0071 'q'",
    '"\\xzz"': "1:1: illegal character U+007A 'z' in escape sequence",
    '"\\ud800"': "1:1: escape sequence is an invalid Unicode code point",
    '"\\777"': "1:1: escape sequence is an invalid Unicode code point",
    "a{": "1:3: unexpected end of input inside braces",
    "a{1}": "1:3: unexpected character inside braces: '1'",
    "a{b!c}": "1:4: unexpected character after '!' inside braces: 'c'",
    "a{{": "1:3: unexpected left brace '{'",
    "sum(a": "1:6: unclosed left parenthesis",
    "(1))": "1:5: unexpected right parenthesis ')'",
    "a]": "1:2: unexpected right bracket ']'",
    "a[5m": "1:5: unclosed left bracket",
    "a[": "1:3: unexpected end of input in duration expression",
    "a[b]": "1:3: unexpected character in duration expression: 'b'",
    "a[5m b]": "1:6: unexpected character: 'b', expected ':'",
    "a[5m:1m:1m]": "1:8: unexpected colon ':'",
    # What is no expression.
    "a b": '1:3: unexpected identifier "b"',
    "a 1": '1:3: unexpected number "1"',
    "a a:b": '1:3: unexpected metric identifier "a:b"',
    "a start": '1:3: unexpected "start"',
    "a SUM": "1:3: unexpected <aggr:SUM>",
    "a\n+ %": "2:3: unexpected <op:%>",
    '"é" b': '1:6: unexpected identifier "b"',
    'a "a long string"': '1:3: unexpected string "\\"a long st"...',
    "1+": "1:3: unexpected end of input",
    "@@": "1:1: unexpected <op:@>",
    "a - on(b) ignoring(c) d": "1:11: unexpected <ignoring>",
    "sum some_metric by (test)": '1:5: unexpected identifier "some_metric"',
    "sum(a b)": '1:7: unexpected identifier "b" in aggregation',
    "sum(abs(a b))": '1:11: unexpected identifier "b" in aggregation',
    "abs(a b)": '1:7: unexpected identifier "b"',
    "sum(a) by b": '1:11: unexpected identifier "b" in grouping opts, expected "("',
    "sum by (a b) (x)": '1:11: unexpected identifier "b" in grouping opts, expected "," or ")"',
    "sum without(==)(a)": "1:13: unexpected <op:==> in grouping opts, expected label",
    'sum by ("") (a)': '1:9: invalid label name for grouping: ""',
    "a{b c}": '1:5: unexpected identifier "c" in label matching, expected label matching operator',
    "a{b=c}": '1:5: unexpected identifier "c" in label matching, expected string',
    'a{="x"}': '1:3: unexpected "=" in label matching, expected identifier or "}"',
    'a{b="c" d="e"}': '1:9: unexpected identifier "d" in label matching, expected "," or "}"',
    "a[]": '1:3: unexpected "]" in subquery or range selector, expected number, duration, step(), or range()',
    "a[5m 6m]": '1:6: unexpected duration "6m" in subquery or range, expected ":" or "]"',
    "a[5m:+]": '1:7: unexpected "]" in subquery selector, expected number, duration, step(), range(), or "]"',
    "a[5m:1m 1m]": '1:9: unexpected duration "1m" in subquery selector, expected "]"',
    "a offset b": '1:10: unexpected identifier "b" in offset, expected number, duration, step(), or range()',
    "a @ b": '1:5: unexpected identifier "b" in @, expected timestamp',
    "a @ start": "1:10: unexpected end of input in @, expected timestamp",
    # What is an expression without a meaning.
    "a[0s]": "1:3: duration must be greater than 0",
    "a[-5m]": "1:3: duration must be greater than 0",
    "a[1m/0]": "1:5: division by zero",
    "a offset 1e10": "1:10: duration out of range",
    "300000y": "1:1: duration out of range",
    "(a)[5m]": "1:4: ranges only allowed for vector selectors",
    "a offset 1m [5m]": "1:13: no offset modifiers allowed before range",
    "a @ 1 [5m]": "1:7: no @ modifiers allowed before range",
    "sum(a) offset 1m": f"1:1: offset modifier must be preceded by {SELECTOR_OR_SUBQUERY}",
    "1 @ 1": f"1:1: @ modifier must be preceded by {SELECTOR_OR_SUBQUERY}",
    "a offset 1m offset 1m": "1:1: offset may not be set multiple times",
    "a @ 1 @ 2": "1:1: @ <timestamp> may not be set multiple times",
    "a @ inf": "1:1: timestamp out of bounds for @ modifier: +Inf",
    "a @ 1e300": f"1:1: timestamp out of bounds for @ modifier: {1e300:f}",
    "a[5m] anchored smoothed": "1:1: anchored and smoothed modifiers cannot be used together",
    "a[5m:] anchored": "1:1: anchored modifier is not supported for subqueries",
    "sum(a) smoothed": "1:1: smoothed modifier not implemented",
    "nope(a)": '1:1: unknown function with name "nope"',
    "sum(a,)": "1:6: trailing commas not allowed in function call args",
    "sum(a,,b)": "1:6: trailing commas not allowed in function call args",
    "abs(a, *b)": "1:6: trailing commas not allowed in function call args",
    "a + on (x) group_left": '1:22: unexpected end of input in grouping opts, expected "("',
    "sum()": "1:1: no arguments for aggregate expression provided",
    "topk(a)": "1:1: wrong number of arguments for aggregate expression provided, expected 2, got 1",
    "sum(1)": "1:5: expected type instant vector in aggregation expression, got scalar",
    'topk("1", a)': "1:6: expected type scalar in aggregation parameter, got string",
    "abs()": '1:1: expected 1 argument(s) in call to "abs", got 0',
    "round(a, 1, 2)": '1:1: expected at most 2 argument(s) in call to "round", got 3',
    "label_join(a)": '1:1: expected at least 3 argument(s) in call to "label_join", got 1',
    "rate(a)": '1:6: expected type range vector in call to function "rate", got instant vector',
    "rate(abs(1))": '1:10: expected type instant vector in call to function "abs", got scalar',
    "info(a, b)": "1:9: expected label selectors only, got vector selector instead",
    "info(a, a + a)": "1:9: expected label selectors only",
    "a + bool b": "1:3: bool modifier can only be used on comparison operators",
    "1 == 1": "1:3: comparisons between scalars must use BOOL modifier",
    "1 + on (a) 2": "1:1: vector matching only allowed between instant vectors",
    "1 and a": '1:1: set operator "and" not allowed in binary scalar expression',
    "a and on (x) group_left (y) b": '1:1: no grouping allowed for "and" operation',
    "a + on (x) group_left (x) b": '1:3: label "x" must not occur in ON and GROUP clause at once',
    "a + fill (0) 1": "1:1: filling in missing series only allowed between instant vectors",
    "a or fill (0) b": "1:1: filling in missing series not allowed for set operators",
    'a == "y"': "1:6: binary expression must contain only scalar and instant vector types",
    "-a[5m]": '1:1: unary expression only allowed on expressions of type scalar or instant vector, got "range vector"',
    "a[5m][1m:]": "1:1: subquery is only allowed on instant vector, got matrix instead",
    'a{b=~"("}': "1:3: error parsing regexp: missing closing ): `^(?s:()$`",
    'a{__name__="b"}': '1:1: metric name must not be set twice: "a" or "b"',
    "{}": "1:1: vector selector must contain at least one non-empty matcher",
    '{a=~".*"}': "1:1: vector selector must contain at least one non-empty matcher",
}


@pytest.mark.parametrize("text", ERRORS)
def test_errors_are_prometheus_s(text: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse(text)
    place, _, reason = ERRORS[text].partition(": ")
    assert caught.value.message == f"{place}: parse error: {reason}"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_000,
        "-" * 100_000 + "a",
        "a+" * 50_000 + "a",
        "sum(" * 5000 + "a" + ")" * 5000,
        "a" * (MAX_LENGTH + 1),
        "a[" + "1m+" * 9999 + "1m]",
    ],
    ids=["parentheses", "signs", "operators", "calls", "length", "durations"],
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
