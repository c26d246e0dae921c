"""Forecasts of every service: what is read and when, what is refused, and the series that are written."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from asgi_client import AsgiClient

from windvane.analytics.outlook import HISTORY, STEP, Made, Outlook
from windvane.api.windvane import analytics_outlook
from windvane.app.forecasts import Forecasts
from windvane.kit.clock import ManualClock
from windvane.kit.errors import UnavailableError
from windvane.kit.metrics import Metrics
from windvane.promql.labels import Labels, Pool
from windvane.promql.value import MatrixResult
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

NOW = 1_767_787_200
BY = {"destination_service_namespace": "shop", "destination_service_name": "reviews"}


class Mesh:
    """Answers every question of rates with a daily wave since a time; counts what is asked."""

    def __init__(self, since: int) -> None:
        self.since = since
        self.asked: list[tuple[str, int, int]] = []

    def __call__(self, query: str, start: int, end: int, step: int) -> MatrixResult:
        self.asked.append((query, start, end))
        times = np.arange(start, end + 1, step, dtype=np.int64)
        wave = 10 + 5 * np.sin(times / 86_400_000 * 2 * np.pi)
        if "quantile" in query:
            wave = wave * 8
        if "5..|0" in query:
            wave = wave * 0.02
        known = (times >= self.since * 1_000) & ("source" not in query) & ("grpc" not in query)
        labels = Labels.of(Pool(), [BY] if known.any() else [])
        offsets = np.array([0, known.sum()] if known.any() else [0], np.int64)
        return MatrixResult(labels, offsets, times[known], wave[known])


def exhausted(outlook: Outlook, now: int) -> Made:
    for _ in outlook.make(now):
        pass
    return outlook.made


def test_what_is_new_is_read_and_no_more() -> None:
    mesh = Mesh(NOW - HISTORY)
    outlook = Outlook(mesh)
    made = exhausted(outlook, NOW)
    assert (made.services, made.left_out, made.refused) == (1, 0, ())
    assert [path.signal for path in made.paths] == ["rate", "errors", "latency", "saturation"]
    mesh.asked.clear()
    again = exhausted(outlook, NOW + 3_600)
    assert {end - start for _, start, end in mesh.asked} == {3 * STEP * 1_000}
    wave = 10 + 5 * np.sin((NOW + 7_200) / 86_400 * 2 * np.pi)
    expected = {path.signal: next(iter(path.at(NOW + 7_200)))[2] for path in again.paths}
    assert expected["rate"] == pytest.approx(wave, rel=0.02)
    assert expected["errors"] == pytest.approx(0.02, rel=0.02)
    assert expected["latency"] == pytest.approx(8 * wave, rel=0.02)
    assert expected["saturation"] == pytest.approx(wave, rel=0.02)


def test_short_histories_and_ended_series_are_refused() -> None:
    made = exhausted(Outlook(Mesh(NOW - 86_400)), NOW)
    assert not made.paths
    assert {one.signal for one in made.refused} == {"rate", "errors", "latency", "saturation"}
    assert "days is too short for a forecast" in made.refused[0].reason

    class Ended(Mesh):
        def __call__(self, query: str, start: int, end: int, step: int) -> MatrixResult:
            return super().__call__(query, start, min(end, (NOW - 7_200) * 1_000), step)

    made = exhausted(Outlook(Ended(NOW - HISTORY)), NOW)
    assert {one.reason for one in made.refused} == {"nothing was measured in the last hour"}


def written(engine: EmbeddedEngine) -> list[tuple[str, ...]]:
    rows = engine.query(
        "SELECT Labels['signal'] s, Labels['bound'] b, Labels['share'] p, Labels['horizon'] h FROM series "
        "WHERE Name = 'windvane_forecast' ORDER BY s, b, p, h"
    )
    return list(zip(*(rows[name].tolist() for name in "sbph"), strict=True))


def test_forecasts_are_written_at_their_time(engine: EmbeddedEngine) -> None:
    clock, mesh = ManualClock(NOW * 10**9), Mesh(NOW - HISTORY)
    forecasts = Forecasts(mesh, SampleWriter(engine), clock, Metrics())

    async def story() -> None:
        making = asyncio.create_task(forecasts.make())
        while not making.done():
            clock.advance(1.0)  # each piece of work is followed by a pause
            await asyncio.sleep(0.001)

    asyncio.run(story())
    forecasts.write()
    found = written(engine)
    assert len(found) == 40
    assert ("rate", "high", "0.95", "1d") in found
    assert ("rate", "expected", "", "1h") in found
    times = engine.query("SELECT max(toUnixTimestamp(Time)) t, count() n FROM samples")
    assert NOW <= int(times["t"][0]) <= clock.now_ns() // 10**9
    assert int(times["n"][0]) == 40
    clock.advance(2 * 3_600)
    forecasts.write()  # the path is too old to be told of
    assert int(engine.query("SELECT count() n FROM samples")["n"][0]) == 40


def test_a_failure_keeps_the_forecasts_of_before(engine: EmbeddedEngine) -> None:
    def broken(*_: object) -> MatrixResult:
        raise UnavailableError("the store is away")

    forecasts = Forecasts(broken, SampleWriter(engine), ManualClock(NOW * 10**9), Metrics())
    asyncio.run(forecasts.make())
    assert (forecasts.error, forecasts.made.at) == ("the store is away", 0)
    routes = analytics_outlook.routes(lambda: (forecasts.made, forecasts.error))
    body = AsgiClient(routes).get("/api/windvane/v1/analytics/forecasts").json()
    assert (body["enabled"], body["made_at"], body["error"]) == (True, None, "the store is away")
