"""All series in memory: a selector means the series that SQL says it means, whatever happens to the store."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from typing import NoReturn

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windvane.promql.cancel import Stop
from windvane.promql.engine import QueryEngine, QuerySettings
from windvane.promql.index import SeriesIndex
from windvane.promql.labels import Pool
from windvane.promql.parts import Listing
from windvane.promql.select import Selections, SeriesLabels, condition
from windvane.promql.syntax import METRIC_NAME, Matcher, MatchOp
from windvane.promql.value import VectorResult
from windvane.store.api import DEFAULT_LIMITS, Engine, Limits
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

NOW = 1_700_000_000_000
HOUR_MS = 3_600_000

_names = st.sampled_from(["up", "http_total", "http_seconds", "öl"])
_values = st.sampled_from(["a", "b", "ab", "a|b", "5xx", "500", "x\ny", "é", "A", "-", "a.b"])
_sets = st.dictionaries(st.sampled_from(["job", "code", "path"]), _values, max_size=3)
_announced = st.lists(st.tuples(_names, _sets, st.integers(-5, 5)), min_size=1, max_size=6)
_patterns = st.sampled_from(
    [
        "",
        ".*",
        ".+",
        "a|b",
        "a|",
        "5..",
        "[ab]+",
        "(?i)a",
        "a.b",
        "x.y",
        "é|ö.*",
        "a\\|b",
        "(a)?",
        "http_.*",
        "^a$",
        "b|",
    ]
)
_plain = st.one_of(_values, st.just(""), _names)
_matcher = st.one_of(
    st.builds(
        Matcher,
        st.sampled_from(["job", "code", "path", "none", METRIC_NAME]),
        st.sampled_from([MatchOp.EQUAL, MatchOp.NOT_EQUAL]),
        _plain,
    ),
    st.builds(
        Matcher,
        st.sampled_from(["job", "code", "path", "none", METRIC_NAME]),
        st.sampled_from([MatchOp.REGEX, MatchOp.NOT_REGEX]),
        _patterns,
    ),
)
_matchers = st.lists(_matcher, max_size=3).map(tuple)
_events = st.one_of(
    st.tuples(st.just("announce"), _announced),
    st.tuples(st.just("announce"), _announced),
    st.tuples(st.sampled_from(["merge", "tick", "restart"]), st.none()),
    st.tuples(st.just("delete"), _matchers),
    st.tuples(st.just("find"), _matchers),
    st.tuples(st.just("find"), _matchers),
    st.tuples(st.just("find"), _matchers),
)


def announce(engine: Engine, series: Sequence[tuple[str, dict[str, str], int]]) -> None:
    sets = [{METRIC_NAME: name, **labels} for name, labels, _ in series]
    times = np.array([NOW + hour * HOUR_MS for _, _, hour in series], np.int64)
    SampleWriter(engine).write(sets, times, np.zeros(len(series)))


def indexed(engine: Engine, listing: Listing, pool: Pool, **bounds: int) -> SeriesIndex:
    index = SeriesIndex(engine, listing, lambda: pool, **bounds)
    index.tick()
    return index


class Both:
    """Selectors by SQL, and from an index that is held."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._pool, self._listing = engine, Pool(), Listing(engine)
        self.restart()

    def restart(self) -> None:
        self.index = indexed(self._engine, self._listing, self._pool)

    def asked(self, sql: str, params: dict[str, object], limits: Limits) -> pd.DataFrame:
        return self._engine.query(sql, params, limits=limits)

    def compare(self, matchers: tuple[Matcher, ...]) -> None:
        parts = self._listing.now()["series"]
        families = self.index.at(parts)
        if families is None:  # something was deleted: loaded anew
            self.index.tick()
            families = self.index.at(parts)
        assert families is not None
        found, stored = families.find(matchers), Selections(self.asked).find(matchers, parts, DEFAULT_LIMITS)
        for ours, theirs in ((found.ids, stored.ids), (found.first, stored.first), (found.last, stored.last)):
            assert ours.tolist() == theirs.tolist()
        where = condition(matchers)
        labels, read = self.index.labels(found.ids, self._pool), SeriesLabels(self.asked)
        assert labels is not None
        assert labels.dicts() == read.of(stored.ids, self._pool, where, DEFAULT_LIMITS).dicts()
        if labels.dicts():
            assert set(labels.names) == {name for one in labels.dicts() for name in one}


@given(events=st.lists(_events, min_size=4, max_size=18))
@settings(max_examples=9, deadline=None, suppress_health_check=list(HealthCheck))
def test_it_finds_what_sql_finds(engine: EmbeddedEngine, events: list[tuple[str, object]]) -> None:
    engine.command("TRUNCATE TABLE series")
    both = Both(engine)
    for kind, what in [*events, ("find", ())]:
        if kind == "find":
            both.compare(what)  # type: ignore[arg-type]
        elif kind == "announce":
            announce(engine, what)  # type: ignore[arg-type]
        elif kind == "merge":
            engine.command("OPTIMIZE TABLE series FINAL")
        elif kind == "delete":
            where = condition(what)  # type: ignore[arg-type]
            sql = f"ALTER TABLE series DELETE WHERE {where.sql} SETTINGS mutations_sync = 1"
            engine.command(sql, where.params)
        elif kind == "tick":
            both.index.tick()
        else:
            both.restart()


@given(announced=_announced, selectors=st.lists(_matchers, min_size=12, max_size=12))
@settings(max_examples=9, deadline=None, suppress_health_check=list(HealthCheck))
def test_matchers_mean_what_they_mean_in_sql(
    engine: EmbeddedEngine, announced: list[tuple[str, dict[str, str], int]], selectors: list[tuple[Matcher, ...]]
) -> None:
    engine.command("TRUNCATE TABLE series")
    announce(engine, announced)
    both = Both(engine)
    for matchers in selectors:
        both.compare(matchers)


def test_many_series_are_loaded_in_pieces(engine: EmbeddedEngine) -> None:
    engine.command(
        "INSERT INTO series SELECT number + 1, if(number % 3 = 0, 'big', 'm' || toString(number % 50)), "
        "map('n', toString(number), 'k', toString(number % 7)), '2020-01-01 00:00:00', '2020-01-02 00:00:00' "
        "FROM numbers(150000)"
    )
    both = Both(engine)
    for matchers in (
        (Matcher(METRIC_NAME, MatchOp.EQUAL, "big"), Matcher("n", MatchOp.REGEX, ".*[05]")),
        (Matcher(METRIC_NAME, MatchOp.EQUAL, "m7"), Matcher("k", MatchOp.REGEX, "3|5")),
        (Matcher("k", MatchOp.EQUAL, "3"), Matcher("n", MatchOp.NOT_REGEX, "1.*")),
    ):
        both.compare(matchers)


def test_queries_ask_the_engine_for_no_series(engine: EmbeddedEngine) -> None:
    announce(engine, [("up", {"job": job}, 0) for job in "abc"])
    queries = QueryEngine(engine, QuerySettings(answer_bytes=0))
    queries.reader.index.tick()
    queries.reader.head.tick()
    queries.reader.index.at(queries.reader.parts(Stop(time.monotonic() + 60, None))["series"])

    def none(*_: object, **__: object) -> NoReturn:
        raise AssertionError("SQL over table series")

    queries.reader._engine.query = none  # type: ignore[method-assign]
    value = queries.instant('up{job=~"a|c"}', NOW).value
    assert isinstance(value, VectorResult)
    assert sorted(one["job"] for one in value.metrics) == ["a", "c"]


@pytest.mark.parametrize("bounds", [{"most_cells": 5}, {"most_strings": 3}])
def test_what_is_too_large_is_not_held(engine: EmbeddedEngine, bounds: dict[str, int]) -> None:
    announce(engine, [("up", {"job": job}, 0) for job in "abc"])
    index = indexed(engine, Listing(engine), Pool(), **bounds)
    assert not index.loaded
    index.tick()
    assert index.at(Listing(engine).now()["series"]) is None


def test_a_new_pool_of_strings_is_a_new_index(engine: EmbeddedEngine) -> None:
    announce(engine, [("up", {"job": job}, 0) for job in "abc"])
    pools = [Pool()]
    index = SeriesIndex(engine, Listing(engine), lambda: pools[0])
    index.tick()
    found = index.at(Listing(engine).now()["series"])
    assert found is not None
    ids = found.ids
    pools[0] = Pool()
    assert index.labels(ids, pools[0]) is None
    index.tick()
    labels = index.labels(ids, pools[0])
    assert labels is not None
    assert sorted(labels.values("job")) == ["a", "b", "c"]


def test_a_thread_follows_what_is_announced(engine: EmbeddedEngine) -> None:
    queries = QueryEngine(engine)
    queries.start()
    try:
        index = queries.reader.index
        deadline = time.monotonic() + 30
        while not index.loaded and time.monotonic() < deadline:
            threading.Event().wait(0.01)
        announce(engine, [("up", {"job": "a"}, 0)])
        while time.monotonic() < deadline and not (index._held and len(index._held.families.ids)):
            threading.Event().wait(0.01)
        assert index._held is not None
        assert list(index._held.families.by_name) == ["up"]
    finally:
        queries.close()
    assert not queries.reader.index.loaded
