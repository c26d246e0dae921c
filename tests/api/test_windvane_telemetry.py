"""Own routes: services with golden signals, access logs, and their description as OpenAPI."""

from __future__ import annotations

from typing import Any

import pytest
from asgi_client import AsgiClient
from istio_series import NOBODY, Peer, Rates, series, without_request
from telemetry_rows import store_entries

from windvane.api.windvane import telemetry
from windvane.api.windvane.docs import operations
from windvane.kit.clock import ManualClock
from windvane.store.api import Engine

NOW = 1_790_000_000 * 10**9
PAGE = Peer("productpage-v1", app="productpage")
REVIEWS = [Peer(f"reviews-{version}", app="reviews", version=version) for version in ("v1", "v2")]


@pytest.fixture
def rates() -> Rates:
    built = Rates()
    for peer, rate in zip(REVIEWS, (9.0, 1.0), strict=True):
        built.both(PAGE, peer, rate, service="reviews")
    built.both(PAGE, REVIEWS[1], 1.0, service="reviews", response_code="503")
    lost = series("source", PAGE, NOBODY, "reviews", namespace="shop", response_code="0", response_flags="UF")
    built.add("istio_requests_total", lost, 1.0)
    for peer, slow in zip(REVIEWS, (0.0, 4.0), strict=True):
        for le, count in {"10": 4.0 - slow, "100": 4.0, "+Inf": 4.0}.items():
            labels = {**series("source", PAGE, peer, "reviews"), "le": le}
            built.add("istio_request_duration_milliseconds_bucket", labels, count)
    tcp = without_request(series("destination", REVIEWS[0], Peer("mongodb-v1", app="mongodb")))
    built.add("istio_tcp_connections_opened_total", tcp, 0.25)
    return built


@pytest.fixture
def client(engine: Engine, rates: Rates) -> AsgiClient:
    return AsgiClient(telemetry.routes(engine, rates, ManualClock(NOW)))


def test_services(client: AsgiClient) -> None:
    answer: dict[str, Any] = client.get("/api/windvane/v1/services", {"window": "30s"}).json()
    mongodb, reviews = answer["services"]
    assert reviews["name"] == "reviews"
    assert reviews["namespace"] == "shop"
    assert reviews["host"] == "reviews.shop.svc.cluster.local"
    assert reviews["protocols"] == ["http"]
    assert reviews["rate"] == pytest.approx(12.0)
    assert reviews["error_ratio"] == pytest.approx(2 / 12)
    assert reviews["p50_ms"] == pytest.approx(10.0)
    assert reviews["p95_ms"] == pytest.approx(91.0)
    assert reviews["mtls"] == pytest.approx(1.0)
    assert reviews["health"] == "Degraded"
    versions = {version["version"]: version for version in reviews["versions"]}
    assert {name: version["rate"] for name, version in versions.items()} == {"v1": 9.0, "v2": 2.0}
    assert versions["v2"]["error_ratio"] == pytest.approx(0.5)
    assert versions["v1"]["p95_ms"] == pytest.approx(9.5)
    assert (mongodb["protocols"], mongodb["rate"], mongodb["p95_ms"]) == (["tcp"], 0.25, None)
    assert mongodb["health"] == "NA"


def test_one_service_and_none(client: AsgiClient) -> None:
    assert client.get("/api/windvane/v1/services/shop/reviews").json()["rate"] == pytest.approx(12.0)
    missing = client.get("/api/windvane/v1/services/shop/nothing")
    assert missing.status_code == 404
    assert missing.json()["error"]["kind"] == "not_found"


def test_access_logs(client: AsgiClient, engine: Engine) -> None:
    store_entries(engine, [{"Timestamp": NOW, "TraceId": "a" * 32, "Path": "/x"}, {"Timestamp": NOW - 10**9}])
    found = client.get("/api/windvane/v1/access-logs", {"trace_id": "A" * 32}).json()["entries"]
    assert [entry["path"] for entry in found] == ["/x"]
    window = {"start": NOW // 10**9 - 1, "end": f"{NOW // 10**9 - 0.5}"}
    assert len(client.get("/api/windvane/v1/access-logs", window).json()["entries"]) == 1


@pytest.mark.parametrize(
    ("path", "params"),
    [("services", {"window": "soon"}), ("services", {"window": "0s"}), ("services", {"time": "x"}),
     ("access-logs", {"limit": "0"}), ("access-logs", {"limit": "x"}), ("access-logs", {"start": "-1"})],
)  # fmt: skip
def test_bad_parameters(client: AsgiClient, path: str, params: dict[str, str]) -> None:
    answer = client.get(f"/api/windvane/v1/{path}", params)
    assert answer.status_code == 400
    assert answer.json()["error"]["kind"] == "bad_input"


def test_routes_describe_themselves(engine: Engine, rates: Rates) -> None:
    paths, schemas = operations(telemetry.routes(engine, rates, ManualClock(NOW)))
    assert set(paths) == {
        "/api/windvane/v1/services", "/api/windvane/v1/services/{namespace}/{name}", "/api/windvane/v1/access-logs",
    }  # fmt: skip
    assert {"Service", "Services", "Version", "Entries", "ErrorBody"} <= set(schemas)
    window = paths["/api/windvane/v1/services"]["get"]["parameters"][0]
    assert (window["name"], window["in"], window["schema"]["default"]) == ("window", "query", "1m")
