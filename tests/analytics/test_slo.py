"""Service-level objectives: the workbook's table, budgets that roll, files, and the answer of the API."""

from __future__ import annotations

import math

import numpy as np
import orjson
import pytest
from asgi_client import AsgiClient
from canary_series import NOW, write_version

from windvane.alerting.slo_file import read
from windvane.analytics.slo.burn import DAY, HOUR, TABLE, Seen, firing, time_to_fire
from windvane.analytics.slo.status import status
from windvane.api.windvane import analytics_releases, analytics_slo
from windvane.kit.clock import ManualClock
from windvane.kit.yaml_nodes import FileError
from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine

MINUTES = {
    1.0: (0.864, 2.16, 4.32), 0.1: (8.64, 21.6, 43.2), 0.0144: (math.inf, 150, 300), 0.006: (math.inf, math.inf, 720),
    0.003: (math.inf, math.inf, 1440), 0.001: (math.inf, math.inf, math.inf), 0.015: (57.6, 144, 288),
}  # fmt: skip
"""Minutes until each row fires at a steady share of errors and an objective of 99.9 %; a share at the threshold itself
(1.44 % and 0.6 %) never exceeds it."""
GOOD = """
apiVersion: windvane.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: reviews, namespace: shop}
spec:
  service: reviews
  period: 7d
  errors: {objective: 99.9}
  latency: {objective: 80, threshold: 50ms}
"""


@pytest.mark.parametrize("ratio", MINUTES)
def test_time_to_fire(ratio: float) -> None:
    assert [time_to_fire(ratio, 0.999, row) / 60 for row in TABLE] == pytest.approx(MINUTES[ratio])


def windows(**seen: tuple[float, float]) -> dict[float, Seen]:
    seconds = {"m5": 300.0, "m30": 1_800.0, "h1": HOUR, "h6": 6 * HOUR, "d3": 3 * DAY}
    return {seconds[name]: Seen(*values) for name, values in seen.items()}


def test_both_windows_and_a_floor() -> None:
    quiet = {"m30": (0.0, 100.0), "h6": (0.0, 1_000.0), "d3": (0.0, 10_000.0)}
    assert firing(windows(m5=(20, 1000), h1=(200, 10_000), **quiet), 0.999) == [TABLE[0]]
    assert firing(windows(m5=(0, 1000), h1=(200, 10_000), **quiet), 0.999) == []
    assert firing(windows(m5=(4, 200), h1=(200, 10_000), **quiet), 0.999) == []


def test_a_budget_rolls_and_runs_out() -> None:
    hours = 30 * 24
    all_, bad = np.full(hours, 1_000.0), np.full(hours, 0.5)
    recent = windows(m5=(0, 80), m30=(0, 500), h1=(1, 1_000), h6=(3, 6_000))
    steady = status(bad, all_, recent, 0.999)
    assert steady.remaining == pytest.approx(0.5)
    assert steady.exhaustion is not None
    assert steady.exhaustion.days is None
    bad[-24:] = 5.0
    burning = status(bad, all_, recent, 0.999)
    assert burning.exhaustion is not None
    left = hours * 1.0 - bad.sum()
    assert burning.exhaustion.days == pytest.approx(left / (5.0 - 0.5) / 24, abs=1 / 12)
    assert burning.exhaustion.latest is None
    bad[-24:] = 50.0
    gone = status(bad, all_, recent, 0.999)
    assert gone.remaining < 0
    assert gone.exhaustion is not None
    assert gone.exhaustion.days == 0


def test_unknown_hours_are_not_good_ones() -> None:
    bad, all_ = np.full(48, np.nan), np.full(48, np.nan)
    found = status(bad, all_, windows(m5=(0, 0), m30=(0, 0), h1=(0, 0), h6=(0, 0)), 0.999)
    assert (found.attained, found.exhaustion, found.known_hours, found.alerts) == (None, None, 0, ())


def test_files() -> None:
    first, second = read(GOOD + "---" + GOOD.replace("name: reviews,", "name: two,").replace("7d", "30d"), "slo.yaml")
    assert (first.name, first.slo.name, first.days, second.days) == ("reviews", "reviews.shop", 7, 30)
    assert (first.slo.latency, first.slo.latency_objective) == (0.05, 80)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("99.9", "101"), "slo.yaml:8:23: spec.errors.objective: must lie between 0 and 100 percent, not 101"),
        (("7d", "36h"), "slo.yaml:7:11: spec.period: must be whole days, 1d to 90d, not 36h"),
        (
            ("kind: Service", "kind: Servce"),
            "slo.yaml:3:1: kind: must be ServiceLevelObjective, not ServceLevelObjective",
        ),
        (("threshold", "treshold"), "slo.yaml:9:28: spec.latency.treshold: unknown field"),
        (("name: reviews, ", ""), "slo.yaml:2:1: metadata.name: is missing"),
    ],
)
def test_what_is_wrong_with_a_file_is_told(change: tuple[str, str], message: str) -> None:
    with pytest.raises(FileError) as error:
        read(GOOD.replace(*change), "slo.yaml")
    assert message in error.value.message


def test_status_from_a_store(engine: EmbeddedEngine) -> None:
    write_version(engine, "v1", minutes=8 * 60, requests=100, errors=1, slow=0.1)
    routes = analytics_slo.routes(analytics_releases.range_asker(QueryEngine(engine)), ManualClock(NOW * 10**6))
    body = orjson.dumps({"objectives": GOOD, "file": "slo.yaml"})
    found = AsgiClient(routes).post("/api/windvane/v1/analytics/slo", body).json()["objectives"]
    errors, latency = found
    assert errors["attained"] == pytest.approx(0.99, abs=1e-3)
    assert errors["burn"]["1h"] == pytest.approx(10, rel=0.02)
    assert [alert["long"] for alert in errors["alerts"]] == ["1h", "6h", "3d"]
    assert errors["alerts"][0]["threshold"] == pytest.approx(0.02 * 168)
    assert errors["known_hours"] in (8, 9)
    assert latency["remaining"] == pytest.approx(0.5, abs=0.01)
    assert latency["alerts"] == []
    wrong = AsgiClient(routes).post("/api/windvane/v1/analytics/slo", orjson.dumps({"objectives": "a: 1"}))
    assert wrong.status_code == 400
