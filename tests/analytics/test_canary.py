"""The verdict on a canary, from counters in a store to the answer of the API."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from asgi_client import AsgiClient
from canary_series import NOW, write_version

from windvane.api.windvane import analytics_releases
from windvane.kit.clock import ManualClock
from windvane.promql.engine import QueryEngine
from windvane.promql.labels import Labels, Pool
from windvane.promql.value import MatrixResult
from windvane.store.embedded import EmbeddedEngine

ASKED = {"service": "reviews", "baseline": "v1", "canary": "v2", "since": "30m"}


def nothing(query: str, start_ms: int, end_ms: int, step_ms: int) -> MatrixResult:
    """A store without series."""
    return MatrixResult(Labels.of(Pool(), []), np.zeros(1, np.int64), np.zeros(0, np.int64), np.zeros(0))


def verdict(engine: EmbeddedEngine, **more: str) -> dict[str, Any]:
    asker = analytics_releases.range_asker(QueryEngine(engine))
    client = AsgiClient(analytics_releases.routes(asker, ManualClock(NOW * 10**6)))
    answer: dict[str, Any] = client.get("/api/windvane/v1/analytics/canary", {**ASKED, **more}).json()
    return answer


def test_a_canary_that_fails_more_often_has_regressed(engine: EmbeddedEngine) -> None:
    write_version(engine, "v1", minutes=30, requests=600, errors=3)
    write_version(engine, "v2", minutes=30, requests=60, errors=2, born=10)
    found = verdict(engine)
    assert found["verdict"] == "regress"
    assert found["reasons"] == ["errors: 42 of 1260 (3.33 %) in v2, 90 of 18000 (0.5 %) in v1"]
    assert found["evidence"] > found["needed"]
    errors, typical, tail = found["findings"]
    assert errors["low"] > 1
    assert typical["verdict"] == tail["verdict"] == "safe"
    assert [(pod["version"], pod["requests"], pod["errors"]) for pod in found["pods"]] == [
        ("v1", 18000, 90), ("v2", 1260, 42)
    ]  # fmt: skip


def test_requests_that_never_reach_the_canary_are_its_errors(engine: EmbeddedEngine) -> None:
    write_version(engine, "v1", minutes=30, requests=600)
    write_version(engine, "v2", minutes=30, requests=60, lost=5)
    found = verdict(engine)
    assert found["verdict"] == "regress"
    assert found["findings"][0]["text"] == "errors: 150 of 1950 (7.69 %) in v2, 0 of 18000 (0 %) in v1"


def test_where_only_callers_have_proxies_they_tell(engine: EmbeddedEngine) -> None:
    write_version(engine, "v1", minutes=30, requests=600, errors=3, reporter="source")
    write_version(engine, "v2", minutes=30, requests=60, errors=5, reporter="source")
    assert verdict(engine)["error"]["kind"] == "not_found"
    found = verdict(engine, reporter="source")
    assert found["verdict"] == "regress"
    assert found["findings"][0]["text"] == "errors: 150 of 1800 (8.33 %) in v2, 90 of 18000 (0.5 %) in v1"


def test_a_slower_canary_has_regressed(engine: EmbeddedEngine) -> None:
    write_version(engine, "v1", minutes=20, requests=600)
    write_version(engine, "v2", minutes=20, requests=60, slow=0.3)
    found = verdict(engine)
    assert found["verdict"] == "regress"
    assert found["reasons"][0].startswith("t")
    assert found["findings"][0]["verdict"] != "regress"


def test_an_equally_good_canary_becomes_safe(engine: EmbeddedEngine) -> None:
    write_version(engine, "v1", minutes=30, requests=600)
    write_version(engine, "v2", minutes=30, requests=200)
    found = verdict(engine, weights="75,25")
    assert found["verdict"] == "safe"
    assert found["split"] == pytest.approx(1.0)
    assert found["kayenta"]["label"] == "Pass"
    early = verdict(engine, end=str(NOW / 1000 - 27 * 60), since="2m")
    assert early["verdict"] == "more traffic needed"
    assert early["minutes"] > 1
    assert early["minimum"] > 400


def test_a_wrong_split_is_no_safety(engine: EmbeddedEngine) -> None:
    write_version(engine, "v1", minutes=30, requests=600)
    write_version(engine, "v2", minutes=30, requests=200)
    found = verdict(engine, weights="50,50")
    assert found["verdict"] == "more traffic needed"
    assert "not divided by the weights" in found["reasons"][0]


def test_no_traffic_is_no_verdict(engine: EmbeddedEngine) -> None:
    write_version(engine, "v1", minutes=30, requests=600)
    found = verdict(engine)
    assert found["verdict"] == "more traffic needed"
    assert found["reasons"] == ["no requests reached v2: that is no verdict"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"canary": "v1"}, "baseline and canary are both 'v1'"),
        ({"service": ""}, "parameter service is missing"),
        ({"service": "a b"}, "not a service: 'a b' (expected NAME or NAME.NAMESPACE)"),
        ({"weights": "1"}, "weights '1': expected two numbers above zero, as 90,10"),
        ({"alpha": "much"}, "alpha 'much': not a number"),
        ({"margin": "0.5"}, "the margin (0.5) must exceed the tolerated ratio (1)"),
        ({"by": "pod"}, "by 'pod': expected one of version, revision, workload"),
        (
            {"service": "nobody"},
            "no istio_requests_total of service nobody with destination_version v1 or v2 in this time",
        ),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, str], message: str) -> None:
    client = AsgiClient(analytics_releases.routes(nothing, ManualClock(NOW * 10**6)))
    answer = client.get("/api/windvane/v1/analytics/canary", {**ASKED, **given}).json()
    assert answer["error"]["message"] == message
