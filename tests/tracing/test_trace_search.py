"""Search against a brute-force filter over the same spans, and the rules that users rely on."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from filter_oracle import holds
from telemetry_rows import store_spans, text_of

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.filters.parse import parse
from windvane.tracing.model import Event, Span
from windvane.tracing.pages import SORTS, Sort
from windvane.tracing.search import (
    NAMES,
    Found,
    Operation,
    TraceQuery,
    find,
    find_trace_ids,
    find_traces,
    operations,
    services,
)

T0 = 1_790_000_000 * 10**9
SERVICES = ["reviews.shop", "reviews", "ratings.shop", "gateway", "reviews.other"]
OPERATIONS = ["GET /", "POST /buy", "query"]


def _random_span(rng: random.Random, number: int) -> Span:
    namespace = rng.choice(["shop", "other"])
    return Span(
        trace_id=f"{rng.randrange(12):032x}",
        span_id=f"{number + 1:016x}",
        parent_id="",
        name=rng.choice(OPERATIONS),
        kind=rng.choice(["Server", "Client", "Internal", "Unspecified"]),
        service=rng.choice(SERVICES),
        start_ns=T0 + rng.randrange(40) * 10**8,
        duration_ns=rng.randrange(6) * 10**6,
        status=rng.choice(["Unset", "Ok", "Error"]),
        scope_name=rng.choice(["", "envoy"]),
        resource={"k8s.namespace.name": namespace, "zone": rng.choice(["a", "b"])},
        scope={"lib": rng.choice(["x", "y"])},
        attributes={
            "code": rng.choice([200, 500, "500", 5e2, "a'b\\c"]),
            "cached": rng.choice([True, False]),
            **({"error": "true"} if rng.random() < 0.1 else {}),
        },
        events=(Event(T0, "note", {"level": rng.choice(["warn", "info"])}),) if rng.random() < 0.3 else (),
    )


def _service_matches(span: Span, asked: str) -> bool:
    app, dot, namespace = asked.partition(".")
    if span.service == asked:
        return True
    if not dot:
        return span.service.startswith(asked + ".") and span.service.count(".") == 1
    return span.service == app and span.resource["k8s.namespace.name"] == namespace


def _tag_matches(span: Span, key: str, value: str) -> bool:
    failed = span.status == "Error" or span.attributes.get("error") == "true"
    if key == "error":
        return failed if value == "true" else not failed
    if key == "span.kind":
        return span.kind.lower() == value
    if key == "span.status":
        return span.status.lower() == value
    if key == "scope.name":
        return span.scope_name == value
    if key.startswith("resource."):
        return _holds(span.resource, key.removeprefix("resource."), value)
    places = [span.attributes, span.resource, span.scope, *(event.attributes for event in span.events)]
    return any(_holds(place, key, value) for place in places)


def _holds(attributes, key, value) -> bool:
    if key not in attributes:
        return False
    stored, kind = text_of(attributes[key])
    if stored == value:
        return True
    return kind in ("int", "double") and value.replace(".", "").isdigit() and float(value) == float(stored)


RANK = {
    "newest": lambda spans: max(span.start_ns for span in spans),
    "oldest": lambda spans: -min(span.start_ns for span in spans),
    "slowest": lambda spans: max(span.duration_ns for span in spans),
    "most": len,
}


def _brute_force(spans: list[Span], query: TraceQuery) -> list[str]:
    matching: dict[str, list[Span]] = {}
    for span in spans:
        if (
            (not query.service or _service_matches(span, query.service))
            and (not query.operation or span.name == query.operation)
            and query.start_ns <= span.start_ns <= query.end_ns
            and (query.min_duration_ns is None or span.duration_ns >= query.min_duration_ns)
            and (query.max_duration_ns is None or span.duration_ns <= query.max_duration_ns)
            and all(_tag_matches(span, key, value) for key, value in query.tags.items())
            and holds(query.where, span)
        ):
            matching.setdefault(span.trace_id, []).append(span)
    ranks = {trace_id: RANK[query.sort](group) for trace_id, group in matching.items()}
    return sorted(ranks, key=lambda trace_id: (-ranks[trace_id], trace_id))[: query.limit]


TAGS = [
    {}, {}, {"code": "500"}, {"code": "500.0"}, {"code": "a'b\\c"}, {"cached": "true"}, {"error": "true"},
    {"error": "false"}, {"span.kind": "server"}, {"span.status": "ok"}, {"scope.name": "envoy"},
    {"resource.zone": "a"}, {"zone": "b", "code": "200"}, {"lib": "x", "cached": "false"}, {"level": "warn"},
    {"absent": ""}, {"resource.code": "500"},
]  # fmt: skip


def test_search_equals_a_brute_force_filter(engine: Engine) -> None:
    rng = random.Random(7)
    spans = [_random_span(rng, number) for number in range(400)]
    store_spans(engine, spans[:150])
    store_spans(engine, spans[150:])
    for _ in range(80):
        low = T0 + rng.randrange(30) * 10**8
        query = TraceQuery(
            start_ns=rng.choice([T0, low]),
            end_ns=rng.choice([T0 + 10**10, low + rng.randrange(20) * 10**8]),
            service=rng.choice(["", "reviews", "reviews.shop", "ratings", "gateway", "no"]),
            operation=rng.choice(["", "", *OPERATIONS]),
            tags=rng.choice(TAGS),
            min_duration_ns=rng.choice([None, None, 2 * 10**6]),
            max_duration_ns=rng.choice([None, None, 4 * 10**6]),
            limit=rng.choice([1, 2, 3, 100]),
            where=parse(rng.choice(["", "", "code:500", "-cached:true lib:x", "duration>1ms OR level:*", "zone~a|c"])),
            sort=rng.choice(SORTS),
        )
        assert find_trace_ids(engine, query) == _brute_force(spans, query), query


@pytest.mark.parametrize("sort", SORTS)
def test_pages_one_after_the_other_are_the_one_big_answer(engine: Engine, sort: Sort) -> None:
    rng = random.Random(11)
    store_spans(engine, [replace(_random_span(rng, n), trace_id=f"{rng.randrange(60):032x}") for n in range(150)])
    query = TraceQuery(T0, T0 + 10**10, limit=7, sort=sort, where=parse("-code:200"))
    pages: list[Found] = []
    while page := find(engine, replace(query, after=(pages[-1].rank, pages[-1].trace_id) if pages else None)):
        pages += page
        late = replace(
            _random_span(rng, 1_000 + len(pages)), trace_id=f"{90 + len(pages):032x}", start_ns=T0 + 2 * 10**10
        )
        store_spans(engine, [late])  # beyond the window, which the pages keep
    assert pages == find(engine, replace(query, limit=1_000))
    assert len(pages) > 20


def _spans_of(trace: int, count: int, start: int) -> list[Span]:
    base = Span(f"{trace:032x}", "", "", "op", "Server", "s", start, 1)
    return [replace(base, span_id=f"{trace:08x}{i:08x}", start_ns=start + i) for i in range(count)]


def test_the_newest_traces_come_first_even_behind_one_huge_trace(engine: Engine) -> None:
    store_spans(engine, _spans_of(1, 500, T0 + 10**9) + _spans_of(2, 1, T0 + 5) + _spans_of(3, 1, T0 + 7))
    query = TraceQuery(T0, T0 + 10**10, limit=2)
    assert find_trace_ids(engine, query) == [f"{1:032x}", f"{3:032x}"]


def test_ties_at_the_cut_are_resolved_by_trace_id(engine: Engine) -> None:
    base = Span("", "", "", "op", "Server", "s", T0, 1)
    store_spans(engine, [replace(base, trace_id=f"{n:032x}", span_id=f"{n:016x}") for n in range(40, 0, -1)])
    assert find_trace_ids(engine, TraceQuery(T0, T0, limit=1)) == [f"{1:032x}"]


def test_one_span_must_satisfy_everything(engine: Engine) -> None:
    base = Span("a" * 32, "", "", "op", "Server", "s", T0, 1)
    store_spans(
        engine,
        [
            replace(base, span_id="1" * 16, attributes={"x": "1"}),
            replace(base, span_id="2" * 16, attributes={"y": "2"}),
        ],
    )
    assert find_trace_ids(engine, TraceQuery(T0, T0, tags={"x": "1"})) == ["a" * 32]
    assert find_trace_ids(engine, TraceQuery(T0, T0, tags={"x": "1", "y": "2"})) == []


def test_found_traces_are_whole(engine: Engine) -> None:
    spans = _spans_of(1, 3, T0)
    store_spans(engine, spans)
    [trace] = find_traces(engine, TraceQuery(T0, T0))
    assert trace.spans == tuple(spans)


def test_services_and_operations_are_complete(engine: Engine) -> None:
    base = Span("a" * 32, "1" * 16, "", "op", "Server", "reviews.shop", T0, 1)
    store_spans(engine, [base, replace(base, name="other", kind="Client"), replace(base, service="a", kind="")])
    assert services(engine) == ["a", "reviews.shop"]
    both = [Operation("op", "server"), Operation("other", "client")]
    assert operations(engine, "reviews.shop") == both
    assert operations(engine, "reviews") == both
    assert operations(engine, "reviews", "client") == [Operation("other", "client")]
    assert operations(engine, "a") == [Operation("op", "")]


def test_lists_do_not_read_spans(engine: Engine) -> None:
    base = Span("a" * 32, "1" * 16, "", "op", "Server", "reviews", T0, 1, resource={"k8s.namespace.name": "shop"})
    store_spans(engine, [base])
    store_spans(engine, [replace(base, span_id=f"{n:016x}", start_ns=T0 + n * 10**12) for n in range(200)])
    frame = engine.query(f"SELECT * FROM ({NAMES}) SETTINGS force_optimize_projection = 1")  # fails if none is used
    assert frame["Spans"].sum() == 201
    assert set(frame["Namespace"]) == {"shop"}
    assert operations(engine, "reviews.shop") == [Operation("op", "server")]
    assert operations(engine, "reviews.other") == []


@pytest.mark.parametrize("limit", [0, -1, 10_001])
def test_a_limit_out_of_bounds_is_refused(engine: Engine, limit: int) -> None:
    with pytest.raises(BadInputError, match="search depth"):
        find_trace_ids(engine, TraceQuery(T0, T0, limit=limit))


def test_ids_and_values_with_equals_signs_are_compared_whole(engine: Engine) -> None:
    ids = ["0123456789abcdef01", "0123456789abcdef02"]
    base = Span("", "", "", "op", "Server", "s", T0, 1)
    attributes = [{"id": ids[0]}, {"id": ids[1]}, {"a=b": "c"}, {"a": "b=c"}]
    spans = [replace(base, trace_id=f"{n:032x}", span_id=f"{n:016x}", attributes=a) for n, a in enumerate(attributes)]
    store_spans(engine, spans)

    def found(tags: dict[str, str]) -> list[int]:
        return [int(trace_id, 16) for trace_id in find_trace_ids(engine, TraceQuery(T0, T0, tags=tags))]

    assert found({"id": ids[0]}) == [0]
    assert found({"id": ids[1]}) == [1]
    assert found({"a=b": "c"}) == [2]
    assert found({"a": "b=c"}) == [3]


def test_long_values_are_compared_whole(engine: Engine) -> None:
    base = Span("", "", "", "op", "Server", "s", T0, 1)
    urls = ["http://" + "x" * 100 + end for end in "ab"]
    spans = [
        replace(base, trace_id=f"{n:032x}", span_id=f"{n:016x}", attributes={"http.url": url})
        for n, url in enumerate(urls)
    ]
    store_spans(engine, spans)
    assert find_trace_ids(engine, TraceQuery(T0, T0, tags={"http.url": urls[1]})) == [f"{1:032x}"]
