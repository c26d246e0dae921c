"""Anomalies, forecasts and causes, from counters in a store to the answers of the API."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from asgi_client import AsgiClient
from seeing_series import FRONT, NOBODY, NOW, RATINGS, REVIEWS, Calls, Floats, both, minutes, write

from windvane.api.windvane import analytics_releases, analytics_seeing
from windvane.kit.clock import ManualClock
from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine

PREFIX = "/api/windvane/v1/analytics"


def ask(engine: EmbeddedEngine, path: str, **params: str) -> dict[str, Any]:
    asker = analytics_releases.range_asker(QueryEngine(engine))
    client = AsgiClient(analytics_seeing.routes(asker, ManualClock(NOW * 10**9)))
    answer: dict[str, Any] = client.get(f"{PREFIX}/{path}", params).json()
    return answer


def mesh(
    size: int, ratings: Floats, failed: Floats | None = None, way: float = 1.0, per_minute: float = 600
) -> list[Calls]:
    """front calls reviews, which calls ratings: time and failures of ratings are theirs, too."""
    rate, none = minutes(size, per_minute), minutes(size, 0)
    failed = none if failed is None else failed
    seen = ratings + np.where(np.arange(size) >= size - 5, way, 1.0)
    return [
        *both(NOBODY, FRONT, rate, failed, seen + 20)[:1],
        *both(FRONT, REVIEWS, rate, failed, seen + 10),
        Calls("destination", REVIEWS, RATINGS, rate, failed, ratings),
        Calls("source", REVIEWS, RATINGS, rate, failed, seen),
    ]


def late(size: int, usual: float, now: float, last: int = 5) -> Floats:
    """The usual value, with the last minutes another."""
    values = minutes(size, usual)
    values[-last:] = now
    return values


def test_a_slow_service_is_found_below_those_that_wait_for_it(engine: EmbeddedEngine) -> None:
    write(engine, mesh(75, late(75, 8, 200)))
    found = ask(engine, "why", service="front")
    assert (found["signal"], found["namespace"]) == ("latency", "shop")
    assert found["causes"][0]["service"] == "ratings"
    assert found["causes"][0]["caller"] is None
    assert found["causes"][0]["confidence"] > 0.8
    assert found["causes"][0]["path"][0] == "front.shop"
    assert "8 ms a call usually, 200 ms now" in found["causes"][0]["text"]


def test_a_slow_way_is_not_the_fault_of_either_end(engine: EmbeddedEngine) -> None:
    write(engine, mesh(75, minutes(75, 8), way=150))
    cause = ask(engine, "why", service="front")["causes"][0]
    assert (cause["service"], cause["caller"]) == ("ratings", "reviews.shop")
    assert cause["text"].startswith("between reviews.shop and ratings.shop: 9 ms a call usually, 158 ms now")


def test_failures_are_followed_to_where_they_begin(engine: EmbeddedEngine) -> None:
    write(engine, mesh(75, minutes(75, 8), late(75, 0, 90)))
    found = ask(engine, "why", service="front")
    assert found["signal"] == "errors"
    assert found["causes"][0]["service"] == "ratings"


def test_nothing_unusual_has_no_cause(engine: EmbeddedEngine) -> None:
    write(engine, mesh(75, minutes(75, 8)))
    found = ask(engine, "why", service="front")
    assert found["signal"] is None
    assert found["abstained"]
    assert found["notes"][0] == "nothing about its answers is out of the usual"
    assert found["notes"][1].startswith("looked at 3 services and 2 ways between them, the last 10 minutes against 6")


def test_an_anomaly_along_the_calls_is_one_incident(engine: EmbeddedEngine) -> None:
    draw = np.random.default_rng(1)
    slow = 8 * np.exp(draw.normal(0, 0.05, 300))
    slow[-20:] *= 12
    write(engine, mesh(300, slow))
    found = ask(engine, "anomalies", since="1h")
    assert len(found["incidents"]) == 1
    anomalies = found["incidents"][0]["anomalies"]
    assert {(one["service"], one["signal"]) for one in anomalies} == {
        ("ratings", "latency"), ("reviews", "latency"), ("front", "latency")
    }  # fmt: skip
    assert anomalies[0]["service"] == "ratings"
    assert anomalies[0]["start"] - (NOW - 20 * 60) <= 5 * 60
    assert found["incidents"][0]["open"]


def test_a_quiet_mesh_has_no_anomalies(engine: EmbeddedEngine) -> None:
    draw = np.random.default_rng(2)
    write(engine, mesh(400, 8 * np.exp(draw.normal(0, 0.1, 400)), per_minute=60))
    found = ask(engine, "anomalies", since="6h")
    assert found["incidents"] == []
    assert found["services"] == 3


def test_a_series_is_forecast_and_a_short_one_refused(engine: EmbeddedEngine) -> None:
    size = 5 * 1_440
    daily = 100 + 60 * np.sin(2 * np.pi * np.arange(size) / 1_440)
    write(engine, [Calls("destination", NOBODY, FRONT, np.floor(daily), minutes(size, 0), minutes(size, 5))])
    query = 'sum(rate(istio_requests_total{reporter="destination"}[5m]))'
    found = ask(engine, "forecast", query=query, horizon="3h", history="5d")
    series = found["series"][0]
    at = np.arange(1, len(series["mean"]) + 1) * found["step"] / 60 + size - 1
    truth = (100 + 60 * np.sin(2 * np.pi * at / 1_440)) / 60
    assert series["mean"] == pytest.approx(truth, rel=0.05)
    inner, outer = series["bands"]
    assert (inner["share"], outer["share"]) == (0.8, 0.95)
    assert all(low <= high for low, high in zip(outer["low"], inner["low"], strict=True))
    short = ask(engine, "forecast", query=query, horizon="3h", history="2d")["series"][0]
    assert "is too short for a forecast of 0.12 days: 3.0 days without long gaps are needed" in short["refused"]


@pytest.mark.parametrize(
    ("path", "given", "message"),
    [
        ("why", {}, "parameter service is missing"),
        ("why", {"service": "nobody"}, "no HTTP or gRPC calls to service nobody in the 70 minutes before"),
        ("why", {"service": "a", "signal": "load"}, "signal 'load': expected errors, latency or rate"),
        ("anomalies", {"since": "8d"}, "since '8d': expected a minute at least and 7d at most"),
        ("anomalies", {"slo": "99"}, "slo '99': expected a share between 0 and 1, as 0.999"),
        ("anomalies", {"service": "nobody"}, "no istio_requests_total of service nobody in this time"),
        ("forecast", {}, "parameter query is missing"),
    ],
)
def test_what_is_wrong_is_named(engine: EmbeddedEngine, path: str, given: dict[str, str], message: str) -> None:
    assert ask(engine, path, **given)["error"]["message"] == message
