"""The cache of samples: whatever happens to the store, answers are the store's."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windvane.promql.cache import Entry, Flat, SampleCache, merge
from windvane.promql.cache_results import AnswerCache
from windvane.promql.engine import DEFAULT_OPTIONS, QueryEngine, QueryOptions, QuerySettings
from windvane.promql.errors import QueryCancelledError, QueryLimitError
from windvane.promql.parse import parse
from windvane.promql.parts import Parts, change
from windvane.promql.syntax import Selector
from windvane.promql.value import STALE, MatrixResult
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

NOW = 1_700_000_000_000
UNCACHED = QuerySettings(cache_bytes=0, answer_bytes=0)
EXPLAINED = QueryOptions(explain=True)
"""Evaluated, whether the answer is kept or not."""


def written(engine: EmbeddedEngine, points: list[tuple[str, int, float]]) -> None:
    labels = [{"__name__": "m", "n": name} for name, _, _ in points]
    times = np.array([NOW + 1000 * second for _, second, _ in points], np.int64)
    SampleWriter(engine).write(labels, times, np.array([value for _, _, value in points]))


def shown(
    queries: QueryEngine, query: str, start: int, end: int, options: QueryOptions = DEFAULT_OPTIONS
) -> list[tuple[str, list[int], list[float]]]:
    value = queries.range(query, NOW + 1000 * start, NOW + 1000 * end, 7000, options).value
    assert isinstance(value, MatrixResult)
    rows = range(len(value.labels))
    return [(str(value.metrics[row]), *(part.tolist() for part in value.points(row))) for row in rows]


def sources(queries: QueryEngine, query: str, start: int, end: int) -> list[str]:
    stats = queries.range(query, NOW + 1000 * start, NOW + 1000 * end, 7000, EXPLAINED).stats
    return [read.source for read in stats.reads]


# What the store may go through

_names = st.sampled_from(["a", "b", "c", "d"])
_values = st.sampled_from([0.0, 1.0, 2.5, -3.0, STALE])
_writes = st.lists(st.tuples(_names, st.integers(-400, 400), _values), min_size=1, max_size=6)
_queries = st.tuples(
    st.sampled_from(["m", 'm{n="a"}', 'm{n=~"a|b"}', "count_over_time(m[60s])", "m offset 100s", "sum(rate(m[90s]))"]),
    st.integers(-300, 300),
    st.integers(1, 200),
)
_events = st.one_of(
    st.tuples(st.just("write"), _writes),
    st.tuples(st.just("merge"), st.none()),
    st.tuples(st.just("delete"), st.tuples(_names, st.integers(-300, 300))),
    st.tuples(st.just("query"), _queries),
    st.tuples(st.just("query"), _queries),
)


@given(events=st.lists(_events, min_size=3, max_size=14))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_cached_answers_are_the_stores(engine: EmbeddedEngine, events: list[tuple[str, object]]) -> None:
    engine.command("TRUNCATE TABLE samples")
    cached, plain = QueryEngine(engine), QueryEngine(engine, UNCACHED)
    happen = _Happen(engine)
    for kind, what in [*events, ("query", ("m", -400, 800))]:
        if kind == "query":
            query, start, length = what  # type: ignore[misc]
            wanted = shown(plain, query, start, start + length)
            assert shown(cached, query, start, start + length) == wanted
            assert shown(cached, query, start, start + length) == wanted
            assert shown(cached, query, start, start + length, EXPLAINED) == wanted
        else:
            getattr(happen, kind)(what)


@dataclass(slots=True)
class _Happen:
    engine: EmbeddedEngine

    def write(self, points: list[tuple[str, int, float]]) -> None:
        written(self.engine, points)

    def merge(self, _: None) -> None:
        self.engine.command("OPTIMIZE TABLE samples FINAL")

    def delete(self, what: tuple[str, int]) -> None:
        name, second = what
        self.engine.command(
            "ALTER TABLE samples DELETE WHERE Id IN (SELECT Id FROM series WHERE Labels['n'] = {n:String}) "
            "AND Time > fromUnixTimestamp64Milli({t:Int64}) SETTINGS mutations_sync = 1",
            {"n": name, "t": NOW + 1000 * second},
        )


# What it reads again, and what not


def test_a_second_query_reads_nothing_and_a_later_one_only_what_is_new(engine: EmbeddedEngine) -> None:
    queries = QueryEngine(engine)
    written(engine, [(name, second, 1.0) for name in "abcd" for second in range(0, 100, 10)])
    assert sources(queries, "m", 0, 100) == ["miss"]
    assert sources(queries, "m", 0, 100) == ["hit"]
    assert sources(queries, 'm{n=~"a|b"}', 10, 90) == ["hit"]
    engine.command("OPTIMIZE TABLE samples FINAL")
    assert sources(queries, "sum(m)", 0, 100) == ["hit"]
    written(engine, [("a", 105, 2.0)])
    read = queries.range("m", NOW, NOW + 110_000, 10_000).stats.reads[0]
    assert (read.source, read.rows, read.samples) == ("refreshed", 1, 41)
    written(engine, [("e", 50, 2.0), ("a", 55, 3.0)])
    read = queries.range("m", NOW, NOW + 110_000, 10_000).stats.reads[0]
    assert (read.source, read.rows, read.samples) == ("refreshed", 2, 43)
    engine.command("ALTER TABLE samples DELETE WHERE Value = 3 SETTINGS mutations_sync = 1")
    assert sources(queries, "m", 0, 110) == ["miss"]
    stats = queries.reader.cache.stats()
    assert (stats.entries, stats.hits, stats.refreshed, stats.misses) == (1, 3, 2, 2)


def test_weeks_apart_have_entries_of_their_own(engine: EmbeddedEngine) -> None:
    queries, week = QueryEngine(engine), 7 * 86_400
    written(engine, [("a", second - back, 1.0) for second in range(0, 100, 10) for back in (0, week)])
    assert sources(queries, "m - m offset 1w", 0, 100) == ["miss", "miss"]
    assert sources(queries, "m - m offset 1w", 0, 100) == ["hit", "hit"]
    assert queries.reader.cache.stats().bytes < 2000


def test_the_cache_is_bounded(engine: EmbeddedEngine) -> None:
    one = {"__name__": "a"}
    for name in ("a", "b", "c"):
        labels = [{**one, "__name__": name}] * 100
        SampleWriter(engine).write(labels, NOW + 1000 * np.arange(100), np.ones(100))
    queries = QueryEngine(engine, QuerySettings(cache_bytes=4000))
    for name in ("a", "b", "a", "c"):
        sources(queries, name, 0, 99)
    assert queries.reader.cache.stats().entries == 2
    assert queries.reader.cache.stats().bytes <= 4000
    assert sources(queries, "a", 0, 99) == ["hit"]
    assert sources(queries, "b", 0, 99) == ["miss"]
    small = QueryEngine(engine, QuerySettings(cache_bytes=100))
    assert [sources(small, "a", 0, 99) for _ in range(2)] == [["miss"], ["miss"]]
    assert small.reader.cache.stats().bytes == 0


def test_limits_are_the_same_with_and_without(engine: EmbeddedEngine) -> None:
    written(engine, [(name, second, 1.0) for name in "abcd" for second in range(0, 100, 10)])
    for cache in (0, 1 << 20):
        queries = QueryEngine(engine, QuerySettings(max_samples=19, cache_bytes=cache))
        for _ in range(2):
            with pytest.raises(QueryLimitError, match="too many samples"):
                queries.instant("count_over_time(m[51s])", NOW + 90_000)
            assert len(queries.instant("count_over_time(m[31s])", NOW + 90_000).value.labels) == 4  # type: ignore[union-attr]
    with pytest.raises(QueryLimitError, match=r'selects 4 series with \{__name__="m"\}, more than the limit of 3'):
        QueryEngine(engine, QuerySettings(max_series=3)).instant("m", NOW)


def test_an_answer_is_given_again_until_something_is_written(engine: EmbeddedEngine) -> None:
    queries = QueryEngine(engine)
    written(engine, [(name, 0, 1.0) for name in "ab"])

    def asked(query: str) -> tuple[list[str], float]:
        result = queries.instant(query, NOW)
        return [read.source for read in result.stats.reads], float(result.value.values[0])  # type: ignore[union-attr]

    assert asked("sum(m)") == (["miss"], 2.0)
    assert asked("sum(m)") == (["answer"], 2.0)
    assert queries.instant("sum(m)", NOW).stats.samples == 2
    engine.command("OPTIMIZE TABLE samples FINAL")
    assert asked("sum(m)") == (["answer"], 2.0)
    written(engine, [("c", 0, 1.0)])
    assert asked("sum(m)") == (["refreshed"], 3.0)
    assert queries.instant("sum(m)", NOW, QueryOptions(lookback_ms=1000)).stats.reads[0].source == "hit"


def test_many_ask_for_the_same_and_one_reads(engine: EmbeddedEngine) -> None:
    written(engine, [(name, second, 1.0) for name in "abcd" for second in range(0, 100, 10)])
    queries, found = QueryEngine(engine, QuerySettings(answer_bytes=0)), []
    threads = [threading.Thread(target=lambda: found.append(sources(queries, "m", 0, 100))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == [["hit"]] * 5 + [["miss"]]


def test_queries_while_samples_are_written_and_merged(engine: EmbeddedEngine) -> None:
    """No sample acknowledged before a query began is missing from its answer."""
    queries, done, failures = QueryEngine(engine), threading.Event(), []
    acknowledged = [0]

    def write() -> None:
        for second in range(60):
            written(engine, [("a", second, 1.0)])
            acknowledged[0] = second + 1
            if second % 10 == 9:
                engine.command("OPTIMIZE TABLE samples FINAL")
        done.set()

    thread = threading.Thread(target=write)
    thread.start()
    while not done.is_set():
        before = acknowledged[0]
        value = queries.instant("count_over_time(m[1000s])", NOW + 100_000).value
        count = int(value.values[0]) if len(value.values) else 0  # type: ignore[union-attr]
        if not before <= count <= acknowledged[0] + 1:
            failures.append((before, count))
    thread.join()
    assert not failures


# Its pieces


def flat(points: dict[int, list[tuple[int, float]]]) -> Flat:
    ids = np.array(sorted(points), np.uint64)
    lengths = [len(points[int(one)]) for one in ids]
    every = [point for one in ids for point in points[int(one)]]
    times, values = np.array([t for t, _ in every], np.int64), np.array([v for _, v in every], np.float64)
    return Flat(ids, np.cumsum([0, *lengths]), times, values, False)


def test_merging_keeps_series_in_order_and_one_sample_a_time() -> None:
    one = flat({1: [(10, 1.0), (30, 3.0)], 3: [(10, 5.0)]})
    two = flat({1: [(20, 2.0), (30, 9.0), (40, 4.0)], 2: [(5, 0.0), (15, 7.0)], 3: [(10, STALE)]})
    for a, b in ((one, two), (two, one)):
        both = merge(a, b, 5)
        assert both.ids.tolist() == [1, 2, 3]
        assert both.offsets.tolist() == [0, 4, 5, 6]
        assert both.times.tolist() == [10, 20, 30, 40, 15, 10]
        assert both.values.tolist() == [1.0, 2.0, 9.0, 4.0, 7.0, 5.0]


def test_parts_tell_what_happened() -> None:
    before = Parts({"20231114_1_3_1": 30, "20231114_4_4_0": 10, "20231115_5_5_0": 7})

    def after(**changed: int) -> object:
        return change(before, Parts({name.lstrip("p"): rows for name, rows in changed.items()})).fresh

    same = {"p20231114_1_3_1": 30, "p20231114_4_4_0": 10, "p20231115_5_5_0": 7}
    assert after(**same) == ()
    assert after(**same, p20231114_6_6_0=1) == ("20231114_6_6_0",)
    assert after(p20231114_1_4_2=40, p20231115_5_5_0=7) == ()
    assert after(p20231114_1_6_2=45, p20231115_5_5_0=7) == ("20231114_1_6_2",)
    assert after(p20231114_1_4_2=39, p20231115_5_5_0=7) is None
    assert after(p20231114_1_3_1=30, p20231115_5_5_0=7) is None
    assert after(p20231114_1_3_1_8=30, p20231114_4_4_0_8=10, p20231115_5_5_0_8=7) is None
    assert change(before, Parts({**before.rows, "patch-1-20231114_9_9_0": 1})).fresh is None


def test_an_entry_serves_what_it_covers() -> None:
    parsed = parse("m")
    assert isinstance(parsed, Selector)
    cache, held = SampleCache(1000), flat({1: [(10, 1.0)], 2: [(20, 1.0)]})
    entry = Entry(parsed.matchers, held, 0, 100, Parts({}), 100)
    cache.keep(entry)
    ids = np.array([1], np.uint64)
    assert cache.find(parsed.matchers, ids, 10, 90) is entry
    assert cache.find((*parsed.matchers, *parsed.matchers), ids, 10, 90) is entry
    assert cache.find(parsed.matchers, np.array([3], np.uint64), 10, 90) is entry  # to be widened
    assert cache.find(parsed.matchers, ids, 10_000, 10_100) is None
    cache.clear()
    assert cache.stats().bytes == 0


def test_answers_are_bounded() -> None:
    cache: AnswerCache[str] = AnswerCache(1600)
    for number in range(10):
        cache.keep(number, str(number), 200, {})
    assert cache.held_bytes == 1600
    assert [cache.find(number, dict) for number in (0, 1, 2, 9)] == [None, None, "2", "9"]
    cache.keep("large", "large", 201, {})
    cache.keep("native", "native", None, {})
    assert [cache.find(key, dict) for key in ("large", "native")] == [None, None]


# Cancelled queries


def test_a_cancelled_query_stops_in_the_engine(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    written(engine, [("a", 0, 1.0)])
    endless, stream = "SELECT number AS Id FROM numbers(1e18) WHERE cityHash64(number) = 7", engine.stream
    monkeypatch.setattr(engine, "stream", lambda _, __, limits, tag, in_turn: stream(endless, limits=limits, tag=tag))
    cancelled = threading.Event()
    queries, failures = QueryEngine(engine), []

    def ask() -> None:
        try:
            queries.instant("m", NOW, QueryOptions(cancelled=cancelled))
        except QueryCancelledError as error:
            failures.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    running = "SELECT count() AS c FROM system.processes WHERE startsWith(query, '/* windvane-')"
    deadline = time.monotonic() + 30
    while not engine.query(running)["c"][0] and time.monotonic() < deadline:
        pass
    cancelled.set()
    thread.join(30)
    assert not thread.is_alive()
    assert [error.error_type for error in failures] == ["canceled"]
