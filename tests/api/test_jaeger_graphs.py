"""Jaeger's dependency graph, paths and Monitor tab: shapes, parameters, errors."""

from __future__ import annotations

import json

import pytest
from asgi_client import AsgiClient
from jaeger_traces import NOW, SECOND, SHOP, TRACES
from telemetry_rows import store_spans

from windvane.api import jaeger
from windvane.kit.clock import ManualClock
from windvane.store.api import Engine

MS = NOW // 10**6
ENVELOPE = {"total": 0, "limit": 0, "offset": 0, "errors": None}
LINKS = [
    {"parent": "gateway.shop", "child": "gateway.shop", "callCount": 1},
    {"parent": "gateway.shop", "child": "reviews.shop", "callCount": 1},
    {"parent": "reviews.shop", "child": "ratings", "callCount": 2},
]
SHOP_MS = MS - 10_000  # when the trace of the shop began


@pytest.fixture
def client(engine: Engine) -> AsgiClient:
    store_spans(engine, TRACES)
    return AsgiClient(jaeger.shared_routes(jaeger.JaegerQueries(engine, ManualClock(NOW))))


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, LINKS),
        ({"endTs": MS, "lookback": 60_000}, LINKS),
        ({"service": "ratings"}, LINKS[2:]),
        ({"service": "gateway.shop"}, LINKS[:2]),
        ({"service": "nobody"}, []),
        ({"endTs": SHOP_MS - 1}, []),
        ({"lookback": 9_000}, []),
        ({"endTs": SHOP_MS + 10_000}, LINKS),
        ({"lookback": 10**17}, LINKS),
    ],
)
def test_dependencies(client: AsgiClient, params: dict[str, object], found: list[object]) -> None:
    answer = client.get("/api/dependencies", params=params)
    assert (answer.status_code, answer.json()) == (200, {"data": found, **ENVELOPE})


@pytest.mark.parametrize("path", ["/api/deep-dependencies", "/analytics/v1/dependencies"])
def test_paths_are_those_of_real_traces(client: AsgiClient, path: str) -> None:
    body = client.get(path, params={"service": "ratings", "start": 0, "end": 0}).json()
    steps = [
        {"service": "gateway.shop", "operation": "GET /"},
        {"service": "reviews.shop", "operation": "GET /reviews"},
        {"service": "ratings", "operation": "query"},
    ]
    exemplars = [{"key": "exemplar_trace_id", "value": SHOP}]
    assert {"path": steps, "attributes": exemplars} in body["dependencies"]
    assert len(body["dependencies"]) == 2, "and the orphan's"
    assert client.get(path, params={"service": "ratings", "operation": "other"}).json() == {"dependencies": []}
    early = {"service": "ratings", "end": (NOW - 20 * SECOND) // 1000}
    assert client.get(path, params=early).json() == {"dependencies": []}


def test_rates_are_a_metric_family_without_the_envelope(client: AsgiClient) -> None:
    params = {"service": "reviews.shop", "endTs": MS, "lookback": 10_000, "step": 5_000, "ratePer": 10_000}
    assert client.get("/api/metrics/calls", params=params).json() == {
        "name": "service_call_rate",
        "type": "GAUGE",
        "help": "calls/sec, grouped by service",
        "metrics": [
            {
                "labels": [{"name": "service_name", "value": "reviews.shop"}],
                "metricPoints": [
                    {"gaugeValue": {"doubleValue": 0.0}, "timestamp": "2026-09-21T14:13:10Z"},
                    {"gaugeValue": {"doubleValue": 0.2}, "timestamp": "2026-09-21T14:13:15Z"},
                    {"gaugeValue": {"doubleValue": 0.2}, "timestamp": "2026-09-21T14:13:20Z"},
                ],
            }
        ],
    }


def test_errors_and_latencies(client: AsgiClient) -> None:
    params = {"service": "reviews.shop", "endTs": MS, "lookback": 0, "groupByOperation": "true"}
    errors = client.get("/api/metrics/errors", params=params).json()
    assert errors["name"] == "service_operation_error_rate"
    assert errors["help"] == (
        "error rate, computed as a fraction of errors/sec over calls/sec, grouped by service & operation"
    )
    (metric,) = errors["metrics"]
    assert metric["labels"][1] == {"name": "operation", "value": "GET /reviews"}
    assert [point["gaugeValue"] for point in metric["metricPoints"]] == [{"doubleValue": 0.5}]
    latencies = client.get("/api/metrics/latencies", params={**params, "quantile": "0.95"}).json()
    assert latencies["name"] == "service_operation_latencies"
    assert latencies["help"] == "0.95th quantile latency, grouped by service & operation"
    (point,) = latencies["metrics"][0]["metricPoints"]
    assert point["gaugeValue"]["doubleValue"] == pytest.approx(20, rel=0.01)


def test_kinds_and_services_narrow_the_rates(client: AsgiClient) -> None:
    def services(params: list[tuple[str, object]]) -> list[str]:
        body = client.get("/api/metrics/calls", params=[("endTs", MS), ("step", 600_000), *params]).json()
        return [metric["labels"][0]["value"] for metric in body.get("metrics", [])]

    every: list[tuple[str, object]] = [("service", "gateway.shop"), ("service", "ratings"), ("service", "nobody")]
    assert services(every) == ["gateway.shop"], "server spans unless told otherwise"
    assert services([*every, ("spanKind", "client")]) == ["gateway.shop", "ratings"]
    assert services([*every, ("spanKind", "internal"), ("spanKind", "producer")]) == ["ratings"]
    assert services([("service", "gateway.shop,reviews.shop")]) == ["gateway.shop", "reviews.shop"], (
        "as Jaeger's UI asks"
    )
    assert services([("service", "nobody")]) == []


def test_the_shortest_step(client: AsgiClient) -> None:
    assert client.get("/api/metrics/minstep").json() == {"data": 1, **ENVELOPE}


INVALID = 'strconv.ParseInt: parsing "x": invalid syntax'


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        ("dependencies", {"endTs": "x"}, f"unable to parse param 'endTs': {INVALID}"),
        ("dependencies", {"lookback": "x"}, f"unable to parse param 'lookback': {INVALID}"),
        ("deep-dependencies", {"start": "x"}, f"unable to parse param 'start': {INVALID}"),
        ("metrics/calls", {}, "unable to parse param 'service': please provide at least one service name"),
        ("metrics/latencies", {}, "unable to parse param 'quantile': strconv.ParseFloat: parsing \"\": invalid syntax"),
        ("metrics/latencies", {"quantile": "2", "service": "a"},
         "unable to parse param 'quantile': must be between 0 and 1, is 2"),
        ("metrics/errors", {"service": "a", "groupByOperation": "x"},
         "unable to parse param 'groupByOperation': strconv.ParseBool: parsing \"x\": invalid syntax"),
        ("metrics/errors", {"service": "a", "spanKind": "x"},
         "unable to parse param 'spanKind': unsupported span kind: 'x'"),
        ("metrics/calls", {"service": "a", "endTs": "x"}, f"unable to parse param 'endTs': {INVALID}"),
        ("metrics/calls", {"service": "a", "lookback": "x"}, f"unable to parse param 'lookback': {INVALID}"),
        ("metrics/calls", {"service": "a", "step": "x"}, f"unable to parse param 'step': {INVALID}"),
        ("metrics/calls", {"service": "a", "ratePer": "x"}, f"unable to parse param 'ratePer': {INVALID}"),
        ("metrics/calls", {"service": "a", "step": "0"},
         "step and ratePer must be positive, and no longer than ten years"),
        ("metrics/calls", {"service": "a", "step": "1"},
         "more than 11000 points: ask for a longer step or a shorter lookback"),
    ],
)  # fmt: skip
def test_errors_are_jaegers(client: AsgiClient, path: str, params: dict[str, str], message: str) -> None:
    answer = client.get(f"/api/{path}", params=params)
    assert answer.status_code == 400
    assert json.loads(answer.text)["errors"] == [{"code": 400, "msg": message}]
