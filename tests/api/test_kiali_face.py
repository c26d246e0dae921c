"""Kiali's graph API: its JSON (golden), its parameters and defaults, its errors."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest
from asgi_client import AsgiClient
from istio_series import NOBODY, Peer, Rates, series, without_request
from starlette.datastructures import QueryParams

from windvane.api import kiali
from windvane.api.kiali_json import rate_text
from windvane.kit.clock import ManualClock
from windvane.store.api import Engine
from windvane.topology.model import MeshInfo, ServiceBadges, WorkloadBadges

NOW = 1_790_000_000 * 10**9
GATEWAY = Peer("gateway", "edge", "gateway", "latest")
PAGE = Peer("productpage-v1", app="productpage")
REVIEWS = [Peer(f"reviews-{version}", app="reviews", version=version) for version in ("v1", "v2")]
MESH = MeshInfo(
    namespaces=("idle",),
    services={
        ("shop", "reviews"): ServiceBadges(hosts=("reviews",), traffic_shifting=True, circuit_breaker=True),
        ("shop", "mongodb"): ServiceBadges(service_entry_hosts=("db.example",), location="MESH_EXTERNAL"),
        ("shop", "spare"): ServiceBadges(),
    },
    workloads={
        ("edge", "gateway"): WorkloadBadges({"app": "gateway"}, gateway_hosts=("shop.example",)),
        ("shop", "details-v1"): WorkloadBadges({"app": "details", "version": "v1"}, workload_entry=True),
    },
)


@pytest.fixture
def rates() -> Rates:
    built = Rates()
    built.both(GATEWAY, PAGE, 10.0)
    for peer, rate in zip(REVIEWS, (9.0, 0.004), strict=True):
        built.both(PAGE, peer, rate, service="reviews")
    built.both(PAGE, REVIEWS[0], 1.0, service="reviews", response_code="503", response_flags="UO")
    missing = series("source", PAGE, NOBODY, "ratings", namespace="shop", response_code="0", response_flags="UF")
    built.add("istio_requests_total", missing, 0.5)
    labels = without_request(series("destination", REVIEWS[0], Peer("mongodb-v1", app="mongodb")))
    built.add("istio_tcp_received_bytes_total", labels, 512.0)
    for le, count in {"5": 0.0, "10": 5.0, "+Inf": 5.0}.items():
        labels = {**series("source", GATEWAY, PAGE), "le": le}
        built.add("istio_request_duration_milliseconds_bucket", labels, count)
    built.add("istio_response_bytes_sum", series("source", GATEWAY, PAGE), 4096.0)
    return built


@pytest.fixture
def client(engine: Engine, rates: Rates) -> AsgiClient:
    return AsgiClient(kiali.routes(engine, rates, ManualClock(NOW), lambda: MESH))


@pytest.mark.parametrize("graph_type", ["workload", "app", "versionedApp", "service"])
def test_the_graph_in_kialis_shape(client: AsgiClient, golden: Callable[[str, str], None], graph_type: str) -> None:
    params = {"namespaces": "shop", "graphType": graph_type, "duration": "60s", "boxBy": "namespace,app"}
    answer = client.get("/api/namespaces/graph", params)
    assert answer.status_code == 200
    golden(f"kiali_{graph_type}.json", orjson.dumps(answer.json(), option=orjson.OPT_INDENT_2).decode() + "\n")


def test_every_edge_and_parent_names_a_node_given_before(client: AsgiClient) -> None:
    params = {"graphType": "versionedApp", "injectServiceNodes": "true", "boxBy": "cluster,namespace,app"}
    elements = client.get("/api/namespaces/graph", params).json()["elements"]
    seen: set[str] = set()
    for node in elements["nodes"]:
        assert node["data"].get("parent") in {None, *seen}
        seen.add(node["data"]["id"])
    assert {edge["data"][end] for edge in elements["edges"] for end in ("source", "target")} <= seen
    assert len({edge["data"]["id"] for edge in elements["edges"]}) == len(elements["edges"])


def test_defaults_are_kialis() -> None:
    asked = kiali.graph_request(QueryParams(""), NOW)
    query, boxes = asked.query, asked.boxes
    assert (query.time_ms, query.window_s, query.graph_type) == (NOW // 10**6, 600, "workload")
    assert (query.http, query.grpc, query.tcp, query.response_time, query.throughput) == (
        "requests", "requests", "sent", 0.95, "response",
    )  # fmt: skip
    assert (query.include_idle, query.inject_services, query.namespaces, boxes) == (False, False, None, ())


def test_appenders_choose_what_is_computed(client: AsgiClient, rates: Rates) -> None:
    params = {"appenders": "none", "rateTcp": "none"}
    edges = client.get("/api/namespaces/graph", params).json()["elements"]["edges"]
    assert not any({"isMTLS", "responseTime", "throughput", "healthStatus"} & set(edge["data"]) for edge in edges)
    assert len(rates.asked) == 1


def test_idle_nodes_are_configured_and_without_traffic(client: AsgiClient) -> None:
    def idle(**params: str) -> list[str]:
        answer = client.get("/api/namespaces/graph", {"namespaces": "shop", **params}).json()
        nodes = [node["data"] for node in answer["elements"]["nodes"]]
        return [node.get("workload") or node.get("app") or node["service"] for node in nodes if node.get("isIdle")]

    assert idle(appenders="idleNode") == ["details-v1"]
    assert idle(appenders="idleNode", graphType="app") == ["details"]
    assert idle(appenders="idleNode", graphType="service") == ["spare"]
    assert idle(appenders="none") == []


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"graphType": "tree"}, "Invalid graphType [tree]"),
        ({"duration": "x"}, "Invalid duration [x]"),
        ({"duration": "0s"}, "Invalid duration [0s]"),
        ({"queryTime": "now"}, "Invalid queryTime [now]"),
        ({"boxBy": "app,colour"}, "Invalid boxBy [app,colour]"),
        ({"includeIdleEdges": "maybe"}, "Invalid includeIdleEdges [maybe]"),
        ({"rateGrpc": "x"}, "Invalid rateGrpc [x]"),
        ({"responseTime": "0"}, "Invalid responseTime [0]"),
        ({"throughputType": "x"}, "Invalid throughputType [x]"),
        ({"appenders": "responseTime,magic"}, "Invalid appender [magic]"),
    ],
)
def test_invalid_parameters(client: AsgiClient, params: dict[str, str], message: str) -> None:
    answer = client.get("/api/namespaces/graph", params)
    assert answer.status_code == 400
    assert answer.json() == {"error": message}


def test_namespaces_are_those_of_telemetry_and_configuration(client: AsgiClient, engine: Engine) -> None:
    engine.command(
        "INSERT INTO series (Id, Name, Labels) VALUES (1, 'istio_requests_total', "
        "{'source_workload_namespace': 'edge', 'destination_workload_namespace': 'unknown'}), "
        "(2, 'istio_requests_total', {'destination_service_namespace': 'shop'})"
    )
    assert client.get("/api/namespaces").json() == [{"name": "edge"}, {"name": "idle"}, {"name": "shop"}]


@pytest.mark.parametrize(
    ("rate", "text"), [(12.345, "12.35"), (1.0, "1.00"), (0.5, "0.50"), (0.004, "0.004"), (0.0000001, "0.00000")]
)
def test_small_rates_do_not_read_as_zero(rate: float, text: str) -> None:
    assert rate_text(rate) == text
