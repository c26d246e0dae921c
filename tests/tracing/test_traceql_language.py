"""The language: what is read and how it is bound, what is refused and why; printing and reading agree."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from traceql_queries import random_pipeline

from windvane.kit.errors import BadInputError
from windvane.tracing.traceql.errors import ParseError, TraceQLError, UnsupportedError
from windvane.tracing.traceql.parse import FUNCTIONS, parse, parse_filter, parse_reference, read
from windvane.tracing.traceql.printer import print_field, print_query
from windvane.tracing.traceql.syntax import Attribute, Duration, Filter, Literal, Scope, Search

READ = """
{ }
{ true && !false }
{ .a || .b && .c }
{ !.a = .b }
{ -.a * 2 ^ 3 ^ 4 - 1 = 2 }
{ span.a + 1 > 2 && resource.b =~ `x.*` || event.c !~ "y" }
{ instrumentation.d != nil && nil = link.e }
{ span."a b".c = 1 && ."q\\"uo\\\\te" = "\\t\\x41\\u00e9\\n" }
{ span.http.status-code/2xx:x >= 200 }
{ .x.y%z=3 }
{ duration > 1h30m && duration < 1.5s && traceDuration = 100us && event:timeSinceStart >= 2d }
{ span:duration > 5ns && trace:duration < 1w && span:childCount = 0 && childCount > 2 }
{ name = "a" && span:name = "b" && rootName = "c" && trace:rootService = "d" && rootServiceName != "e" }
{ status = error && span:status != ok && status = unset && kind = server && span:kind != unspecified }
{ statusMessage = "" && span:id = "ab" && span:parentID = "" && trace:id = "cd" }
{ event:name = "exception" && link:traceID = "1" && link:spanID = "2" && instrumentation:version = "3" }
{ nestedSetLeft > 1 && nestedSetRight < 2 && nestedSetParent < 0 }
{ .a = minInt || .a = maxInt || .a > -1 || .a < 1.5e3 || .a = .5 }
{ .a } && { .b } || { .c }
{ .a } >> { .b } > { .c } && { .d } ~ { .e }
({ .a } << { .b }) < ({ .c } !>> { .d })
{ .a } !<< { .b } !> { .c } !< { .d } !~ { .e }
{ .a } &>> { .b } &<< { .c } &> { .d } &< { .e } &~ { .f }
({ .a } | count() > 1 | { .b }) && { .c }
{ .a } | count() > 3 | avg(duration) < 1s | min(.x + 1) >= -2 | max(span.y) != 3.5 | sum(.z) = 0
{ .a } | max(duration) - min(duration) > (1s + 2s) * 2
count() > 3
by(resource.service.name) | count() > 1 | coalesce()
{ .a } | by(1 + .b) | select(status, span.c, .d, name)
{ } with (most_recent=true, sample=0.5, x="y")
{ } | rate()
{ } | count_over_time() by (name, span.a, resource.service.name)
{ } | min_over_time(duration) | topk(5)
{ } | quantile_over_time(span.a, .5, 0.99, 1) by (.b) | bottomk(2) > 3
{ } | histogram_over_time(duration) with (exemplars=true)
{ } | compare({ status = error })
{ } | compare({ status = error }, 5, 10, 20)
{ .a } >> { .b } | count() > 2 | sum_over_time(.c) by (.d)
({ status = error } | rate() by (name)) / ({ } | rate() by (name)) * 100
100 - ({ } | rate()) | topk(3)
{ .a } // a comment
 /* another */ | avg_over_time(.b) >= 1
"""


def test_what_is_read(golden: Callable[[str, str], None]) -> None:
    text = READ.strip().split("\n{ .a } // a comment\n")[0]
    lines = [*text.splitlines(), "{ .a } // a comment\n /* another */ | avg_over_time(.b) >= 1"]
    printed = []
    for line in lines:
        query = parse(line)
        printed.append(print_query(query))
        assert parse(printed[-1]) == query, line
    golden("traceql.txt", "\n".join(printed) + "\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, col 1: syntax error: unexpected end of the query, expected a spanset filter"),
        ("{ .a ", "line 1, col 6: syntax error: unexpected end of the query, expected '}'"),
        ("{ .a == 1 }", "line 1, col 7: syntax error: unexpected '=', expected an attribute, an intrinsic or a value"),
        ("{\n  a = 1 }", "line 2, col 3: syntax error: unexpected identifier a, expected"),
        ("{ . }", "line 1, col 3: '.' is followed by no name"),
        ("{ span. = 1 }", "'span.' is followed by no name"),
        ('{ .a = "x }', "a string that does not end"),
        ("{ .a = 'x' }", 'unexpected character "\'"'),
        ('{ .a = "\\q" }', "an unknown escape"),
        ("{ .a = 1x }", "not a number or duration: 1x"),
        ("{ .a = 99999999999999999999 }", "an integer beyond 64 bits"),
        ("{ .a = 1e999 }", "beyond what a float holds"),
        ("{ trace:status = error }", "no intrinsic is named trace:status"),
        ("{ .a } + { .b }", "unexpected '+', expected an operator, '|' or the end"),
        ("{ .a } | count()", "expected a comparison of the aggregate"),
        ("coalesce()", "expected spansets before coalesce()"),
        ("{ } | by()", "unexpected ')'"),
        ("select(1 + .a)", "unexpected integer 1, expected an attribute or an intrinsic"),
        ("{ } | sum_over_time()", "unexpected ')'"),
        ("{ } | quantile_over_time(duration)", "expected ',' and a quantile"),
        ("{ } | compare({ }, 1, 2)", "both times or neither"),
        ("{ } | rate() | { }", "expected topk(n), bottomk(n) or a comparison"),
        ("({ } | rate()) + ", "expected a spanset filter, an aggregate or a number"),
        ("{ } with (a)", "expected '='"),
        ("(" * 200 + "{ }" + ")" * 200, "nests deeper than 60 levels"),
        ("{ " + " && ".join([".a"] * 300) + " }", "more than 250 operators"),
        ("{ .a = `" + "x" * 140_000 + "` }", "longer than 131072 characters"),
    ],
)
def test_what_is_not_read(text: str, message: str) -> None:
    with pytest.raises(ParseError) as error:
        parse(text)
    assert message in error.value.message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{ 1 }", "span filter field expressions must resolve to a boolean: { 1 }"),
        ("{ duration }", "must resolve to a boolean"),
        ("{ .a + 1 }", "must resolve to a boolean"),
        ('{ 1 = "a" }', 'binary operations must operate on the same type: 1 = "a"'),
        ("{ status = server }", "same type"),
        ("{ status > ok }", "illegal operation for the given types: status > ok"),
        ("{ name + 1 = 2 }", "same type"),
        ("{ true > false }", "illegal operation"),
        ("{ duration =~ `1` }", "same type"),
        ("{ .a =~ .b }", "a regular expression is a string on the right side"),
        ("{ .a =~ `(` }", "invalid regex: .a =~"),
        ("{ -name = `a` }", "illegal operation for the given type: -name"),
        ("{ !duration }", "illegal operation for the given type: !duration"),
        ("{ nil }", "nil is only compared"),
        ("{ .a > nil }", "nil is only compared"),
        ("{ (.a + 1) = nil }", "only fields can be nil"),
        ("max(name) > 1", "aggregate field expressions must resolve to a number type: max(name)"),
        ("max(1) > 1", "aggregate field expressions must reference the span: max(1)"),
        ("1 = 2", "a scalar filter needs an aggregate"),
        ("by(1)", "grouping field expressions must reference the span: by(1)"),
        ("({ } | by(name)) >> { }", "structural operators take one spanset on each side"),
        ("{ } | rate() by (.a, .b, .c, .d, .e, .f)", "at most 5 fields"),
        ("{ } | max_over_time(name)", "need a field that is a number"),
        ("{ } | quantile_over_time(.a, 2)", "quantiles lie between 0 and 1"),
        ("{ } | compare({ }, 0)", "must be from 1 to 1000"),
        ("{ } | compare({ }, 1, 5, 5)", "end timestamp must be greater"),
        ("{ } | rate() | topk(0)", "the limit must be greater than 0"),
        ("{ parent.a = 1 }", "parent not yet supported"),
        ("{ parent.span.a = 1 }", "parent not yet supported"),
        ("{ parent = nil }", "parent not yet supported"),
    ],
)
def test_what_means_nothing(text: str, message: str) -> None:
    with pytest.raises(TraceQLError) as error:
        parse(text)
    assert message in error.value.message
    assert isinstance(error.value, UnsupportedError) is ("not yet supported" in message)


def test_operators_bind_as_in_tempo() -> None:
    def printed(text: str) -> str:
        return print_field(parse_filter(f"{{ {text} }}").expression)

    assert printed(".a || .b && .c") == "(.a || .b) && .c"
    assert printed(".a && .b || .c") == "(.a && .b) || .c"
    assert printed("1 + 2 * 3 ^ 4 = 5") == "(1 + (2 * (3 ^ 4))) = 5"
    assert printed("2 ^ 3 ^ 4 > 1") == "(2 ^ (3 ^ 4)) > 1"
    assert printed("!.a = .b") == "(!.a) = .b"
    assert printed("-.a * 2 < 1") == "(-(.a * 2)) < 1"


def test_literals_have_their_types() -> None:
    def literal(text: str) -> object:
        expression = parse_filter(f"{{ .a = {text} }}").expression
        right = getattr(expression, "right")  # noqa: B009
        assert isinstance(right, Literal)
        return right.value

    assert (literal("1m30s"), type(literal("1m30s"))) == (90 * 10**9, Duration)
    assert (literal("1.0"), type(literal("1.0"))) == (1.0, float)
    assert literal('"a\\"\\\\\\n"') == 'a"\\\n'
    assert literal("`a\\n`") == "a\\n"


def test_one_field_and_one_filter() -> None:
    assert parse_reference('span."a b"') == Attribute(Scope.SPAN, "a b")
    assert isinstance(parse_filter("{ }"), Filter)
    for text in ("span.a = 1", "1", ""):
        with pytest.raises(TraceQLError):
            parse_reference(text)
    with pytest.raises(TraceQLError, match="a single spanset filter"):
        parse_filter("{ } | rate()")


@given(st.randoms(use_true_random=False))
@settings(max_examples=150)
def test_a_printed_search_reads_back_the_same(rng: random.Random) -> None:
    query = parse(random_pipeline(rng))
    assert parse(print_query(query)) == query
    assert isinstance(query, Search)


_PIECES = st.sampled_from(
    ["{", "}", "(", ")", "|", "&&", "||", "!", "=", "!=", "=~", "<", ">>", "!<", "&~", "+", "-", "*", "^", ",", ".a",
     "span.b", 'event."x y"', "parent.c", "name", "status", "error", "nil", "true", "1", "1.5", "2h", '"s"', "`r`",
     "count", "max", "by", "select", "coalesce", "with", "topk", "span:id", "trace:", "x", *sorted(FUNCTIONS)]
)  # fmt: skip


@given(st.lists(_PIECES, max_size=25).map(" ".join) | st.text(max_size=60))
@settings(max_examples=500)
@example("{ .a = 1 } | rate() | topk(1) with (")
@example('{ ."" = 1 }')
@example("{ .a = " + "1" * 5_000 + "s }")
@example("{ .a = 1.h }")
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        query = read(text)
    except BadInputError:
        return
    assert read(print_query(query)) == query
    with contextlib.suppress(TraceQLError):
        parse(text)
