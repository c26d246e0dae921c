"""The query engine as other rooms use it: fresh data, limits, threads, plans, kernels' cache."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import numpy as np
import pytest

from windvane.promql import jit
from windvane.promql.engine import QueryEngine, QueryOptions, QuerySettings
from windvane.promql.errors import QueryError, QueryLimitError, QueryTimeoutError
from windvane.promql.labels import Labels, Pool
from windvane.promql.parse import parse
from windvane.promql.plan import Context, Read, plan
from windvane.promql.value import MatrixResult, Steps, VectorResult
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

NOW = 1_700_000_000_000


def write(engine: EmbeddedEngine, labels: dict[str, str], time: int, value: float) -> None:
    SampleWriter(engine).write([labels], np.array([time], np.int64), np.array([value]))


def vector(engine: QueryEngine, query: str, time: int = NOW) -> dict[tuple[tuple[str, str], ...], float]:
    value = engine.instant(query, time).value
    assert isinstance(value, VectorResult)
    return {tuple(m.items()): v for m, v in zip(value.metrics, value.values.tolist(), strict=True)}


def test_what_was_just_written_is_seen(engine: EmbeddedEngine) -> None:
    queries = QueryEngine(engine)
    assert vector(queries, "m") == {}
    write(engine, {"__name__": "m", "a": "1"}, NOW - 1000, 1.0)
    assert vector(queries, "m") == {(("__name__", "m"), ("a", "1")): 1.0}
    write(engine, {"__name__": "m", "a": "1"}, NOW, 2.0)
    write(engine, {"__name__": "m", "b": "2"}, NOW, 3.0)
    assert vector(queries, "m") == {(("__name__", "m"), ("a", "1")): 2.0, (("__name__", "m"), ("b", "2")): 3.0}
    assert vector(queries, "sum(m)") == {(): 5.0}


def test_samples_written_twice_or_out_of_order_count_once(engine: EmbeddedEngine) -> None:
    labels = {"__name__": "m"}
    for time in (NOW, NOW - 2000, NOW - 1000, NOW - 2000, NOW):
        write(engine, labels, time, 1.0)
    assert vector(QueryEngine(engine), "count_over_time(m[10s])") == {(): 3.0}


def test_a_range_is_ordered_by_labels(engine: EmbeddedEngine) -> None:
    for name in ("c", "a", "b"):
        write(engine, {"__name__": "m", "x": name}, NOW, 1.0)
    value = QueryEngine(engine).range("m", NOW, NOW + 1000, 1000).value
    assert isinstance(value, MatrixResult)
    assert [metric["x"] for metric in value.metrics] == ["a", "b", "c"]
    assert value.points(0)[0].tolist() == [NOW, NOW + 1000]


def test_limits(engine: EmbeddedEngine) -> None:
    for n in range(5):
        write(engine, {"__name__": "m"}, NOW - n * 1000, 1.0)
    with pytest.raises(QueryLimitError, match="too many samples"):
        QueryEngine(engine, QuerySettings(max_samples=4)).instant("m[10s]", NOW)
    assert len(QueryEngine(engine, QuerySettings(max_samples=5)).instant("m[10s]", NOW).value.times) == 5  # type: ignore[union-attr]
    with pytest.raises(QueryLimitError, match="1 series at 11 steps"):
        QueryEngine(engine, QuerySettings(max_samples=10)).range("m", NOW, NOW + 1000, 100)
    with pytest.raises(QueryTimeoutError):
        QueryEngine(engine).instant("m", NOW, QueryOptions(timeout=1e-9))
    with pytest.raises(QueryError, match="11,000 points"):
        QueryEngine(engine).range("m", 0, 11_000, 1)


def test_a_shorter_lookback(engine: EmbeddedEngine) -> None:
    write(engine, {"__name__": "m"}, NOW - 60_000, 1.0)
    queries = QueryEngine(engine)
    assert vector(queries, "m")
    short = queries.instant("m", NOW, QueryOptions(lookback_ms=30_000)).value
    assert isinstance(short, VectorResult)
    assert len(short.values) == 0


def test_queries_run_in_parallel(engine: EmbeddedEngine) -> None:
    for n in range(20):
        write(engine, {"__name__": "m", "n": str(n)}, NOW, float(n))
    queries, failures = QueryEngine(engine), []

    def ask(n: int) -> None:
        for _ in range(5):
            found = vector(queries, f'sum(m{{n=~"{n}|1{n}"}})')
            if found != {(): float(n + 10 + n)}:
                failures.append((n, found))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def test_labels_survive_a_new_pool(engine: EmbeddedEngine) -> None:
    write(engine, {"__name__": "m", "a": "1"}, NOW, 1.0)
    queries = QueryEngine(engine, QuerySettings(pool_strings=2))
    for _ in range(3):
        assert vector(queries, "m") == {(("__name__", "m"), ("a", "1")): 1.0}


def test_equal_selectors_share_one_read() -> None:
    steps, context = Steps(1_000_000, 2_000_000, 1000), Context(1_000_000, 2_000_000)
    matchers = parse("m").matchers  # type: ignore[union-attr]
    assert plan(parse("rate(m[10m]) / m"), steps, context).reads == [Read(matchers, 400_000, 2_000_000)]
    apart = plan(parse("m - m offset 1d"), steps, context).reads
    assert len(apart) == 2
    both = plan(parse('m + m{a="b"}'), steps, context).reads
    assert len(both) == 2
    subquery = plan(parse("max_over_time(m[10m:7s] @ 3000)"), steps, context).reads
    assert subquery == [Read(matchers, 2_401_000 - 300_000, 2_996_000)]


def test_label_sets_group_and_join_as_integers() -> None:
    pool = Pool()
    labels = Labels.of(pool, [{"a": "1", "b": "x"}, {"a": "1"}, {"a": "2", "b": "x"}, {"a": "1", "b": "x"}])
    group, first = labels.groups()
    assert (group.tolist(), first.tolist()) == ([0, 1, 2, 0], [0, 1, 2])
    assert not labels.unique()
    assert labels.keep(["b", "nothing"]).dicts() == [{"b": "x"}, {}, {"b": "x"}, {"b": "x"}]
    assert labels.drop(["b"]).groups()[0].tolist() == [0, 0, 1, 0]
    assert labels.values("b") == ["x", "", "x", "x"]


def test_kernels_are_cached_where_the_package_may_not_be_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(jit.config, "CACHE_DIR", "")
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    jit.choose_cache()
    own = Path(jit.config.CACHE_DIR).parent
    assert own.parent == tmp_path
    assert own.stat().st_mode & 0o777 == 0o700


def test_kernels_of_other_sources_are_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    folders = []
    for text in (b"njit 1", b"njit 2", b"njit 1"):
        monkeypatch.setattr(jit.config, "CACHE_DIR", "")
        monkeypatch.setattr(Path, "read_bytes", lambda _, text=text: text)
        jit.choose_cache()
        folders.append(Path(jit.config.CACHE_DIR))
    assert folders[0] == folders[2] != folders[1]
    assert (folders[0].exists(), folders[1].exists()) == (True, False)
