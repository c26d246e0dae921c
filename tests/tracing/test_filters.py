"""The query bar's language: what is read, how mistakes are told, and that SQL means what the tree says."""

from __future__ import annotations

import random

import pytest
from filter_oracle import holds
from hypothesis import given, settings
from hypothesis import strategies as st
from telemetry_rows import store_spans

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.filters import ast
from windvane.tracing.filters.ast import (
    And,
    Between,
    Equal,
    FilterError,
    Key,
    Like,
    Not,
    Or,
    Present,
    Regex,
    Text,
    Words,
)
from windvane.tracing.filters.compile import condition
from windvane.tracing.filters.parse import MAX_LENGTH, parse
from windvane.tracing.filters.show import show
from windvane.tracing.filters.spans import span_fields
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.model import Event, Link, Span

T0 = 1_790_000_000 * 10**9
A, B, K = Words(Text("a")), Words(Text("b")), Key("k")
MANY, ONE = ast.Wildcard.MANY, ast.Wildcard.ONE

READ = [
    ("", ast.EVERYTHING),
    ("  *  ", ast.EVERYTHING),
    ("a b", And((A, B))),
    ("a AND b", And((A, B))),
    ("a && b", And((A, B))),
    ("a OR b a", Or((A, And((B, A))))),
    ("(a OR b) a", And((Or((A, B)), A))),
    ("NOT a", Not(A)),
    ("-a !b", And((Not(A), Not(B)))),
    ("or and", And((Words(Text("or")), Words(Text("and"))))),
    ('"a b"', Words(Text("a b", quoted=True))),
    ("/a.*b/", Words(Regex(Key(""), "a.*b"))),
    ("k:v", Equal(K, Text("v"))),
    ("k=v", Equal(K, Text("v"))),
    ("k!=v", Not(Equal(K, Text("v")))),
    ('k:"v w"', Equal(K, Text("v w", quoted=True))),
    ("k:*", Present(K)),
    ("k:[* TO *]", Present(K)),
    ("k:a*?b", Like(K, ast.Pattern(("a", MANY, ONE, "b")))),
    (r"k:a\*", Equal(K, Text("a*"))),
    ("k:/a.b/", Regex(K, "a.b")),
    (r"k:/a\/b c/", Regex(K, "a/b c")),
    ("k:/api/v1", Equal(K, Text("/api/v1"))),
    ('k~"a|b"', Regex(K, "a|b")),
    (r"k~\d+", Regex(K, r"\d+")),
    ("k!~a", Not(Regex(K, "a"))),
    ("k>5", Between(K, low=Text("5"), open_low=True)),
    ("k:>=5", Between(K, low=Text("5"))),
    ("k<-5", Between(K, high=Text("-5"), open_high=True)),
    ("k:[1 TO 5}", Between(K, Text("1"), Text("5"), open_high=True)),
    ("k:{1 TO *]", Between(K, Text("1"), None, open_low=True)),
    ("k:(a OR -b)", Or((Equal(K, Text("a")), Not(Equal(K, Text("b")))))),
    ("k:http://x:80/y", Equal(K, Text("http://x:80/y"))),
    ("resource.k:v", Equal(Key("k", "resource"), Text("v"))),
    ('resource."a b":v', Equal(Key("a b", "resource", quoted=True), Text("v"))),
    ('"guid:x":v', Equal(Key("guid:x", quoted=True), Text("v"))),
]  # fmt: skip


@pytest.mark.parametrize(("text", "expected"), READ)
def test_what_is_read(text: str, expected: ast.Expression) -> None:
    assert parse(text) == expected


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("(a", 1, "not closed"),
        ("a)", 2, "not opened"),
        ("a OR", 5, "missing"),
        ("AND a", 1, "before AND"),
        ("a AND", 6, "after AND"),
        ("()", 2, "missing"),
        ("k>", 3, "value is missing after '>'"),
        ("k: v", 3, "value is missing after ':'"),
        (":v", 1, "name is missing"),
        ('x k:"v', 5, "quote is not closed"),
        ("k:[1 5]", 6, "TO is missing"),
        ("k:[1 TO 5", 3, "range is not closed"),
        ("k:(a", 3, "not closed"),
        ("a k:/(/", 5, "not a regular expression"),
        ('k~"["', 3, "not a regular expression"),
        ("(" * 60 + "a", 51, "levels"),
        ("a" * (MAX_LENGTH + 1), MAX_LENGTH + 1, "longer"),
    ],
)
def test_mistakes_are_told_with_their_place(text: str, position: int, reason: str) -> None:
    with pytest.raises(FilterError, match=reason) as caught:
        parse(text)
    assert caught.value.position == position


@pytest.mark.parametrize(
    ("text", "position", "reason"),
    [
        ("duration>100", 10, "no duration"),
        ("a kind:sever", 8, "none of unspecified, internal, server"),
        ("status>ok", 1, "no order"),
        ("error:maybe", 7, "true or false"),
        ("log.x:1", 1, "no attributes of scope 'log'"),
    ],
)
def test_values_that_a_column_cannot_have_are_told_with_their_place(text: str, position: int, reason: str) -> None:
    with pytest.raises(FilterError, match=reason) as caught:
        condition(parse(text), span_fields(), Conditions())
    assert caught.value.position == position


TEXTS = st.text(st.sampled_from('ab1.-:*?/\\"(){}[]<>=~!|& \té'), min_size=1, max_size=6)
VALUES = st.builds(Text, TEXTS.filter(lambda text: text != "*"), st.booleans())
KEYS = st.builds(Key, TEXTS, st.sampled_from(["", "span", "resource"]), st.just(True)) | st.builds(
    Key, st.sampled_from(["k", "duration", "http.status_code", "a-b", "a@b"]), st.sampled_from(["", "event"])
)
PATTERNS = st.sampled_from([("a", MANY), (MANY, "b:"), (ONE,), ("x", ONE, MANY, "-y"), (MANY, MANY)]).map(ast.Pattern)
REGEXES = st.sampled_from(["a.*", "a/b", r"\d+", r"a\\", "(a|b) c", 'q"'])
ENDS = st.one_of(st.none(), VALUES)
LEAVES = st.one_of(
    st.builds(Equal, KEYS, VALUES),
    st.builds(Like, KEYS, PATTERNS),
    st.builds(Regex, KEYS, REGEXES),
    st.builds(Present, KEYS),
    st.builds(Between, KEYS, VALUES, ENDS, st.booleans(), st.just(False)),
    st.builds(Words, VALUES | PATTERNS | st.builds(Regex, st.just(Key("")), REGEXES)),
)


def _joined(terms: st.SearchStrategy[ast.Expression]) -> st.SearchStrategy[ast.Expression]:
    several = st.lists(terms, min_size=2, max_size=3).map(tuple)
    return st.builds(And, several) | st.builds(Or, several) | st.builds(Not, terms)


@settings(deadline=None)
@given(st.recursive(LEAVES, _joined, max_leaves=8))
def test_what_is_shown_is_read_as_the_same(expression: ast.Expression) -> None:
    assert parse(show(expression)) == expression


PIECES = st.sampled_from([*'ab k:=<>~!"/\\*?()[]{}-&|.\n', "AND ", "OR ", "NOT ", " TO "])


@settings(deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        found = parse(text)
    except FilterError as mistake:
        place = mistake.position
        assert 1 <= place <= len(text) + 1
        return
    assert parse(show(found)) == found


def _span(rng: random.Random, number: int) -> Span:
    return Span(
        trace_id=f"{rng.randrange(60):032x}",
        span_id=f"{number + 1:016x}",
        parent_id="",
        name=rng.choice(["GET /a", "GET /b", "query_x"]),
        kind=rng.choice(["Server", "Client", "Unspecified"]),
        service=rng.choice(["reviews", "reviews.shop", "ratings.shop", "reviews.other"]),
        start_ns=T0 + number,
        duration_ns=rng.randrange(5) * 10**6,
        status=rng.choice(["Unset", "Ok", "Error"]),
        status_message=rng.choice(["", "Connection Reset"]),
        scope_name=rng.choice(["", "envoy"]),
        resource={"k8s.namespace.name": rng.choice(["shop", "other"]), "zone": rng.choice("ab")},
        scope={"lib": rng.choice("xy")},
        attributes={
            "code": rng.choice([200, 404, 500, 5e2, "500", "500.0", "12", "oops", 2.5e-7]),
            "took": rng.choice(["12ms", "1.5s", "900us", "-", 3]),
            "cached": rng.choice([True, False, "True"]),
            **(
                {"path": rng.choice(["/api/v1/é", "100%_x", "a=b", "x" * 70, "0123456789abcdef01"])}
                if rng.random() < 0.6
                else {}
            ),
            **({"error": True} if rng.random() < 0.1 else {}),
        },
        events=(Event(T0, "note", {"level": rng.choice(["warn", "info"]), "n": rng.randrange(3)}),) * rng.randrange(3),
        links=(Link("c" * 32, "d" * 16, "", {"why": "retry"}),) if rng.random() < 0.2 else (),
    )


LEAF_QUERIES = [
    "", "service:reviews", "service:reviews.shop", "service:(ratings OR reviews.other)", 'name:"GET /a"', "name:GET*",
    "name~GET.*b", "kind:server", "kind:CLIENT", "status:error", "-status:ok", "duration>1ms",
    "duration:[1ms TO 0.003s}",
    "duration:2ms", "error:true", "error:false", "code:500", "code:500.0", "code:5e2", 'code:"500"', "code>=404",
    "code:[12 TO 404}", "code:2.5e-7", "code<13", "code:oops", "code:*", "took>10ms", "took:[1ms TO 2s]", "took:12ms",
    "cached:true", "cached:TRUE", "cached:fals?", "path:*", "-path:*", r"path:100%_x", "path:100%*", "path:/api/*",
    "path:/.*é/", 'path:"a=b"', "path:" + "x" * 70, "path:" + "x" * 69, "path:0123456789abcdef01",
    "path:0123456789abcdef02",
    "path>=a", "resource.zone:a", "span.zone:a", "zone:b", "scope.lib:x", "lib~x|z", "event.level:warn", "level:warn",
    "event.n:1", "n:1.0", "n>=1", "link.why:retry", "why:*", "scope.name:envoy", "get", "reset", "RETRY", "/[sS]hop/",
    '"connection reset"', "con*reset", "absent:*", "absent!=x", "resource.k8s.namespace.name:shop",
    "k8s.namespace.name:sh*",
]  # fmt: skip


def test_sql_equals_a_brute_force_filter(engine: Engine) -> None:
    rng = random.Random(3)
    spans = [_span(rng, number) for number in range(200)]
    store_spans(engine, spans[:130])
    engine.command("OPTIMIZE TABLE otel_traces FINAL")  # tokens in the index for these, computed for the others
    store_spans(engine, spans[130:])
    queries = LEAF_QUERIES + [_combined(rng) for _ in range(60)]
    for text in queries:
        expression = parse(text)
        where = Conditions()
        sql = condition(expression, span_fields(), where)
        found = engine.query(f"SELECT SpanId FROM otel_traces WHERE {sql}", where.params)["SpanId"].tolist()
        assert sorted(found) == sorted(span.span_id for span in spans if holds(expression, span)), text


def _combined(rng: random.Random) -> str:
    first, second, third = (rng.choice(LEAF_QUERIES[1:]) for _ in range(3))
    shape = rng.choice(["{} {}", "{} OR {}", "-({} {})", "{} AND NOT {}", "({} OR {}) {}", "-{} OR -({} OR {})"])
    return shape.format(first, second, third)


def test_a_wrong_value_is_bad_input() -> None:
    assert issubclass(FilterError, BadInputError)
