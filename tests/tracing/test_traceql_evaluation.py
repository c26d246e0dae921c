"""What expressions mean, and what spansets are in relation to each other: against rules written out plainly."""

from __future__ import annotations

import random
from typing import Any

import pytest
from telemetry_rows import store_spans
from traceql_queries import T0, random_spans

from windvane.store.api import Engine
from windvane.tracing.model import Event, Link, Span
from windvane.tracing.traceql.arrays import ArrayKeys
from windvane.tracing.traceql.fields import matcher
from windvane.tracing.traceql.parse import parse, parse_filter
from windvane.tracing.traceql.reader import by_trace
from windvane.tracing.traceql.simplify import simplify
from windvane.tracing.traceql.spansets import compile_pipeline
from windvane.tracing.traceql.syntax import Search
from windvane.tracing.traceql.view import TraceView

SPAN = Span(
    "a" * 32, "1" * 16, "", "GET /", "Server", "cart", T0, 1_500_000_000, status="Error", status_message="boom",
    scope_name="envoy", scope_version="1.2", scope={"lib": "x"},
    resource={"service.name": "cart", "n": 1, "only": "resource"},
    attributes={"n": 2, "f": 2.5, "s": "text", "t": True, "no": False, "list": ["a", "b"], "numbers": [1, 2],
                "none": [], "bytes": b"x", "big": (1 << 53) + 1},
    events=(Event(T0 + 2_000_000, "exception", {"level": "warn", "n": 1}), Event(T0 + 5_000_000, "log", {"n": 7})),
    links=(Link("c" * 32, "2" * 16, "", {"why": "retry"}),),
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("span.n = 2 && resource.n = 1 && .n = 2 && .only = `resource`", True),
        ("span.only = `resource`", False),
        ("span.n = 2.0 && span.n >= 2 && span.f > span.n && span.n < 1us", True),
        ("span.n = `2`", False),
        ("span.n != `2`", False),  # of another type: neither equal nor unequal
        ("span.gone != 1 || span.gone = 1", False),
        ("!(span.gone = 1)", True),
        ("span.gone = nil && span.n != nil && !(span.n = nil) && nil != resource.n", True),
        ("span.t && .t && span.t = true && !span.no && span.no = false", True),
        ("span.s", False),
        ("!span.s || !span.gone", False),
        ("span.s =~ `te.*` && span.s !~ `te` && span.s > `a`", True),
        ("span.n =~ `2`", False),
        ("span.list = `a` && span.list = `b` && span.list =~ `A|b` && span.numbers > 1", True),
        ("span.list != `a`", False),
        ("span.list != `c` && span.list !~ `c.*` && `a` = span.list && span.numbers != 3", True),
        ("span.none = 1 || span.none != 1", False),
        ("span.bytes = `x` || span.bytes != `x`", False),
        ("span.bytes != nil", True),
        ("span.big = 9007199254740993 && span.big != 9007199254740992 && span.big > 9007199254740992", True),
        ("1 + 2 * 3 = 7 && 7 / 2 = 3 && -7 / 2 = -3 && -7 % 3 = -1 && 7.0 / 2 = 3.5 && 2 ^ 3 ^ 2 = 512", True),
        ("span.n / 0 = 1 || span.n / 0 != 1 || span.n % 0 = 0", False),
        ("span.n * 1s = 2s && span.n + span.f = 4.5 && -span.n = -2", True),
        ("span.s + 1 = 2", False),
        ("9 ^ 9 ^ 9 ^ 9 > 1 || 10 ^ 400 = 1", False),
        ("duration = 1.5s && duration > 1 && duration = 1500000000 && duration < 1h", True),
        ("status = error && kind = server && status != ok && statusMessage = `boom`", True),
        ("name = `GET /` && instrumentation:name = `envoy` && instrumentation:version =~ `1.*`", True),
        ("instrumentation.lib = `x` && resource.service.name = `cart` && .service.name = `cart`", True),
        ("trace:id = `" + "a" * 32 + "` && span:id = `" + "1" * 16 + "` && span:parentID = ``", True),
        ("event:name = `exception` && event:name = `log` && event.level = `warn` && event.n > 5", True),
        ("event:name != `exception`", True),  # another one is
        ("event.level != `warn`", False),
        ("event.level = nil || event.gone != nil", False),
        ("event:timeSinceStart = 2ms && event:timeSinceStart > 4ms", True),
        ("link:spanID = `" + "2" * 16 + "` && link.why = `retry` && link:traceID =~ `c+`", True),
        ("trace:duration = 1.5s && rootName = `GET /` && rootServiceName = `cart` && span:childCount = 0", True),
        ("nestedSetParent = -1 && nestedSetLeft = 1 && nestedSetRight = 2 && nestedSetParent < 0", True),
        ("true || false && false", False),  # both bind equally, to the left
    ],
)
def test_what_an_expression_means(text: str, wanted: bool) -> None:
    expression = parse_filter(f"{{ {text} }}").expression
    assert matcher(expression)(TraceView([SPAN]), 0) is wanted
    assert matcher(simplify(expression))(TraceView([SPAN]), 0) is wanted


def test_ids_are_filled_up() -> None:
    short = Span(f"{171:032x}", f"{5:016x}", f"{6:016x}", "x", "Server", "a", T0, 1)
    for text in ("trace:id = `AB`", "span:id = `5`", "span:parentID = `06`"):
        assert matcher(simplify(parse_filter(f"{{ {text} }}").expression))(TraceView([short]), 0)


def _ancestors(spans: list[Span], place: int) -> set[int]:
    found: set[int] = set()
    pending = [place]
    while pending:
        current = spans[pending.pop()]
        for other, span in enumerate(spans):
            if current.parent_id and span.span_id == current.parent_id and other not in found:
                found.add(other)
                pending.append(other)
    return found


RELATIONS: dict[str, Any] = {
    ">>": lambda spans, left, right: left in _ancestors(spans, right),
    "<<": lambda spans, left, right: right in _ancestors(spans, left),
    ">": lambda spans, left, right: bool(spans[right].parent_id) and spans[left].span_id == spans[right].parent_id,
    "<": lambda spans, left, right: bool(spans[left].parent_id) and spans[right].span_id == spans[left].parent_id,
    "~": lambda spans, left, right: left != right and spans[left].parent_id == spans[right].parent_id != "",
}


@pytest.mark.parametrize("op", RELATIONS)
def test_structure_is_a_relation_of_pairs(op: str) -> None:
    rng, related = random.Random(op), RELATIONS[op]
    for spans in by_trace(random_spans(rng, traces=60, most=10)).values():
        view = TraceView(spans)
        lefts = [place for place, span in enumerate(spans) if span.kind in ("Server", "Client")]
        rights = [place for place, span in enumerate(spans) if span.status != "Ok"]
        pairs = [(left, right) for left in lefts for right in rights if related(spans, left, right)]

        def found(text: str, view: TraceView = view) -> set[int]:
            query = parse("{ kind = server || kind = client } " + text + " { status != ok }")
            assert isinstance(query, Search)
            return {place for one in compile_pipeline(query.pipeline)(view) for place in one.places}

        assert found(op) == {right for _, right in pairs}
        assert found("!" + op) == set(rights) - {right for _, right in pairs}
        assert found("&" + op) == {place for pair in pairs for place in pair}


def test_nested_sets_are_numbered_in_a_walk() -> None:
    def span(number: int, parent: int | None) -> Span:
        parent_id = "" if parent is None else f"{parent:016x}"
        return Span("a" * 32, f"{number:016x}", parent_id, "x", "Server", "a", T0 + number, 1)

    view = TraceView([span(1, None), span(2, 1), span(3, 1), span(4, 2), span(9, 8)])
    assert view.nested == [(1, 8, -1), (2, 5, 1), (6, 7, 1), (3, 4, 2), (0, 0, 0)]
    loop = TraceView([span(1, 2), span(2, 1)])
    assert loop.nested == [(0, 0, 0), (0, 0, 0)]
    assert loop.ancestors({0}) == {0, 1}


def test_aggregates_leave_out_what_is_no_number() -> None:
    spans = [
        Span("a" * 32, f"{n + 1:016x}", "", "x", "Server", "a", T0 + n, n, attributes={"v": value})
        for n, value in enumerate([1, 2.5, "three", 4])
    ]

    def facts(text: str) -> dict[str, Any]:
        query = parse(text)
        assert isinstance(query, Search)
        return {name: value for one in compile_pipeline(query.pipeline)(TraceView(spans)) for name, value in one.facts}

    assert facts("sum(span.v) > 0 | avg(span.v) > 0 | min(span.v) > 0 | max(span.v) > 0 | count() > 0") == {
        "sum(span.v)": 7.5, "avg(span.v)": 2.5, "min(span.v)": 1, "max(span.v)": 4, "count()": 4,
    }  # fmt: skip
    assert facts("max(span.none) > 0") == {}


def test_keys_of_arrays_are_learnt_from_new_parts(engine: Engine) -> None:
    keys = ArrayKeys(engine)
    assert keys.known() == frozenset()
    store_spans(engine, [SPAN])
    assert keys.known() == {"span.list", "span.numbers", "span.none"}
    later = Span("b" * 32, "1" * 16, "", "x", "Server", "a", T0, 1, resource={"hosts": ["a"]},
                 events=(Event(T0, "e", {"seen": [1]}),))  # fmt: skip
    store_spans(engine, [later])
    engine.command("OPTIMIZE TABLE otel_traces FINAL")
    assert keys.known() == {"span.list", "span.numbers", "span.none", "resource.hosts", "event.0.seen"}
