"""The newest samples in memory: whatever happens to the store, answers are the store's."""

from __future__ import annotations

import gc
import math
import threading
import time
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windvane.promql import read as reading
from windvane.promql.cache import Flat
from windvane.promql.engine import QueryEngine, QueryOptions, QuerySettings
from windvane.promql.errors import QueryLimitError
from windvane.promql.head import Head
from windvane.promql.kept import Kept
from windvane.promql.parts import Listing, Parts, change, without
from windvane.promql.value import STALE, MatrixResult
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

NOW = 1_700_000_000_000
HOUR = 3600
PLAIN = QuerySettings(cache_bytes=0, answer_bytes=0, head_bytes=0)
EXPLAINED = QueryOptions(explain=True)
"""Evaluated, whether the answer is kept or not."""

Points = list[tuple[str, int, float]]


def written(engine: EmbeddedEngine, points: Points) -> None:
    labels = [{"__name__": "m", "n": name} for name, _, _ in points]
    times = np.array([NOW + 1000 * second for _, second, _ in points], np.int64)
    SampleWriter(engine).write(labels, times, np.array([value for _, _, value in points]))


def headed(engine: EmbeddedEngine, **bounds: int) -> QueryEngine:
    """Queries whose head holds what is stored now."""
    queries = QueryEngine(engine, QuerySettings(**bounds))
    queries.reader.head.tick()
    return queries


def shown(queries: QueryEngine, query: str, start: int, end: int) -> list[tuple[str, list[int], list[float]]]:
    value = queries.range(query, NOW + 1000 * start, NOW + 1000 * end, 7000, EXPLAINED).value
    assert isinstance(value, MatrixResult)
    rows = range(len(value.labels))
    return [(str(value.metrics[row]), *(part.tolist() for part in value.points(row))) for row in rows]


def source(queries: QueryEngine, query: str, start: int, end: int) -> tuple[str, int]:
    cost = queries.range(query, NOW + 1000 * start, NOW + 1000 * end, 7000, EXPLAINED).stats.reads[0]
    return cost.source, cost.rows


# What the store may go through

_names = st.sampled_from(["a", "b", "c", "d"])
_seconds = st.one_of(st.integers(-900, 900), st.integers(-50_000, 900))
_values = st.sampled_from([0.0, 1.0, 2.5, -3.0, math.inf, math.nan, STALE])
_writes = st.lists(st.tuples(_names, _seconds, _values), min_size=1, max_size=8)
_queries = st.tuples(
    st.sampled_from(
        [
            "m",
            'm{n="a"}',
            'm{n=~"a|b"}',
            "count_over_time(m[60s])",
            "m offset 700s",
            "sum(rate(m[90s]))",
            "count_over_time(m[4h])",
            "last_over_time(m[3h] offset 2h)",
            "sum(max_over_time(m[10h]))",
        ]
    ),
    st.integers(-800, 800),
    st.integers(1, 900),
)
_events = st.one_of(
    st.tuples(st.just("write"), _writes),
    st.tuples(st.just("write"), _writes),
    st.tuples(st.sampled_from(["merge", "tick", "restart"]), st.none()),
    st.tuples(st.just("delete"), st.tuples(_names, st.integers(-800, 800))),
    st.tuples(st.just("query"), _queries),
    st.tuples(st.just("query"), _queries),
)


@pytest.mark.parametrize("most", [1 << 20, 1500])
@given(events=st.lists(_events, min_size=4, max_size=16), packed=st.booleans())
@settings(max_examples=9, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_with_it_are_the_stores(
    engine: EmbeddedEngine, most: int, events: list[tuple[str, object]], packed: bool
) -> None:
    with mock.patch.object(reading, "_PACKED", 0 if packed else 400_000):  # kernels see few samples at once, or all
        _go_through(engine, most, events)


def _go_through(engine: EmbeddedEngine, most: int, events: list[tuple[str, object]]) -> None:
    engine.command("TRUNCATE TABLE samples")
    plain, queries = QueryEngine(engine, PLAIN), headed(engine, head_bytes=most)
    for kind, what in [*events, ("tick", None), ("query", ("m", -900, 1800))]:
        if kind == "query":
            query, start, length = what  # type: ignore[misc]
            wanted = repr(shown(plain, query, start, start + length))  # NaN is not equal to itself
            assert repr(shown(queries, query, start, start + length)) == wanted
            assert repr(shown(queries, query, start, start + length)) == wanted
        elif kind == "write":
            written(engine, what)  # type: ignore[arg-type]
        elif kind == "merge":
            engine.command("OPTIMIZE TABLE samples FINAL")
        elif kind == "delete":
            _delete(engine, *what)  # type: ignore[misc]
        elif kind == "tick":
            queries.reader.head.tick()
        else:
            queries = headed(engine, head_bytes=most)
        assert queries.reader.head.nbytes <= most


def _delete(engine: EmbeddedEngine, name: str, second: int) -> None:
    engine.command(
        "ALTER TABLE samples DELETE WHERE Id IN (SELECT Id FROM series WHERE Labels['n'] = {n:String}) "
        "AND Time > fromUnixTimestamp64Milli({t:Int64}) SETTINGS mutations_sync = 1",
        {"n": name, "t": NOW + 1000 * second},
    )


# What it holds


def test_a_query_reads_what_is_new_and_nothing_else(engine: EmbeddedEngine) -> None:
    queries = headed(engine, cache_bytes=1 << 20)
    written(engine, [(name, second, 1.0) for name in "abcd" for second in range(0, 100, 10)])
    assert source(queries, "m", 0, 100) == ("head", 40)
    assert source(queries, "sum(m)", 10, 90) == ("head", 0)
    written(engine, [("e", 50, 2.0), ("a", 55, 3.0)])
    assert source(queries, 'm{n="a"}', 0, 100) == ("head", 2)
    engine.command("OPTIMIZE TABLE samples FINAL")
    assert source(queries, "m", 0, 100) == ("head", 0)
    assert queries.reader.cache.stats().bytes == 0
    written(engine, [("a", 60, 4.0), ("a", 55, 7.0)])
    engine.command("OPTIMIZE TABLE samples FINAL")  # new rows beside old ones
    assert source(queries, "m", 0, 100) == ("head", 42)  # samples at one time count once
    assert shown(queries, 'm{n="a"}', 55, 62) == shown(QueryEngine(engine, PLAIN), 'm{n="a"}', 55, 62)


def test_after_a_deletion_it_is_loaded_anew(engine: EmbeddedEngine) -> None:
    queries = headed(engine, cache_bytes=1 << 20)
    written(engine, [(name, second, 1.0) for name in "ab" for second in range(0, 100, 10)])
    assert source(queries, "m", 0, 100)[0] == "head"
    _delete(engine, "a", -1)
    assert source(queries, "m", 0, 100) == ("miss", 10)
    queries.reader.head.tick()
    assert source(queries, "m", 10, 110) == ("hit", 0)  # what the cache has just so needs no copy
    assert source(queries, "m", -700, 110) == ("head", 0)


def test_at_start_the_newest_are_loaded(engine: EmbeddedEngine) -> None:
    written(engine, [(name, -60 * minute, 1.0) for name in "ab" for minute in range(6 * 60)])
    all_of_it = headed(engine).reader.head
    assert all_of_it.covers(NOW - 10 * HOUR * 1000)
    queries = headed(engine, head_bytes=4 * 16 * 300)  # a quarter holds two hours of the six
    assert source(queries, "m", -HOUR, 0)[0] == "head"
    assert source(queries, "m", -3 * HOUR, 0)[0] == "miss"
    queries.reader.head.tick()  # and then all of it, packed
    assert source(queries, "m", -4 * HOUR, -HOUR)[0] == "head"
    assert queries.reader.head.covers(NOW - 1000 * HOUR * 1000)
    none = headed(engine, head_bytes=160)
    assert source(none, "m", -60, 0)[0] == "miss"
    assert none.reader.head.covers(NOW)
    assert source(headed(engine, head_bytes=0), "m", -60, 0)[0] == "miss"


def test_samples_of_the_future_do_not_move_it_there(engine: EmbeddedEngine) -> None:
    written(engine, [(name, -60 * minute, 1.0) for name in "ab" for minute in range(6 * 60)])
    written(engine, [("a", 400 * 86_400, 1.0)])
    head = Head(engine, Listing(engine), 4 * 16 * 300, now=lambda: NOW / 1000)
    head.tick()
    assert head.covers(NOW - HOUR * 1000)
    assert not head.covers(NOW - 3 * HOUR * 1000)


def test_the_oldest_go_first(engine: EmbeddedEngine) -> None:
    queries, random = headed(engine, head_bytes=12_000), np.random.default_rng(1)
    for start in range(0, 6 * HOUR, HOUR):
        written(engine, [("a", second, float(random.normal())) for second in range(start, start + HOUR, 10)])
        assert source(queries, "m", start + 300, start + HOUR)[0] == "head"
        assert queries.reader.head.nbytes <= 12_000
    assert queries.reader.head.nbytes > 4000
    assert source(queries, "m", 0, 60)[0] == "miss"
    late = QueryEngine(engine, PLAIN)
    written(engine, [("a", 3, 1.0), ("a", 5 * HOUR + 3, 7.0)])
    for start in (0, 5 * HOUR + 400):
        assert shown(queries, "m", start, start + 300) == shown(late, "m", start, start + 300)


def test_limits_are_the_same(engine: EmbeddedEngine) -> None:
    written(engine, [(name, second, 1.0) for name in "abcd" for second in range(0, 100, 10)])
    queries = headed(engine, max_samples=19)
    with pytest.raises(QueryLimitError, match="too many samples"):
        queries.instant("count_over_time(m[51s])", NOW + 90_000)
    result = queries.instant("count_over_time(m[31s])", NOW + 90_000)
    assert (result.stats.reads[0].source, result.stats.samples) == ("head", 16)


def test_ticks_ask_nothing_when_nothing_was_written(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    written(engine, [("a", 0, 1.0)])
    head = headed(engine).reader.head
    with monkeypatch.context() as patched:
        patched.setattr(engine, "query", None)
        patched.setattr(engine, "stream", None)
        head.tick()
    written(engine, [("a", 1, 1.0)])
    before = head.nbytes
    head.tick()
    assert before < head.nbytes < before + 100


def test_labels_are_known_before_they_are_asked_for(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    written(engine, [(name, 0, 1.0) for name in "abcd"])
    queries = headed(engine)
    asked, query = [], engine.query
    monkeypatch.setattr(engine, "query", lambda sql, *rest, **limits: asked.append(sql) or query(sql, *rest, **limits))
    assert len(shown(queries, "m", 0, 10)) == 4
    assert not [sql for sql in asked if "Labels" in sql]


# Its thread


def test_the_thread_follows_and_ends(engine: EmbeddedEngine) -> None:
    queries = QueryEngine(engine)
    queries.start()
    deadline = time.monotonic() + 30
    while not queries.reader.head.covers(NOW) and time.monotonic() < deadline:
        threading.Event().wait(0.01)
    written(engine, [("a", 0, 1.0)])
    assert source(queries, "m", 0, 10)[0] == "head"
    queries.close()
    queries.close()
    assert _threads() == 0
    assert source(queries, "m", 0, 10)[0] == "miss"


def test_the_thread_ends_with_its_owner(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("windvane.promql.head._EVERY", 0.01)
    queries = QueryEngine(engine)
    queries.start()
    del queries
    gc.collect()
    deadline = time.monotonic() + 30
    while _threads() and time.monotonic() < deadline:
        gc.collect()
        threading.Event().wait(0.01)
    assert _threads() == 0


def _threads() -> int:
    return sum(thread.name == "promql-head" for thread in threading.enumerate())


def test_queries_while_samples_are_written_and_merged(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """No sample acknowledged before a query began is missing from its answer."""
    monkeypatch.setattr("windvane.promql.head._EVERY", 0.01)
    queries, done, failures = QueryEngine(engine), threading.Event(), []
    queries.start()
    acknowledged = [0]

    def write() -> None:
        for second in range(60):
            written(engine, [("a", second, 1.0)])
            acknowledged[0] = second + 1
            if second % 10 == 9:
                engine.command("OPTIMIZE TABLE samples FINAL")
        done.set()

    def ask() -> None:
        while not done.is_set():
            before = acknowledged[0]
            value = queries.instant("count_over_time(m[1000s])", NOW + 100_000).value
            count = int(value.values[0]) if len(value.values) else 0  # type: ignore[union-attr]
            if not before <= count <= acknowledged[0] + 1:
                failures.append((before, count))

    threads = [threading.Thread(target=run) for run in (write, ask, ask)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    queries.close()
    assert not failures


def test_a_later_list_of_parts_is_never_the_older_one(engine: EmbeddedEngine) -> None:
    listing, made = Listing(engine), []

    def ask() -> None:
        for _ in range(10):
            parts = listing.now(anew=True)["samples"]
            made.append((parts.number, set(parts.rows)))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for second in range(15):
        written(engine, [("a", second, 1.0)])
    for thread in threads:
        thread.join()
    made.append((listing.now(anew=True)["samples"].number, set()))
    assert len({number for number, _ in made}) == max(number for number, _ in made)
    newest = [max(int(name.split("_")[2]) for name in names) if names else 0 for _, names in sorted(made)[:-1]]
    assert newest == sorted(newest)


# Its pieces


def flat(points: dict[int, list[tuple[int, float]]]) -> Flat:
    ids = np.array(sorted(points), np.uint64)
    every = [point for one in sorted(points) for point in points[one]]
    times, values = np.array([t for t, _ in every], np.int64), np.array([v for _, v in every], np.float64)
    return Flat(ids, np.cumsum([0, *(len(points[one]) for one in sorted(points))]), times, values, True)


def cut(kept: Kept, ids: list[int], after: int, until: int) -> tuple[list[int], list[int], list[int], list[float]]:
    found = kept.cut(np.array(ids, np.uint64), after, until, 100)
    assert found is not None
    own = found.unpacked()
    assert found.count == len(own.times)
    return own.ids.tolist(), own.offsets.tolist(), own.times.tolist(), own.values.tolist()


@pytest.mark.parametrize("border", [0, 3, 600_001, 1 << 50])
def test_series_are_cut_from_flat_and_packed_pieces(border: int) -> None:
    """Whatever of it is packed."""
    none, day = Parts({}), 86_400_000
    kept = Kept(none, 0, border)
    kept = kept.plus(none, flat({2: [(1, 1.0), (600_000, 2.0)], 5: [(day, 3.0)], 9: [(7, STALE)]}), 1 << 20, now=0)
    kept = kept.plus(none, flat({1: [(3, 8.0)], 2: [(600_001, 4.0)]}), 1 << 20, now=0)
    assert cut(kept, [1, 2, 3, 5], 0, day) == (
        [1, 2, 5], [0, 1, 4, 5], [3, 1, 600_000, 600_001, day], [8.0, 1.0, 2.0, 4.0, 3.0],
    )  # fmt: skip
    assert cut(kept, [2], 1, 600_000) == ([2], [0, 1], [600_000], [2.0])
    assert cut(kept, [2, 7], 600_001, day) == ([], [0], [], [])
    pieces = kept.cut(np.array([9], np.uint64), 0, 10, 100)
    assert pieces is not None
    assert pieces.stale
    assert kept.cut(np.array([2], np.uint64), 0, day, 2) is None


def test_what_is_no_longer_new_is_packed() -> None:
    none, minute = Parts({}), 60_000
    kept = Kept(none, 0)
    for at in range(1, 600):
        kept = kept.plus(none, flat({1: [(minute * at, at)], 2: [(minute * at + 1, 0.5)]}), 1 << 20)
        assert len(kept.segments) <= 6
    assert [one.number for one in kept.stretches] == [0, 1, 2, 3, 4]
    assert kept.stretches[0].ids is kept.stretches[1].ids
    late = kept.plus(none, flat({2: [(5, 1.5), (minute * 7 + 1, 2.5)], 3: [(minute, 1.0)]}), 1 << 20)
    assert cut(late, [1, 3], minute * 598, minute * 600) == ([1], [0, 1], [minute * 599], [599.0])
    assert cut(late, [2, 3], 0, minute + 1) == ([2, 3], [0, 2, 3], [5, minute + 1, minute], [1.5, 0.5, 1.0])
    assert cut(late, [2], minute * 7, minute * 8) == ([2], [0, 1], [minute * 7 + 1], [2.5])
    assert late.nbytes < 10_000


def test_times_far_in_the_future_do_not_keep_others_flat() -> None:
    none, day = Parts({}), 86_400_000
    kept = Kept(none, 0).plus(none, flat({1: [(5, 1.0), (day, 2.0), (400 * day, 3.0)]}), 1 << 20, now=day)
    assert [number for number, _ in kept.segments] == [144, 400 * 144]
    assert kept.border == day - 1_200_000
    kept = kept.plus(none, flat({1: [(day + 7_200_000, 4.0)]}), 1 << 20, now=day + 7_200_000)
    assert [one.number for one in kept.stretches] == [0, 12]
    assert cut(kept, [1], 0, 500 * day) == ([1], [0, 4], [5, day, day + 7_200_000, 400 * day], [1.0, 2.0, 4.0, 3.0])


def test_too_many_stretches_are_too_much() -> None:
    none, stretch = Parts({}), 7_200_000
    kept = Kept(none, 0).plus(none, flat({1: [(stretch * number, 1.0) for number in range(3000)]}), 1 << 20)
    assert len(kept.stretches) == 1024
    assert kept.after >= stretch * (3000 - 1026) - 1


def test_what_is_older_comes_later() -> None:
    none, hour = Parts({}), 3_600_000
    points = [(1 + hour * at // 4, float(at)) for at in range(100)]
    kept = Kept(none, hour * 20 - 1).plus(none, flat({1: points[80:], 2: points[90:]}), 1 << 20)
    older = Kept(none, -5, 1 << 62).plus(none, flat({1: points[:80], 3: points[:7]}), 1 << 20)
    both = kept.joined(older, 1 << 20)
    assert both.after == -5
    times, values = zip(*points, strict=True)
    assert cut(both, [1], -1, 1 << 50) == ([1], [0, 100], list(times), list(values))
    assert cut(both, [2, 3], -1, 1 << 50)[:2] == ([2, 3], [0, 10, 17])
    small = kept.joined(older, both.nbytes - 1)
    assert 0 < small.after < hour * 20
    assert small.nbytes < both.nbytes


def test_what_was_read_counts_though_a_part_was_merged_meanwhile() -> None:
    before = Parts({"20231114_1_1_0": 5, "20231114_2_2_0": 5}, 1)
    after = Parts({"20231114_1_3_1": 15, "20231114_4_4_0": 5, "20231114_5_5_0": 5}, 2)
    assert set(change(before, after).fresh or ()) == after.rows.keys()
    known = without(before, after, {"20231114_1_3_1", "20231114_5_5_0"})
    assert known == Parts({"20231114_4_4_0": 5, **before.rows}, 1)
    assert change(known, Parts({"20231114_1_5_2": 25}, 3)).fresh == ("20231114_1_5_2",)
    assert change(known, Parts({"20231114_1_3_2": 15, "20231114_4_5_1": 10}, 3)).fresh == (
        "20231114_1_3_2", "20231114_4_5_1",
    )  # fmt: skip
    deleted = Parts({"20231114_1_3_1_6": 14, "20231114_4_4_0_6": 5, "20231114_5_5_0_6": 5}, 3)
    assert change(known, deleted).fresh is None
