"""The requests of Jaeger's clients, in the order and with the parameters that they send them."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from asgi_client import AsgiClient
from jaeger_traces import NOW, SHOP, SHORT, TRACES
from telemetry_rows import store_spans

from windvane.api import jaeger
from windvane.kit.clock import ManualClock
from windvane.store.api import Engine

MICROS = NOW // 1_000
DAY = 86_400 * 10**6


@pytest.fixture
def client(engine: Engine) -> AsgiClient:
    store_spans(engine, TRACES)
    return AsgiClient(jaeger.shared_routes(jaeger.JaegerQueries(engine, ManualClock(NOW))))


def test_kiali_finds_jaeger_and_shows_a_workloads_traces(client: AsgiClient) -> None:
    """Discovery, then what its Traces tab and a trace's page ask (tracing/jaeger/http_client.go)."""
    assert client.get("/jaeger/api/services").json()["data"] == ["gateway.shop", "ratings", "reviews.shop"]
    assert client.get("/api/services").status_code == 200
    tags = '{"error":"true"}'
    found = client.get(
        f"/api/traces?service=reviews.shop&start={MICROS - DAY}&end={MICROS}"
        f"&tags={quote(tags)}&minDuration=10000us&limit=100"
    ).json()
    assert [trace["traceID"] for trace in found["data"]] == [SHOP]
    assert found["errors"] is None
    processes, spans = found["data"][0]["processes"], found["data"][0]["spans"]
    assert {processes[span["processID"]]["serviceName"] for span in spans} == {
        "gateway.shop",
        "reviews.shop",
        "ratings",
    }
    (detail,) = client.get(f"/jaeger/api/traces/{SHOP}").json()["data"]
    assert detail == found["data"][0]
    missing = client.get("/api/traces/00ff")
    assert (missing.status_code, missing.json()["errors"][0]["msg"]) == (404, "trace not found")


def test_grafanas_jaeger_data_source(client: AsgiClient) -> None:
    """Health check, query editor, search, trace view, service graph (pkg/tsdb/jaeger/client.go)."""
    services = client.get("/api/services").json()["data"]
    assert "gateway.shop" in services
    assert client.get("/api/services/gateway.shop/operations").json()["data"] == ["GET /", "call reviews"]
    params = {
        "service": "gateway.shop", "operation": "GET /", "tags": '{"http.status_code":"200"}',
        "minDuration": "1ms", "maxDuration": "5s", "limit": "20",
    }  # fmt: skip
    (trace,) = client.get("/api/traces", params=params).json()["data"]
    assert trace["traceID"] == SHOP
    window = {"start": MICROS - DAY, "end": MICROS}
    assert client.get(f"/api/traces/{SHOP}", params=window).json()["data"] == [trace]
    links = client.get("/api/dependencies", params={"endTs": NOW // 10**6, "lookback": DAY // 1_000}).json()["data"]
    assert {"parent": "reviews.shop", "child": "ratings", "callCount": 2} in links


def test_grafanas_client_of_api_v3(client: AsgiClient) -> None:
    """Times with a zone whose plus is not encoded, older names."""
    found = client.get(
        "/api/v3/traces?query.service_name=gateway.shop&query.operation_name=GET%20/"
        "&query.start_time_min=2026-09-21T02:00:00+02:00&query.start_time_max=2026-09-22T02:00:00+02:00"
        "&query.duration_min=1ms&query.num_traces=20"
    ).json()
    assert found["result"]["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] == SHOP
    assert client.get(f"/api/v3/traces/{SHOP}").status_code == 200


def test_jaegers_own_ui(client: AsgiClient) -> None:
    """Search page, trace page, Monitor, dependencies (jaeger-ui src/api/{jaeger.ts,v3/client.ts})."""
    assert client.get("/api/v3/services").json()["services"]
    assert client.get("/api/v3/operations", params={"service": "gateway.shop"}).json()["operations"]
    times = {"query.startTimeMin": "2026-09-20T14:13:20.000Z", "query.startTimeMax": "2026-09-21T14:13:20.000Z"}
    summaries = client.get(
        "/api/v3/trace-summaries", params={**times, "query.serviceName": "reviews.shop", "query.searchDepth": "20"}
    ).json()["summaries"]
    assert [summary["traceId"] for summary in summaries] == [SHORT, SHOP]
    assert all(len(one["traceId"]) == 32 and one["minStartTimeUnixNano"].isdecimal() for one in summaries)
    (trace,) = client.get(f"/api/traces/{SHOP}").json()["data"]
    assert trace["traceID"] == SHOP
    assert client.post(f"/api/archive/{SHOP}").json()["errors"] == []
    for name in ("latencies", "calls", "errors"):
        params = [
            ("service", "gateway.shop"), ("quantile", "0.95"), ("endTs", NOW // 10**6), ("lookback", 3_600_000),
            ("step", 60_000), ("ratePer", 600_000), ("spanKind", "server"), ("groupByOperation", "true"),
        ]  # fmt: skip
        (metric,) = client.get(f"/api/metrics/{name}", params=params).json()["metrics"]
        assert {label["name"]: label["value"] for label in metric["labels"]} == {
            "service_name": "gateway.shop", "operation": "GET /",
        }  # fmt: skip
    assert client.get("/api/metrics/minstep").json()["data"] == 1
    assert client.get("/api/dependencies", params={"endTs": NOW // 10**6, "lookback": 604_800_000}).json()["data"]
    paths = client.get("/analytics/v1/dependencies", params={"service": "ratings", "start": 0, "end": 0}).json()
    assert paths["dependencies"]
