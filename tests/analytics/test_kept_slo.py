"""Objectives that the server keeps, over HTTP: budgets of history, of what rules recorded, and how they went."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from asgi_client import AsgiClient
from canary_series import NOW, write_version

from windvane.alerting.rules import Alert, State
from windvane.alerting.slo_kept_files import KeptObjectives
from windvane.api.windvane import analytics_releases, objectives
from windvane.api.windvane.objective_sums import HOUR_MS, HourlySums
from windvane.api.windvane.objectives import budget_history
from windvane.kit.clock import ManualClock
from windvane.promql.engine import QueryEngine
from windvane.promql.value import MatrixResult
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

FILE = """
apiVersion: windvane.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: pages, namespace: shop}
spec: {service: reviews, period: 1d, errors: {objective: 99}}
"""
LABELS = {"slo": "pages", "namespace": "shop", "service": "reviews.shop", "sli": "errors"}
FIRING = Alert(
    {"alertname": "SloErrorBudgetBurn", **LABELS, "severity": "page", "window": "1h"}, {"summary": "pages: 10 %"}, 0.1,
    NOW * 10**6, State.FIRING,
)  # fmt: skip
OTHER = Alert({"alertname": "SloErrorBudgetBurn", "slo": "other"}, {}, 0.1, NOW * 10**6, State.FIRING)


def kept(text: str = FILE) -> KeptObjectives:
    found = KeptObjectives(mesh=lambda: {"slo.yaml": text})
    found.look()
    return found


def client(engine: EmbeddedEngine, alerts: Sequence[Alert] = ()) -> AsgiClient:
    ask = analytics_releases.range_asker(QueryEngine(engine))
    return AsgiClient(objectives.routes(kept(), lambda: alerts, ask, ManualClock(NOW * 10**6)))


def test_a_budget_from_history(engine: EmbeddedEngine) -> None:
    write_version(engine, "v1", minutes=9 * 60, requests=100, errors=2)
    asked = client(engine, [FIRING, OTHER])
    (found,) = asked.get("/api/windvane/v1/objectives").json()["objectives"]
    assert (found["name"], found["service"], found["file"], found["line"]) == ("pages", "reviews.shop", "slo.yaml", 2)
    (errors,) = found["indicators"]
    assert errors["remaining"] == pytest.approx(-1, abs=0.02)
    assert errors["burn"]["1h"] == pytest.approx(2, rel=0.02)
    assert errors["exhaustion"]["days"] == 0
    assert [(one["state"], one["window"], one["since"]) for one in errors["alerts"]] == [("firing", "1h", NOW / 1_000)]
    assert [row["threshold"] for row in errors["windows"]] == pytest.approx([1, 1, 1])
    assert errors["windows"][0]["exceeded"]
    one = asked.get("/api/windvane/v1/objectives/shop/pages").json()["indicators"][0]
    assert one["history"]["step"] == 3_600
    assert len(one["history"]["times"]) == 24
    assert one["history"]["remaining"][-1] == pytest.approx(errors["remaining"])
    assert one["history"]["remaining"][0] is None
    missing = asked.get("/api/windvane/v1/objectives/shop/none")
    assert (missing.status_code, missing.json()["error"]["message"]) == (404, "no objective none in namespace shop")


def test_the_first_hours_are_told_as_recorded(engine: EmbeddedEngine) -> None:
    end = NOW - NOW % 120_000
    times = end - 120_000 * np.arange(5)[::-1]
    rows = [
        ({"__name__": "windvane_slo_error_budget_remaining", **LABELS}, [1.0, 0.9, 0.8, 0.8, 0.7]),
        ({"__name__": "windvane_slo_burn_rate", **LABELS, "window": "5m"}, [0.0, 5.0, 5.0, 0.0, 2.0]),
        ({"__name__": "slo:requests:rate5m", **LABELS}, [10.0] * 5),
        ({"__name__": "slo:bad_requests:rate5m", **LABELS}, [0.2] * 5),
    ]  # fmt: skip
    for labels, values in rows:
        SampleWriter(engine).write([labels] * 5, times.astype(np.int64), np.array(values))
    found = client(engine).get("/api/windvane/v1/objectives").json()["objectives"][0]["indicators"][0]
    assert found["remaining"] is None
    assert found["history"]["times"] == (times // 1_000).tolist()
    assert found["history"]["remaining"] == [1.0, 0.9, 0.8, 0.8, 0.7]
    assert found["burn"]["5m"] == pytest.approx(2.0)


def test_whole_hours_are_asked_once(engine: EmbeddedEngine) -> None:
    write_version(engine, "v1", minutes=5 * 60, requests=60, errors=6)
    asked: list[str] = []
    answer = analytics_releases.range_asker(QueryEngine(engine))

    def ask(query: str, start: int, end: int, step: int) -> MatrixResult:
        asked.append(query)
        return answer(query, start, end, step)

    (one,) = kept().objectives[0].indicators()
    sums = HourlySums(ask)
    bad, every = sums.of(one, NOW, 24)
    known = np.flatnonzero(np.isfinite(every))
    assert len(bad) == 24
    assert every[known[1:-1]] == pytest.approx(3_600, rel=0.02)
    assert bad[known[1:-1]] == pytest.approx(360, rel=0.02)
    first = len(asked)
    again = sums.of(one, NOW, 24)
    assert len(asked) - first <= first - 3
    assert again[1] == pytest.approx(every, nan_ok=True)
    sums.forget(frozenset())
    assert not sums._known


def test_recorded_hours_come_before_counted_ones(engine: EmbeddedEngine) -> None:
    hour = NOW // HOUR_MS * HOUR_MS
    times = (hour - 120_000 * np.arange(60)).astype(np.int64)
    for name, value in (("slo:requests:sum2m", 200.0), ("slo:bad_requests:sum2m", 10.0)):
        SampleWriter(engine).write([{"__name__": name, **LABELS}] * 60, times, np.full(60, value))
    (one,) = kept().objectives[0].indicators()
    bad, every = HourlySums(analytics_releases.range_asker(QueryEngine(engine))).of(one, NOW, 6)
    assert every[-3:-1] == pytest.approx([6_000, 6_000])
    assert bad[-3:-1] == pytest.approx([300, 300])
    assert np.isnan(every[0])


def test_history_of_a_budget_rolls() -> None:
    bad, every = np.zeros(48), np.full(48, 100.0)
    bad[10], every[30] = 12.0, np.nan
    found = budget_history(bad, every, 0.99, 100 * HOUR_MS)
    assert found.times[-2:] == [100 * 3_600, 100 * 3_600]
    assert found.remaining[0] == pytest.approx(1 - 12 / 24)
    assert found.remaining[-1] == pytest.approx(1.0)
    assert found.burn[30 - 24] is None
