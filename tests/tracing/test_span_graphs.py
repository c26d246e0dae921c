"""Paths and rates of services against plain sums over the same random spans."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest
from telemetry_rows import store_spans

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.model import Span
from windvane.tracing.search import TraceQuery
from windvane.tracing.service_paths import service_paths
from windvane.tracing.span_rates import RateQuery, read_rates

T0 = 1_790_000_000 * 10**9
MINUTE = 60 * 10**9
SERVICES = ["gateway", "reviews", "ratings"]


def random_traces(rng: random.Random, traces: int = 30) -> list[Span]:
    """Trees with missing parents, spread over an hour; a trace lasts up to a minute."""
    spans = []
    for trace in range(traces):
        began = T0 + rng.randrange(60) * MINUTE
        for number in range(1, rng.randrange(2, 12)):
            parent = rng.choice([0, rng.randrange(number), rng.randrange(number), 999])
            spans.append(
                Span(
                    f"{trace:032x}", f"{number:016x}", f"{parent:016x}" if parent else "", rng.choice(["a", "b"]),
                    rng.choice(["Server", "Server", "Client"]), rng.choice(SERVICES),
                    began + rng.randrange(MINUTE // 2), rng.randrange(1, MINUTE // 2),
                    status=rng.choice(["Ok", "Unset", "Error"]),
                )
            )  # fmt: skip
    return spans


def chain(trace: int, *entries: tuple[str, str]) -> list[Span]:
    return [
        Span(
            f"{trace:032x}", f"{n + 1:016x}", f"{n:016x}" if n else "", name, "Server", service,
            T0 + trace * MINUTE + n, 1_000,
        )
        for n, (service, name) in enumerate(entries)
    ]  # fmt: skip


def test_paths_run_from_roots_through_the_service_to_the_last_one(engine: Engine) -> None:
    full = [("gateway", "GET /"), ("gateway", "inner"), ("reviews", "read"), ("ratings", "query")]
    store_spans(
        engine, [*chain(1, *full), *chain(2, *full), *chain(3, *full[:3]), *chain(4, ("gateway", "GET /"), ("x", "y"))]
    )
    everything = TraceQuery(T0, T0 + 9 * MINUTE, "reviews")
    long, short = service_paths(engine, everything)
    assert long.entries == (("gateway", "GET /"), ("reviews", "read"), ("ratings", "query"))
    assert long.exemplars == (f"{2:032x}", f"{1:032x}"), "newest first"
    assert (long.traces, long.failed, long.latency_ns) == (2, 0, (1_000, 1_000, 1_000))
    assert short.entries == (("gateway", "GET /"), ("reviews", "read"))
    assert service_paths(engine, TraceQuery(T0, T0 + 9 * MINUTE, "reviews", "other")) == []
    assert len(service_paths(engine, TraceQuery(T0, T0 + 9 * MINUTE))) == 3
    assert [p.entries for p in service_paths(engine, TraceQuery(T0, T0 + 9 * MINUTE, "x"))] == [
        (("gateway", "GET /"), ("x", "y"))
    ]


def test_spans_in_a_circle_end_a_path(engine: Engine) -> None:
    first, second = chain(1, ("a", "one"), ("b", "two"))
    third = Span(first.trace_id, "3" * 16, second.span_id, "leaf", "Server", "c", T0, 1)
    circle = Span(first.trace_id, first.span_id, second.span_id, "one", "Server", "a", first.start_ns, 1_000)
    store_spans(engine, [circle, second, third])
    (path,) = service_paths(engine, TraceQuery(T0 - MINUTE, T0 + 9 * MINUTE, "c"))
    assert path.entries[-1] == ("c", "leaf")


def told(spans: list[Span], query: RateQuery) -> dict[tuple[str, str], list[tuple[int, list[Span]]]]:
    """Each series' points and the spans in their windows."""
    kept = [s for s in spans if s.service in query.services and s.kind in query.kinds]
    names = sorted({(s.service, s.name if query.by_operation else "") for s in kept})
    found = {}
    for name in names:
        own = [s for s in kept if (s.service, s.name if query.by_operation else "") == name]
        first, last = (query.start_ms - query.window_ms) * 10**6, query.end_ms * 10**6
        if not any(first < s.start_ns <= last for s in own):
            continue
        found[name] = [
            (t, [s for s in own if (t - query.window_ms) * 10**6 < s.start_ns <= t * 10**6])
            for t in range(query.start_ms, query.end_ms + 1, query.step_ms)
        ]
    return found


@pytest.mark.parametrize(
    ("step", "window", "by_operation"), [(60_000, 600_000, False), (90_000, 60_000, True), (7_000, 13_000, True)]
)
def test_rates_are_those_of_the_spans_in_each_window(
    engine: Engine, step: int, window: int, by_operation: bool
) -> None:
    spans = random_traces(random.Random(5))
    store_spans(engine, spans)
    start = T0 // 10**6 + 5 * 60_000
    query = RateQuery(["gateway", "ratings"], start, start + 1_800_000, step, window, ["Server"], by_operation)
    wanted = told(spans, query)
    assert wanted
    found = {(one.service, one.operation): one for one in read_rates(engine, query)}
    assert list(found) == list(wanted)
    for name, points in wanted.items():
        assert found[name].times_ms == [t for t, _ in points]
        assert found[name].values == pytest.approx([len(own) / (window / 1_000) for _, own in points])
    errors = read_rates(engine, RateQuery(*_fields(query), measure="errors"))
    for one in errors:
        filled = [(t, own) for t, own in wanted[one.service, one.operation] if own]
        assert one.times_ms == [t for t, _ in filled]
        assert one.values == pytest.approx([sum(s.status == "Error" for s in own) / len(own) for _, own in filled])
    for quantile in (0.0, 0.5, 0.95, 1.0):
        for one in read_rates(engine, RateQuery(*_fields(query), measure="latencies", quantile=quantile)):
            filled = [(t, own) for t, own in wanted[one.service, one.operation] if own]
            exact = [
                sorted(s.duration_ns for s in own)[max(1, math.ceil(quantile * len(own))) - 1] / 10**6
                for _, own in filled
            ]
            assert one.times_ms == [t for t, _ in filled]
            assert one.values == pytest.approx(exact, rel=0.0101)


def _fields(query: RateQuery) -> tuple[object, ...]:
    return (
        query.services, query.start_ms, query.end_ms, query.step_ms, query.window_ms, query.kinds, query.by_operation,
    )  # fmt: skip


@pytest.mark.parametrize(("step", "window"), [(0, 60_000), (60_000, 0), (-1, 60_000), (60_000, 10**18), (1, 60_000)])
def test_points_that_cannot_be_are_refused(engine: Engine, step: int, window: int) -> None:
    with pytest.raises(BadInputError):
        read_rates(engine, RateQuery(["a"], 0, 3_600_000, step, window))


def test_a_path_tells_of_failures_and_of_how_long_it_took(engine: Engine) -> None:
    for trace in range(1, 5):
        first, second = chain(trace, ("gateway", "GET /"), ("reviews", "read"))
        spans = [replace(first, duration_ns=trace * 1_000), replace(second, status="Error" if trace == 4 else "Ok")]
        store_spans(engine, spans * 2)  # sent twice: counts once
    (path,) = service_paths(engine, TraceQuery(T0, T0 + 9 * MINUTE))
    assert (path.traces, path.failed, path.latency_ns) == (4, 1, (2_000, 4_000, 4_000))
