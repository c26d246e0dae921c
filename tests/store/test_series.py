"""Ids of series, and samples on their way into the store."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windvane.kit.errors import BadInputError
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import ANNOUNCE_EVERY_MS, STALE, STALE_BITS, SampleWriter, id_sql, series_id

T = 1_700_000_000_000


def times(*offsets: int) -> np.ndarray:
    return np.array([T + offset for offset in offsets], np.int64)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    name=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=8),
    labels=st.dictionaries(
        st.text(st.characters(codec="utf-8"), max_size=6).filter(lambda key: key != "__name__"),
        st.text(st.characters(codec="utf-8"), max_size=9),
        max_size=6,
    ),
)
def test_the_engine_and_python_agree_on_ids(engine: EmbeddedEngine, name: str, labels: dict[str, str]) -> None:
    sql = f"SELECT {id_sql('{name:String}', 'labels')} AS id FROM (SELECT {{labels:Map(String, String)}} AS labels)"
    found = engine.query(sql, {"name": name, "labels": labels})
    assert int(found["id"][0]) == series_id({"__name__": name, **labels})


def test_ids_do_not_depend_on_the_order_of_labels_and_never_change() -> None:
    assert (
        series_id({"__name__": "up", "job": "a"}) == series_id({"job": "a", "__name__": "up"}) == 15103137818313963508
    )
    assert series_id({"__name__": "up", "job": "b"}) != series_id({"__name__": "up", "job": "a"})


def test_samples_and_their_series_are_stored(engine: EmbeddedEngine) -> None:
    writer = SampleWriter(engine)
    a, b = {"__name__": "up", "job": "a", "none": ""}, {"__name__": "up", "job": "b"}
    assert writer.write([a, b], times(0, 0), np.array([1.0, 0.5])) == 2
    assert writer.write([a], times(5_000), np.array([2.0])) == 1
    rows = engine.query(
        "SELECT Labels['job'] AS job, arrayStringConcat(mapKeys(Labels)) AS names, "
        "toUnixTimestamp64Milli(Time) AS time, Value AS value "
        "FROM samples JOIN series USING Id ORDER BY job, time"
    )
    assert rows.to_numpy().tolist() == [["a", "job", T, 1.0], ["a", "job", T + 5_000, 2.0], ["b", "job", T, 0.5]]


def test_a_series_is_announced_once_an_hour_and_last_seen_bounds_it(engine: EmbeddedEngine) -> None:
    writer, one = SampleWriter(engine), [{"__name__": "up"}]
    for offset in (0, 1_000, ANNOUNCE_EVERY_MS, ANNOUNCE_EVERY_MS + 1):
        writer.write(one, times(offset), np.array([1.0]))
    assert engine.query("SELECT count() AS n FROM series")["n"][0] == 2
    writer.write(one, times(-9_000), np.array([1.0]))
    merged = engine.query(
        "SELECT min(FirstSeen) AS f, max(LastSeen) >= (SELECT max(Time) FROM samples) AS bound FROM series FINAL"
    )
    assert merged["f"][0].value // 1_000_000 == T - 9_000
    assert merged["bound"][0] == 1


@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(batches=st.lists(st.lists(st.tuples(st.sampled_from("abc"), st.integers(-(10**8), 10**8))), max_size=4))
def test_announcements_bound_every_sample(engine: EmbeddedEngine, batches: list[list[tuple[str, int]]]) -> None:
    for table in ("samples", "series"):
        engine.command(f"TRUNCATE TABLE {table}")
    writer = SampleWriter(engine)
    for batch in batches:
        labels = [{"__name__": name} for name, _ in batch]
        writer.write(labels, times(*(offset for _, offset in batch)), np.zeros(len(batch)))
    outside = engine.query(
        "SELECT count() AS n FROM samples LEFT JOIN "
        "(SELECT Id, min(FirstSeen) AS f, max(LastSeen) AS l FROM series GROUP BY Id) AS s USING Id "
        "WHERE Time < f OR Time > l"
    )
    assert outside["n"][0] == 0


def test_the_staleness_marker_keeps_its_bits(engine: EmbeddedEngine) -> None:
    SampleWriter(engine).write([{"__name__": "up"}], times(0), np.array([STALE]))
    assert int(engine.query("SELECT reinterpretAsUInt64(Value) AS bits FROM samples")["bits"][0]) == STALE_BITS


def test_nonsense_is_refused(engine: EmbeddedEngine) -> None:
    writer = SampleWriter(engine)
    with pytest.raises(BadInputError, match="needs a label __name__"):
        writer.write([{"job": "a"}], times(0), np.array([1.0]))
    with pytest.raises(BadInputError, match="1 label sets, 2 times and 1 values"):
        writer.write([{"__name__": "a"}], times(0, 1), np.array([1.0]))
    assert writer.write([], times(), np.array([])) == 0
