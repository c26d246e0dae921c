"""The embedded engine: queries, inserts, limits, one process a directory."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from windvane.kit.errors import BadInputError, LimitError
from windvane.store.api import Engine, Limits, PayloadInsert


def test_a_query_takes_parameters_and_keeps_columns_when_empty(engine: Engine) -> None:
    frame = engine.query("SELECT {a:String} AS a, {b:Array(String)} AS b", {"a": "it's\t\\n", "b": ["x'", "\\"]})
    assert frame["a"][0] == "it's\t\\n"
    assert list(frame["b"][0]) == ["x'", "\\"]
    empty = engine.query("SELECT TraceId, Duration FROM otel_traces")
    assert list(empty.columns) == ["TraceId", "Duration"]
    assert empty.empty


def test_a_frame_comes_back_as_it_went_in(engine: Engine) -> None:
    engine.command(
        "CREATE TABLE t (Id UInt64, Time DateTime64(3), Value Float64, Name LowCardinality(String), "
        "Labels Map(LowCardinality(String), String), Tags Array(String), Flag Bool) ENGINE = MergeTree ORDER BY Id"
    )
    frame = pd.DataFrame(
        {
            "Id": np.array([1, 2**64 - 1], dtype="u8"),
            "Time": pd.to_datetime([0, 1_700_000_000_123], unit="ms"),
            "Value": [0.5, float("inf")],
            "Name": ["a", "é"],
            "Labels": [{}, {"k": "v", "ü": ""}],
            "Tags": [["x"], []],
            "Flag": [True, False],
        }
    )
    assert engine.insert_frame("t", frame) == 2
    back = engine.query("SELECT * FROM t ORDER BY Id")
    for column in frame.columns:
        assert [list(v) if column == "Tags" else v for v in back[column]] == list(frame[column]), column


def test_limits_raise_limit_error(engine: Engine) -> None:
    with pytest.raises(LimitError):
        engine.query("SELECT number FROM numbers(100)", limits=Limits(rows=10))
    with pytest.raises(LimitError):
        engine.query("SELECT sum(cityHash64(number)) FROM numbers(1000000000000)", limits=Limits(seconds=0.2))
    assert len(engine.query("SELECT number FROM numbers(100)")) == 100


def test_a_bad_payload_stores_nothing(engine: Engine) -> None:
    engine.command("CREATE TABLE t (A UInt64) ENGINE = MergeTree ORDER BY A")
    insert = PayloadInsert("t", ["A"], "SELECT a FROM {source}", "TSV", "a UInt64")
    assert engine.insert_payload(insert, b"1\n2\n") == 2
    good = b"".join(b"%d\n" % n for n in range(300_000))
    with pytest.raises(BadInputError, match="does not decode"):
        engine.insert_payload(insert, good + b"bad\n")
    assert engine.query("SELECT count() AS n FROM t")["n"][0] == 2


def test_arrays_of_arrays_maps_and_tuples(engine: Engine) -> None:
    frame = engine.query(
        "SELECT number, [map('a', toString(number)), map()] AS maps, [(number, 'x')] AS pairs, "
        "arrayMap(i -> range(i), range(number)) AS lists, map('k', [1]) AS plain FROM numbers(60) ORDER BY number DESC"
    )
    assert list(frame["number"]) == list(range(59, -1, -1))
    assert frame["maps"][58] == [{"a": "1"}, {}]
    assert frame["pairs"][57] == [[2, "x"]]
    assert frame["lists"][57] == [[], [0]]
    assert len(engine.query("SELECT `Events.Attributes` FROM otel_traces WHERE SpanName = {n:String}", {"n": "x"})) == 0


def test_settings_and_statements_other_than_select(engine: Engine) -> None:
    assert len(engine.query("EXPLAIN SELECT 1")) > 0
    assert len(engine.query("SELECT [[number]] AS n FROM numbers(5) SETTINGS max_threads = 1")) == 5
    with pytest.raises(BadInputError, match="nosuch"):
        engine.query("SELECT * FROM nosuch")


def test_a_request_over_too_many_days_is_the_senders_fault_not_a_full_store(engine: Engine) -> None:
    days = "SELECT toDateTime64('2026-01-01 00:00:00', 9) + INTERVAL number DAY FROM numbers(150)"
    with pytest.raises(BadInputError, match="too many days"):
        engine.command(f"INSERT INTO otel_logs (Timestamp) {days}")
