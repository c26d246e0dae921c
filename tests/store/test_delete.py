"""Deletion of series: which rows go from which table, what is left, and snapshots."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError, ConflictError
from windvane.store.delete import SeriesDeletion
from windvane.store.embedded import EmbeddedEngine
from windvane.store.metric_facts import write_exemplars
from windvane.store.migrate import Retention, migrate
from windvane.store.series import SampleWriter, series_id
from windvane.store.snapshot import restore, snapshot

DAY = 86_400_000
START = 1_700_006_400_000  # midnight
SETS = [{"__name__": "m", "i": str(n)} for n in range(4)]


@pytest.fixture
def filled(engine: EmbeddedEngine) -> EmbeddedEngine:
    """Four series with a sample an hour for three days; the first has exemplars."""
    writer = SampleWriter(engine)
    for hour in range(72):
        writer.write(SETS, np.full(4, START + hour * 3_600_000), np.arange(4.0) + hour)
    ids, times = np.full(3, series_id(SETS[0]), np.uint64), START + np.arange(3) * DAY
    write_exemplars(engine, ids, times, np.ones(3), [{"trace_id": "a"}] * 3)
    return engine


def deletion(engine: EmbeddedEngine, now_ms: int = START + 30 * DAY, forget: object = None) -> SeriesDeletion:
    return SeriesDeletion(engine, ManualClock(now_ms * 1_000_000), forget)  # type: ignore[arg-type]


def counts(engine: EmbeddedEngine, table: str = "samples") -> dict[int, int]:
    frame = engine.query(f"SELECT Id, toInt64(count()) AS C FROM {table} GROUP BY Id")
    return dict(zip(frame["Id"].tolist(), frame["C"].tolist(), strict=True))


def test_a_time_range_goes_with_both_its_ends_and_the_rest_stays(filled: EmbeddedEngine) -> None:
    done = deletion(filled).delete("Name = 'm' AND Labels['i'] = {i:String}", {"i": "1"}, START, START + DAY)
    assert (done.series, done.rows["samples"], done.gone) == (1, 25, 0)
    assert counts(filled) == {series_id(one): 47 if one["i"] == "1" else 72 for one in SETS}
    left = filled.query(f"SELECT toUnixTimestamp64Milli(min(Time)) AS T FROM samples WHERE Id = {series_id(SETS[1])}")
    assert left["T"].tolist() == [START + DAY + 3_600_000]


def test_a_series_of_which_nothing_is_left_is_no_series_any_more(filled: EmbeddedEngine) -> None:
    done = deletion(filled).delete("Labels['i'] IN ('0', '2')", {}, -(1 << 53), 1 << 53)
    assert (done.series, done.rows["samples"], done.rows["exemplars"], done.gone) == (2, 144, 3, 2)
    assert sorted(counts(filled, "series")) == sorted(series_id(one) for one in SETS if one["i"] in "13")
    assert counts(filled, "exemplars") == {}


def test_a_series_that_writers_hold_to_be_announced_keeps_its_row_until_it_is_cleaned(filled: EmbeddedEngine) -> None:
    now = START + 3 * DAY - 3_600_000
    assert deletion(filled, now).delete("Labels['i'] = '0'", {}, 0, 1 << 53).gone == 0
    assert len(counts(filled, "series")) == 4
    assert deletion(filled).clean() == 1
    assert len(counts(filled, "series")) == 3
    assert deletion(filled).clean() == 0


def test_writers_that_can_forget_announce_a_deleted_series_again(filled: EmbeddedEngine) -> None:
    writer = SampleWriter(filled)
    now = START + 3 * DAY - 3_600_000

    def forget() -> None:
        # a writer that has not forgotten yet: its sample is not announced
        ids = np.array([series_id(SETS[0])], np.uint64)
        writer.write_ids(ids, np.array([now + 1]), np.array([5.0]))

    assert deletion(filled, now, forget).delete("Labels['i'] IN ('0', '1')", {}, 0, 1 << 53).gone == 2
    assert sorted(counts(filled, "series")) == sorted(series_id(one) for one in SETS if one["i"] != "1")


def test_buckets_of_rollups_that_the_range_touches_go(filled: EmbeddedEngine) -> None:
    first = series_id(SETS[0])
    filled.command(
        f"INSERT INTO samples_1h (Id, Time) SELECT {first}, fromUnixTimestamp64Milli({START}::Int64) + number * 3600 "
        "FROM numbers(1, 24)"
    )
    deletion(filled).delete("Labels['i'] = '0'", {}, START + 3_600_000, START + 2 * 3_600_000)
    left = filled.query("SELECT toUnixTimestamp64Milli(Time) AS T FROM samples_1h ORDER BY T")["T"].tolist()
    assert [(time - START) // 3_600_000 for time in left] == list(range(3, 25))


def test_nothing_matching_and_empty_ranges_delete_nothing(filled: EmbeddedEngine) -> None:
    assert deletion(filled).delete("Name = 'other'", {}, 0, 1 << 53).series == 0
    assert deletion(filled).delete("1", {}, 5, 4).series == 0
    with pytest.raises(BadInputError):
        deletion(filled).delete("NoSuchColumn = 1", {}, 0, 1 << 53)
    assert counts(filled) == {series_id(one): 72 for one in SETS}
    assert filled.query("SHOW TABLES LIKE 'deletion%'").empty


def test_a_snapshot_is_what_was_there_and_comes_back(filled: EmbeddedEngine, data_directory: Path) -> None:
    folder = data_directory / "snapshots" / "20231114T000000Z-1"
    assert snapshot(filled, folder) > 0
    with pytest.raises(ConflictError):
        snapshot(filled, folder)
    deletion(filled).delete("1", {}, 0, 1 << 53)
    assert counts(filled) == {}
    other = EmbeddedEngine.open(data_directory, database="restored")
    try:
        migrate(other, Retention(default=None))
        restore(other, folder)
        assert counts(other) == {series_id(one): 72 for one in SETS}
        assert counts(other, "exemplars") == {series_id(SETS[0]): 3}
    finally:
        other.command("DROP DATABASE restored")
        other.close()
