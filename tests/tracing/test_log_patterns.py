"""Patterns of lines: what becomes one, what stays apart, counts of two windows, queries that find them again."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from telemetry_rows import store_entries, store_logs

from windvane.store.api import Engine
from windvane.tracing.filters.parse import parse
from windvane.tracing.logs.histogram import histogram
from windvane.tracing.logs.patterns import LinePattern, patterns, query_of
from windvane.tracing.logs.search import LineQuery
from windvane.tracing.logs.sources import chosen

NOW = 1_790_000_000 * 10**9
HOUR = 3_600 * 10**9


@pytest.fixture
def engine(empty_logs: Engine) -> Engine:
    return empty_logs


def _query(text: str = "", kind: str = "log", **given: Any) -> LineQuery:
    return LineQuery(**{"start_ns": NOW - HOUR, "end_ns": NOW, "sources": chosen(kind), "where": parse(text), **given})


def _store(engine: Engine, bodies: list[str], at: int = NOW, **given: Any) -> None:
    store_logs(engine, [{"Timestamp": at - place, "Body": body, **given} for place, body in enumerate(bodies)])


def _counts(found: list[LinePattern]) -> dict[str, int]:
    return {one.template: one.count for one in found}


def test_numbers_ids_and_addresses_are_left_out(engine: Engine) -> None:
    bodies = [
        f"request {n} of 10.0.{n}.7:{8_000 + n} took {n}.{n}ms id={n:08x}-aaaa-{n:04x} Word{n % 2}" for n in range(40)
    ]
    _store(engine, [*bodies, "cache is cold"])
    found = patterns(engine, _query())
    assert (found.lines, found.read) == (41, 41)
    assert _counts(found.patterns) == {
        "request <*> of <*> took <*>ms id=<*>-aaaa-<*> Word<*>": 40,
        "cache is cold": 1,
    }  # fmt: skip


def test_words_that_differ_among_lines_alike_are_left_out(engine: Engine) -> None:
    names = ("ann", "bob", "cid", "dot")
    _store(engine, [f"session of user {name} was closed by the peer" for name in names])
    _store(engine, ["session of user ann was opened at the gate", "closed"], SeverityNumber=17, ServiceName="door")
    found = patterns(engine, _query()).patterns
    assert _counts(found) == {
        "session of user <*> was closed by the peer": 4,
        "session of user ann was opened at the gate": 1,
        "closed": 1,
    }
    assert (found[1].severity, found[1].services) == (17, {"door"})


def test_two_windows(engine: Engine) -> None:
    _store(engine, ["a stays"] * 3 + ["b is new"] * 2)
    _store(engine, ["a stays", "c is gone"], NOW - 2 * HOUR)
    found = patterns(engine, _query(), (NOW - 3 * HOUR, NOW - HOUR - 1)).patterns
    assert [(one.template, one.count, one.before) for one in found] == [
        ("a stays", 3, 1), ("b is new", 2, 0), ("c is gone", 0, 1),
    ]  # fmt: skip
    assert (found[0].first_ns, found[0].last_ns) == (NOW - 2, NOW)


def test_classes_of_status_stay_apart(engine: Engine) -> None:
    codes = (200, 200, 204, 503, 504)
    store_entries(
        engine,
        [{"Timestamp": NOW, "Kind": "http", "Method": "GET", "Path": f"/p/{i}", "ResponseCode": code}
         for i, code in enumerate(codes)],
    )  # fmt: skip
    found = patterns(engine, _query(kind="access")).patterns
    assert [(one.status, one.count) for one in found] == [("2xx", 3), ("5xx", 2)]
    for one in found:
        assert histogram(engine, _query(query_of(one), "access"), HOUR, "kind").total == one.count


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text("ab1\"\\*?%_ ()/:'[]é\n", max_size=12), min_size=1, max_size=6))
def test_every_line_is_counted_once_and_found_by_its_patterns_query(engine: Engine, bodies: list[str]) -> None:
    engine.command("TRUNCATE TABLE otel_logs")
    _store(engine, bodies)
    found = patterns(engine, _query()).patterns
    assert sum(one.count for one in found) == len(bodies)
    for one in found:
        assert histogram(engine, _query(query_of(one)), HOUR, "kind").total >= one.count


@pytest.mark.parametrize("body", ["", " ", "x" * 2_000])
def test_empty_and_very_long_lines(engine: Engine, body: str) -> None:
    _store(engine, [body])
    [found] = patterns(engine, _query()).patterns
    assert found.count == 1
    assert histogram(engine, _query(query_of(found)), HOUR, "kind").total == 1
