"""The demo as its user sees it through the APIs: every service, the split, one trace, mTLS everywhere."""

from __future__ import annotations

from typing import Any

import pytest
from demo_process import SERVICES, Demo, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

NAMESPACES = "shop,payments,istio-system"


def graph(demo: Demo, kind: str = "versionedApp", duration: str = "60s") -> tuple[dict[str, Any], list[Any]]:
    answer = demo.get("/api/namespaces/graph", namespaces=NAMESPACES, graphType=kind, duration=duration)
    nodes = {node["data"]["id"]: node["data"] for node in answer["elements"]["nodes"]}
    return nodes, [edge["data"] for edge in answer["elements"]["edges"]]


def test_the_graph_shows_every_service(demo: Demo) -> None:
    def missing() -> set[str]:
        nodes, _ = graph(demo, "app")
        return SERVICES - {node.get("app", "") for node in nodes.values()}

    until(lambda: not missing(), 60, "a graph with all services")


def test_the_versions_of_reviews_share_as_weighted(demo: Demo) -> None:
    query = 'sum(istio_requests_total{reporter="source",destination_service_name="reviews"}) by (destination_version)'
    until(lambda: demo.scalar(query) > 1200, 120, "1,200 requests to reviews")
    counts = {dict(labels)["destination_version"]: value for labels, value in demo.promql(query).items()}
    share = {version: 100 * count / sum(counts.values()) for version, count in counts.items()}
    assert share == {
        "v1": pytest.approx(90, abs=3),
        "v2": pytest.approx(9, abs=3),
        "v3": pytest.approx(1, abs=3),
    }


def test_every_http_edge_between_sidecars_is_mutual_tls(demo: Demo) -> None:
    nodes, edges = graph(demo)
    http = [edge for edge in edges if edge["traffic"].get("protocol") in ("http", "grpc")]
    assert len(http) >= 10
    plain = [
        (nodes[edge["source"]].get("app"), nodes[edge["target"]].get("app"))
        for edge in http
        if nodes[edge["source"]].get("app") and float(edge.get("isMTLS", 0)) != 100
    ]
    assert plain == []


def _deepest(demo: Demo) -> Any:
    found = demo.get("/api/traces", service="istio-ingressgateway.istio-system", limit=200, lookback="1h")["data"]
    oldest_first = reversed(found)  # of the newest traces not all spans have arrived
    return next((trace for trace in oldest_first if {"fraud.payments", "payment.payments"} <= _services(trace)), None)


def _services(trace: Any) -> set[str]:
    return {process["serviceName"] for process in trace["processes"].values()}


def test_a_trace_from_the_ingress_reaches_the_deepest_service_as_one_tree(demo: Demo) -> None:
    trace = until(lambda: _deepest(demo), 60, "a trace through payment and fraud")
    spans = {span["spanID"]: span for span in trace["spans"]}
    parents = {
        key: [r["spanID"] for r in span["references"] if r["refType"] == "CHILD_OF"] for key, span in spans.items()
    }
    roots = [key for key, parent in parents.items() if not parent]
    assert len(roots) == 1
    assert all(parent[0] in spans for key, parent in parents.items() if parent)
    assert {span["traceID"] for span in spans.values()} == {trace["traceID"]}
    root_service = trace["processes"][spans[roots[0]]["processID"]]["serviceName"]
    assert root_service == "istio-ingressgateway.istio-system"


def test_no_workload_of_the_shop_is_said_to_lose_its_traces(demo: Demo) -> None:
    found = until(lambda: demo.get("/api/windvane/v1/traces/propagation")["workloads"], 60, "calls of workloads")
    assert {one["status"] for one in found} <= {"keeps", "unclear"}


def test_a_trace_has_the_access_log_entries_of_its_request(demo: Demo) -> None:
    trace = until(lambda: _deepest(demo), 60, "a trace through payment and fraud")
    entries = demo.get("/api/windvane/v1/access-logs", trace_id=trace["traceID"])["entries"]
    assert {"source", "destination"} <= {entry["reporter"] for entry in entries}
    assert len({entry["request_id"] for entry in entries}) == 1


def test_both_reporters_count_the_same_requests(demo: Demo) -> None:
    by = "by (source_workload, destination_workload)"
    series = 'istio_requests_total{{reporter="{}",source_workload="frontend-v1",destination_workload="catalog-v1"}}'

    def counts() -> tuple[float, float]:
        source, destination = (demo.scalar(f"sum({series.format(side)}) {by}") for side in ("source", "destination"))
        return source, destination

    source, destination = until(lambda: c if min(c := counts()) > 100 else None, 60, "100 requests to catalog")
    assert destination == pytest.approx(source, rel=0.05)


def test_nothing_was_refused_and_all_sidecars_are_in_sync(demo: Demo) -> None:
    ingest = demo.get("/api/windvane/v1/status")["ingest"]
    assert {"traces", "access_logs"} <= set(ingest)
    assert {signal: counts["refused"] for signal, counts in ingest.items() if counts["refused"]} == {}
    proxies = demo.get("/api/windvane/v1/mesh/proxies")["proxies"]
    assert len(proxies) >= 13
    assert [proxy["node_id"] for proxy in proxies if not proxy["synced"]] == []
    assert [reason for proxy in proxies for kind in proxy["types"] if (reason := kind["nack_reason"])] == []
