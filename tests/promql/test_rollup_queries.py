"""Queries over rolled days: the same answers as from samples, also when those are gone; others only on demand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from windvane.kit.clock import ManualClock
from windvane.promql.engine import QueryEngine, QueryOptions
from windvane.promql.native.histogram import Histogram
from windvane.promql.rollup.build import DAY_MS, RollupBuilder
from windvane.promql.value import STALE, MatrixResult
from windvane.store.api import Engine
from windvane.store.metric_facts import write_histograms
from windvane.store.series import SampleWriter

DAY = 20_000
START = DAY * DAY_MS
HOUR, MINUTE = 3_600_000, 60_000
ALIGNED = (
    "sum by (job) (rate(x_total[1h]))",
    "increase(x_total[30m])",
    "delta(g[2h] offset 1h)",
    "max_over_time(g[1h])",
    "min_over_time(g[1h]) + on (i, job) avg_over_time(g[1h])",
    "sum_over_time(g[3h])",
    "count_over_time(x_total[1h])",
    "last_over_time(x_total[5m])",
    "resets(x_total[1d])",
    "sum(x_total)",
    "max_over_time(sum(rate(x_total[10m]))[6h:10m])",
    "topk(1, present_over_time(g[1h])) or x_total",
    "timestamp(x_total)",
    f"sum_over_time(g[1d] @ {START // 1000 + 2 * 86_400})",
)
Points = dict[str, tuple[list[int], list[float]]]


@dataclass(frozen=True, slots=True)
class Week:
    """A store with five days of samples; the last two are too young to be rolled."""

    engine: Engine
    until: int

    def ask(self, query: str, *, start: int = START + HOUR, step: int = HOUR, resolution: int | None = None) -> Points:
        """A range query by a server that has just started."""
        result = QueryEngine(self.engine).range(
            query, start, self.until, step, QueryOptions(resolution_ms=resolution, explain=True)
        )
        assert isinstance(result.value, MatrixResult)
        self.sources[:] = [read.source for read in result.stats.reads]
        points = (result.value.points(i) for i in range(len(result.value.labels)))
        return {str(sorted(labels.items())): (times.tolist(), values.tolist())
                for labels, (times, values) in zip(result.value.metrics, points, strict=True)}  # fmt: skip

    @property
    def sources(self) -> list[str]:
        return SOURCES


SOURCES: list[str] = []


@pytest.fixture
def week(engine: Engine) -> Week:
    rng = np.random.default_rng(5)
    writer = SampleWriter(engine)
    times = START + np.arange(0, 5 * DAY_MS, 7 * MINUTE // 3)
    for number in range(4):
        counter = np.cumsum(rng.poisson(3, len(times))).astype(float)
        for reset in np.sort(rng.integers(0, len(times), 6)):
            counter[reset:] -= counter[reset]
        gauge = rng.normal(size=len(times))
        gauge[rng.integers(0, len(times), 30)] = STALE
        labels = {"job": f"j{number % 2}", "i": str(number)}
        for name, values in (("x_total", counter), ("g", gauge)):
            own = times + number * 1000
            writer.write([{"__name__": name, **labels}] * len(own), own, values)
    return Week(engine, START + 4 * DAY_MS + 12 * HOUR)


def build(engine: Engine) -> int:
    return len(RollupBuilder(engine, ManualClock((START + 5 * DAY_MS + 3 * HOUR) * 1_000_000), None).advance())


def same(found: Points, wanted: Points) -> None:
    assert found.keys() == wanted.keys()
    for series, (times, values) in wanted.items():
        assert found[series][0] == times, series
        np.testing.assert_allclose(found[series][1], values, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("query", ALIGNED)
def test_whole_buckets_answer_as_samples_do(week: Week, query: str) -> None:
    wanted = week.ask(query)
    assert wanted
    assert build(week.engine) == 4
    same(week.ask(query), wanted)
    assert any(source.startswith("rollup") for source in week.sources) is (not query.startswith("timestamp"))


def test_samples_that_come_late_are_in_the_answer_before_their_day_is_rolled_again(week: Week) -> None:
    build(week.engine)
    late = START + DAY_MS + 30 * MINUTE + 1
    SampleWriter(week.engine).write([{"__name__": "g", "job": "late"}], np.array([late]), np.array([5.0]))
    found = week.ask("max_over_time(g{job='late'}[1h])")
    assert list(found.values()) == [([START + DAY_MS + HOUR], [5.0])]
    assert build(week.engine) == 2  # its own day, and the one before, whose last sample stands at midnight
    same(week.ask("max_over_time(g{job='late'}[1h])"), found)


def test_rollups_answer_when_the_samples_are_gone(week: Week) -> None:
    wanted = week.ask("sum by (job) (increase(x_total[1h]))")
    build(week.engine)
    for day in range(2):
        date = np.datetime64(START + day * DAY_MS, "ms").astype("<M8[D]")
        week.engine.command(f"ALTER TABLE samples DROP PARTITION '{date}'")
    same(week.ask("sum by (job) (increase(x_total[1h]))"), wanted)


def test_windows_that_cut_buckets_use_rollups_only_on_demand(week: Week) -> None:
    build(week.engine)
    exact = week.ask("increase(x_total[1h])", start=START + HOUR + MINUTE)
    assert week.sources == ["miss"]
    found = week.ask("increase(x_total[1h])", start=START + HOUR + MINUTE, resolution=5 * MINUTE)
    assert week.sources == ["rollup of 5m"]
    assert found.keys() == exact.keys()
    for series, (_, values) in exact.items():
        assert np.mean(np.abs(np.array(found[series][1]) - values)) < 0.1 * np.mean(values)


def test_recent_queries_do_not_ask_for_rollups(week: Week) -> None:
    build(week.engine)
    week.ask("sum(x_total)", start=week.until - HOUR, step=5 * MINUTE)
    assert not any(source.startswith("rollup") for source in week.sources)


NATIVES = (("{i='1'}", False), ("{i='0'}", True), ("{j='native'}", False), ("{i=~'1|0'}", False))
"""Series of counters beside native histograms, and whether these leave a query to rollups."""


@pytest.mark.parametrize(("matcher", "rolled"), NATIVES)
def test_only_native_histograms_that_a_query_reads_keep_it_off_rollups(week: Week, matcher: str, rolled: bool) -> None:
    write_natives(week.engine, {"__name__": "x_total", "job": "j1", "i": "1", "j": "native"}, START + DAY_MS)
    build(week.engine)
    week.ask(f"sum(increase(x_total{matcher}[1h]))")
    assert any(source.startswith("rollup") for source in week.sources) is rolled


def test_native_histograms_of_another_time_or_read_of_another_query_do_not_count(week: Week) -> None:
    write_natives(week.engine, {"__name__": "x_total", "job": "j1", "i": "1"}, START + 4 * DAY_MS + 20 * HOUR)
    write_natives(week.engine, {"__name__": "native", "job": "j1"}, START + DAY_MS)
    build(week.engine)
    wanted = week.ask("sum by (job) (increase(x_total[1h]))")
    assert wanted
    assert any(source.startswith("rollup") for source in week.sources)
    week.ask("sum by (job) (increase(x_total[1h])) + on (job) histogram_count(sum by (job) (native))")
    assert not any(source.startswith("rollup") for source in week.sources)


def write_natives(engine: Engine, labels: dict[str, str], time: int) -> None:
    """Two histograms of a series, a minute apart."""
    times = np.array([time, time + MINUTE])
    number = SampleWriter(engine).ids([labels], times[:1])
    write_histograms(engine, np.repeat(number, 2), times, [Histogram(count=5, sum=1), Histogram(count=9, sum=2)])
