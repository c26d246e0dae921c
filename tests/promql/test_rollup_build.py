"""Rollups: windows over buckets are windows over samples; days are rolled once, and again when they change."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.kit.clock import ManualClock
from windvane.promql import kernels as raw
from windvane.promql.arrange import without_stale
from windvane.promql.rollup import kernels
from windvane.promql.rollup.build import DAY_MS, RolledDays, RollupBuilder
from windvane.promql.value import STALE, Floats, Mask, Times
from windvane.store.api import Engine
from windvane.store.delete import SeriesDeletion
from windvane.store.migrate import DAY, Retention

WIDTH = 300_000
FIRST_DAY = 20_000
EXACT = {
    kernels.COUNT_OVER: raw.COUNT, kernels.LAST_OVER: raw.LAST, kernels.PRESENT_OVER: raw.PRESENT,
    kernels.RESETS_OVER: raw.RESETS, kernels.SUM_OVER: raw.SUM, kernels.AVG_OVER: raw.AVG,
}  # fmt: skip

SERIES = st.lists(
    st.tuples(
        st.integers(0, 3_600_000),
        st.one_of(st.integers(0, 50).map(float), st.floats(-1e6, 1e6), st.sampled_from([STALE, np.nan, np.inf])),
    ),
    max_size=40,
    unique_by=lambda sample: sample[0],
)


def flat(series: list[list[tuple[int, float]]]) -> tuple[Times, Times, Floats]:
    ordered = [sorted(samples, key=lambda sample: sample[0]) for samples in series]
    offsets = np.concatenate([[0], np.cumsum([len(samples) for samples in ordered])]).astype(np.int64)
    times = np.array([time for samples in ordered for time, _ in samples], np.int64)
    return offsets, times, np.array([value for samples in ordered for _, value in samples], np.float64)


def same(found: tuple[Floats, Mask], wanted: tuple[Floats, Mask]) -> None:
    np.testing.assert_array_equal(found[1], wanted[1])
    np.testing.assert_allclose(found[0][found[1]], wanted[0][wanted[1]], rtol=1e-9, atol=1e-6)


@settings(max_examples=150, deadline=None)
@given(st.lists(SERIES, min_size=1, max_size=3), st.integers(1, 4), st.integers(1, 3))
def test_windows_of_whole_buckets_are_as_from_samples(
    series: list[list[tuple[int, float]]], widths: int, step: int
) -> None:
    samples = flat(series)
    steps = np.arange(0, 4_200_000, step * WIDTH, np.int64)
    span = widths * WIDTH
    rolled = kernels.buckets(*samples, WIDTH)
    plain = without_stale(*samples)
    same(kernels.windows(*rolled, steps, span, kernels.LATEST), raw.latest(*samples, steps, span)[:2])
    for operation, function in EXACT.items():
        same(kernels.windows(*rolled, steps, span, operation), raw.over_time(*plain, steps, span, function))
    for operation, most in ((kernels.MIN_OVER, False), (kernels.MAX_OVER, True)):
        same(kernels.windows(*rolled, steps, span, operation), raw.extremes(*plain, steps, span, most))
    for operation, how in (
        (kernels.RATE, (True, True)),
        (kernels.INCREASE, (True, False)),
        (kernels.DELTA, (False, False)),
    ):
        same(kernels.windows(*rolled, steps, span, operation), raw.extrapolated(*plain, steps, span, *how))


def write(engine: Engine, day: int, values: dict[int, dict[int, float]]) -> None:
    """Samples by series and second of the day."""
    rows = [
        (number, day * DAY_MS + second * 1000, value) for number, own in values.items() for second, value in own.items()
    ]
    ids, times, floats = (np.array(column) for column in zip(*rows, strict=True))
    frame = pd.DataFrame({"Id": ids.astype(np.uint64), "Time": times.astype("<M8[ms]"), "Value": floats.astype(float)})
    engine.insert_frame("samples", frame)


def rows(engine: Engine, table: str, columns: str) -> list[tuple[object, ...]]:
    frame = engine.query(
        f"SELECT Id, dateDiff('second', toDateTime64({{d:Int64}} * 86400, 3), Time) AS S, {columns} "
        f"FROM {table} ORDER BY Id, Time",
        {"d": FIRST_DAY},
    )
    return [tuple(row) for row in frame.itertuples(index=False)]


def at(day: int, hour: float) -> ManualClock:
    return ManualClock(int((day * DAY + hour * 3600) * 1e9))


def test_a_day_is_rolled_when_the_next_is_over_with_the_sample_of_midnight(engine: Engine) -> None:
    write(engine, FIRST_DAY, {1: {0: 9, 10: 1, 20: 4, 400: 2, 86_400: 7}, 2: {300: 5}})
    assert RollupBuilder(engine, at(FIRST_DAY + 2, 1), None).advance() == []
    day = datetime.date(1970, 1, 1) + datetime.timedelta(days=FIRST_DAY)
    builder = RollupBuilder(engine, at(FIRST_DAY + 2, 3), None)
    assert builder.advance() == [day]
    assert rows(engine, "samples_5m", "Count, First, Last, Min, Max, Sum, Resets, Lost") == [
        (1, 300, 2, 1, 4, 1, 4, 5, 0, 0),
        (1, 600, 1, 2, 2, 2, 2, 2, 0, 0),
        (1, 86_400, 1, 7, 7, 7, 7, 7, 0, 0),
        (2, 300, 1, 5, 5, 5, 5, 5, 0, 0),
    ]
    assert rows(engine, "samples_1h", "Count, Sum, Resets, Lost")[0] == (1, 3600, 3, 7, 1, 4)
    assert builder.advance() == []


def test_late_samples_and_deletions_roll_a_day_again_while_its_samples_are_whole(engine: Engine) -> None:
    write(engine, FIRST_DAY, {1: {10: 1}, 2: {10: 2}})
    builder = RollupBuilder(engine, at(FIRST_DAY + 3, 0), 15 * DAY)
    assert len(builder.advance()) == 1
    write(engine, FIRST_DAY, {1: {20: 3}})
    assert RolledDays.of(engine).stale(FIRST_DAY)
    assert len(builder.advance()) == 1
    assert rows(engine, "samples_5m", "Count, Sum") == [(1, 300, 2, 4), (2, 300, 1, 2)]
    engine.command("DELETE FROM samples WHERE Id = 1")
    assert len(builder.advance()) == 1
    assert rows(engine, "samples_5m", "Count, Sum") == [(2, 300, 1, 2)]
    write(engine, FIRST_DAY, {1: {30: 3}})
    assert RollupBuilder(engine, at(FIRST_DAY + 17, 0), 15 * DAY).advance() == []


def test_a_deletion_rolls_only_the_days_again_that_lost_something(engine: Engine) -> None:
    for day in range(FIRST_DAY, FIRST_DAY + 4):
        engine.command("INSERT INTO series (Id, Name) VALUES (1, 'm'), (2, 'other')")
        write(engine, day, {1: {10: 1}, 2: {10: 2}})
    builder = RollupBuilder(engine, at(FIRST_DAY + 6, 0), None)
    assert len(builder.advance()) == 4
    start = (FIRST_DAY + 2) * DAY_MS
    done = SeriesDeletion(engine).delete("Name = 'm'", {}, start, start + 3_600_000)
    assert done.rows["samples"] == 1
    # the sample of midnight belongs to the day before, so a day looks at two partitions
    stale = [day - FIRST_DAY for day in range(FIRST_DAY, FIRST_DAY + 4) if RolledDays.of(engine).stale(day)]
    assert stale == [1, 2]
    assert [(day - datetime.date(1970, 1, 1)).days - FIRST_DAY for day in builder.advance()] == [1, 2]
    assert builder.advance() == []
    assert rows(engine, "samples_5m", "Sum") == [
        *((1, 300 + 86_400 * day, 1) for day in (0, 1, 3)),
        *((2, 300 + 86_400 * day, 2) for day in range(4)),
    ]


def test_a_day_rolled_before_rows_were_noted_is_rolled_again_after_a_deletion(engine: Engine) -> None:
    write(engine, FIRST_DAY, {1: {10: 1}, 2: {10: 2}})
    builder = RollupBuilder(engine, at(FIRST_DAY + 3, 0), None)
    assert len(builder.advance()) == 1
    engine.command("INSERT INTO rolled_days SELECT * REPLACE (-1 AS Rows, -1 AS NextRows, now64(3) + 1 AS Written) "
                   "FROM rolled_days FINAL")  # fmt: skip
    assert not RolledDays.of(engine).stale(FIRST_DAY)
    engine.command("ALTER TABLE samples DELETE WHERE Id = 3 SETTINGS mutations_sync = 1")
    assert RolledDays.of(engine).stale(FIRST_DAY)


def test_a_merge_changes_nothing_and_an_expired_day_stays(engine: Engine) -> None:
    write(engine, FIRST_DAY, {1: {10: 1}})
    write(engine, FIRST_DAY, {1: {20: 1}})
    builder = RollupBuilder(engine, at(FIRST_DAY + 3, 0), 15 * DAY)
    assert len(builder.advance()) == 1
    engine.command("OPTIMIZE TABLE samples FINAL")
    assert builder.advance() == []
    engine.command("TRUNCATE TABLE samples")
    assert builder.advance() == []
    assert not RolledDays.of(engine).stale(FIRST_DAY)
    assert rows(engine, "samples_5m", "Count") == [(1, 300, 2)]


@pytest.mark.parametrize(("kept", "possible"), [(None, True), (2 * DAY, True), (DAY, False)])
def test_samples_must_stay_long_enough(engine: Engine, kept: float | None, possible: bool) -> None:
    assert RollupBuilder(engine, at(FIRST_DAY, 0), kept).possible is possible


def test_rollups_stay_longer_than_samples_unless_told() -> None:
    plain = Retention.parse("15d")
    assert [plain.of(name) for name in ("metrics", "metrics_5m", "metrics_1h")] == [15 * DAY, 90 * DAY, 730 * DAY]
    assert Retention.parse("1y").of("metrics_5m") == 365 * DAY
    assert Retention.parse("none").of("metrics_1h") is None
    assert Retention.parse("15d,metrics_5m=30d").of("metrics_5m") == 30 * DAY
