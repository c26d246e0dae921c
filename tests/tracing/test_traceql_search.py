"""Searches against an evaluator that knows nothing of SQL, over random spans and queries; and what users rely on."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from telemetry_rows import store_spans
from traceql_queries import SECOND, T0, random_pipeline, random_spans

from windvane.kit.clock import ManualClock
from windvane.store.api import Engine
from windvane.tracing.model import Span
from windvane.tracing.traceql.parse import parse
from windvane.tracing.traceql.reader import by_trace
from windvane.tracing.traceql.search import Answer, Request, TraceSearch
from windvane.tracing.traceql.spansets import compile_pipeline
from windvane.tracing.traceql.syntax import Search
from windvane.tracing.traceql.view import TraceView

QUERIES = 25
WINDOW = (T0, T0 + 100 * SECOND)


def find(search: TraceSearch, text: str, window: tuple[int, int] = WINDOW, limit: int = 100) -> Answer:
    query = parse(text)
    assert isinstance(query, Search)
    return search.search(query.pipeline, Request(window, limit, spans_per_set=1_000))


def shown(answer: Answer) -> list[tuple[str, list[list[str]]]]:
    return [
        (trace.trace_id, [[matched.span.span_id for matched in one.spans] for one in trace.spansets])
        for trace in answer.traces
    ]


def brute_force(
    spans: Sequence[Span], text: str, window: tuple[int, int], limit: int
) -> list[tuple[str, list[list[str]]]]:
    query = parse(text)
    assert isinstance(query, Search)
    evaluate = compile_pipeline(query.pipeline)
    found: list[tuple[int, str, list[list[str]]]] = []
    for trace_id, group in by_trace(spans).items():
        sets = evaluate(TraceView(group))
        starts = [
            group[place].start_ns
            for one in sets
            for place in one.places
            if window[0] <= group[place].start_ns <= window[1]
        ]
        if starts:
            found.append((-max(starts), trace_id, [[group[place].span_id for place in one.places] for one in sets]))
    return [(trace_id, sets) for _, trace_id, sets in sorted(found)[:limit]]


@pytest.mark.parametrize("seed", range(3))
def test_searches_find_what_a_brute_force_finds(engine: Engine, seed: int) -> None:
    rng = random.Random(seed)
    spans = random_spans(rng, traces=14)
    half = len(spans) // 2
    store_spans(engine, spans[:half])
    store_spans(engine, spans[half:])
    if seed % 2:
        engine.command("OPTIMIZE TABLE otel_traces FINAL")  # the index of tokens is made when parts merge
    search = TraceSearch(engine, ManualClock(T0))
    for _ in range(QUERIES):
        text = random_pipeline(rng)
        low = T0 + rng.randrange(40) * SECOND
        window = rng.choice([WINDOW, (low, low + rng.randrange(30) * SECOND)])
        limit = rng.choice([1, 2, 5, 100])
        assert shown(find(search, text, window, limit)) == brute_force(spans, text, window, limit), text


ROOT = Span("a" * 32, "1" * 16, "", "GET /", "Server", "front", T0, 4_000_000, resource={"service.name": "front"})


def many_traces(count: int) -> list[Span]:
    """Traces of one span each, one a millisecond."""
    return [
        replace(ROOT, trace_id=f"{n + 1:032x}", start_ns=T0 + n * 1_000_000, attributes={"n": n, "odd": n % 2 == 1})
        for n in range(count)
    ]


def test_the_newest_come_first_and_the_limit_comes_after_that(engine: Engine) -> None:
    store_spans(engine, many_traces(500))
    search = TraceSearch(engine, ManualClock(T0))
    newest = [trace.trace_id for trace in find(search, "{ span.odd = true }", limit=3).traces]
    assert newest == [f"{n:032x}" for n in (500, 498, 496)]
    rare = find(search, "{ span.n % 249 = 0 }", limit=2)  # nothing for the index: every span is a candidate
    assert [trace.trace_id for trace in rare.traces] == [f"{n + 1:032x}" for n in (498, 249)]


def test_one_trace_with_very_many_spans_hides_no_other(engine: Engine) -> None:
    noisy = [replace(ROOT, span_id=f"{n + 1:016x}", start_ns=T0 + SECOND + n) for n in range(3_000)]
    store_spans(engine, [*noisy, *many_traces(5)])
    search = TraceSearch(engine, ManualClock(T0))
    answer = find(search, "{ name = `GET /` }", limit=3)
    assert [trace.trace_id for trace in answer.traces] == [ROOT.trace_id, f"{5:032x}", f"{4:032x}"]
    assert answer.traces[0].spansets[0].matched == 3_000


def test_what_a_result_shows(engine: Engine) -> None:
    child = replace(
        ROOT, span_id="2" * 16, parent_id=ROOT.span_id, name="charge", kind="Client", service="pay", status="Error",
        start_ns=T0 + 1_000, duration_ns=9_000_000, attributes={"amount": 5, "note": "x"},
        resource={"service.name": "pay"},
    )  # fmt: skip
    store_spans(engine, [ROOT, child, replace(child, trace_id="b" * 32, parent_id="9" * 16)])
    search = TraceSearch(engine, ManualClock(T0))
    whole, orphan = find(
        search, "{ span.amount > 1 } | by(resource.service.name) | count() > 0 | select(status)"
    ).traces
    assert (whole.trace_id, whole.summary.root_service, whole.summary.root_name) == (ROOT.trace_id, "front", "GET /")
    assert (whole.summary.start_ns, whole.summary.end_ns) == (T0, T0 + 9_001_000)
    assert whole.summary.services == {"front": (1, 0), "pay": (1, 1)}
    assert (orphan.summary.root_service, orphan.summary.root_name) == (None, None)
    (found,) = whole.spansets
    assert found.facts == (("by(resource.service.name)", "pay"), ("count()", 1))
    fields: dict[str, Any] = dict(found.spans[0].fields)
    assert fields["amount"] == 5
    assert fields["status"].value == "error"
    assert fields["service.name"] == "pay"


def test_a_copy_of_a_span_counts_once(engine: Engine) -> None:
    store_spans(engine, [ROOT, ROOT])
    search = TraceSearch(engine, ManualClock(T0))
    assert len(find(search, "{ } | count() = 1").traces) == 1


def test_spans_outside_the_time_belong_to_their_trace(engine: Engine) -> None:
    late = replace(ROOT, span_id="2" * 16, parent_id=ROOT.span_id, start_ns=T0 + 200 * SECOND)
    store_spans(engine, [ROOT, late])
    search = TraceSearch(engine, ManualClock(T0))
    assert len(find(search, "{ } | count() = 2").traces) == 1
    assert find(search, "{ span:parentID != `` }").traces == ()


def test_a_search_that_takes_too_long_answers_with_the_newest(engine: Engine) -> None:
    class Hasty(ManualClock):
        def monotonic(self) -> float:
            self.advance(20)
            return super().monotonic()

    store_spans(engine, many_traces(2_000))
    answer = find(TraceSearch(engine, Hasty(T0)), "{ span.n % 3 = 0 }", limit=1_000)
    assert not answer.complete
    assert answer.traces
    assert answer.traces[0].trace_id == f"{1_999:032x}"
