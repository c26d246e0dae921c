"""The graph by Kiali's rules: reporters, unknown ends, injected services, protocols, latency, mTLS."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from istio_series import NOBODY, Peer, Rates, metrics_asked, series, without_request

from windvane.topology.graph import build_graph
from windvane.topology.health import Status
from windvane.topology.identity import GraphType
from windvane.topology.model import Edge, Graph, GraphQuery, Node

GATEWAY = Peer("gateway", "edge", "gateway", "latest")
PAGE = Peer("productpage-v1", app="productpage")
REVIEWS_1 = Peer("reviews-v1", app="reviews")
REVIEWS_2 = Peer("reviews-v2", app="reviews", version="v2")
DB = Peer("mongodb-v1", app="mongodb")
QUERY = GraphQuery(time_ms=1_790_000_000_000, window_s=60)


def _named(graph: Graph) -> dict[tuple[str, str, str], Edge]:
    ids = [node.key.id for node in graph.nodes]
    return {(ids[edge.source], ids[edge.target], edge.protocol): edge for edge in graph.edges}


def _nodes(graph: Graph) -> dict[str, Node]:
    return {node.key.id: node for node in graph.nodes}


@pytest.fixture
def rates() -> Rates:
    built = Rates()
    built.both(GATEWAY, PAGE, 10.0)
    built.both(PAGE, REVIEWS_1, 6.0, service="reviews")
    built.both(PAGE, REVIEWS_2, 3.0, service="reviews")
    built.both(PAGE, REVIEWS_2, 1.0, service="reviews", response_code="503")
    return built


def test_what_both_proxies_saw_counts_once(rates: Rates) -> None:
    graph = build_graph(rates, QUERY)
    edges = _named(graph)
    assert edges["wl_Kubernetes_edge_gateway", "wl_Kubernetes_shop_productpage-v1", "http"].rates == {"http": 10.0}
    failing = edges["wl_Kubernetes_shop_productpage-v1", "wl_Kubernetes_shop_reviews-v2", "http"]
    assert failing.rates == {"http": 4.0, "http5xx": 1.0}
    host = "reviews.shop.svc.cluster.local"
    assert {code: (d.flags, d.hosts) for code, d in failing.responses.items()} == {
        "200": ({"-": 3.0}, {host: 3.0}),
        "503": ({"-": 1.0}, {host: 1.0}),
    }
    page = _nodes(graph)["wl_Kubernetes_shop_productpage-v1"]
    assert page.rates == {"httpIn": 10.0, "httpOut": 10.0}
    assert _nodes(graph)["wl_Kubernetes_shop_reviews-v2"].rates == {"httpIn": 4.0, "httpIn5xx": 1.0}


def test_one_query_a_metric_whatever_the_namespaces(rates: Rates) -> None:
    build_graph(rates, replace(QUERY, namespaces=frozenset({"shop", "edge"}), throughput="response"))
    asked = list(metrics_asked(rates))
    assert len(asked) == len(set(asked)) == 4


def test_what_never_arrived_is_told_by_the_source(rates: Rates) -> None:
    gone = replace(NOBODY, cluster="unknown")
    labels = series("source", PAGE, gone, "reviews", namespace="shop", response_code="503", response_flags="UH")
    rates.add("istio_requests_total", labels, 2.0)
    edges = _named(build_graph(rates, QUERY))
    edge = edges["wl_Kubernetes_shop_productpage-v1", "svc_Kubernetes_shop_reviews", "http"]
    assert edge.rates == {"http": 2.0, "http5xx": 2.0}
    assert edge.responses["503"].flags == {"UH": 2.0}
    assert edge.mtls is None


def test_app_and_versioned_app_graphs(rates: Rates) -> None:
    edges = _named(build_graph(rates, replace(QUERY, graph_type=GraphType.APP)))
    assert edges["app_Kubernetes_shop_productpage", "app_Kubernetes_shop_reviews", "http"].rates["http"] == 10.0
    versions = build_graph(rates, replace(QUERY, graph_type=GraphType.VERSIONED_APP))
    node = _nodes(versions)["vapp_Kubernetes_shop_reviews-v2"]
    assert (node.key.app, node.key.version, node.key.workload) == ("reviews", "v2", "reviews-v2")


def test_injected_service_nodes_split_the_hop(rates: Rates) -> None:
    graph = build_graph(rates, replace(QUERY, inject_services=True))
    edges = _named(graph)
    service = "svc_Kubernetes_shop_reviews"
    assert edges["wl_Kubernetes_shop_productpage-v1", service, "http"].rates == {"http": 10.0, "http5xx": 1.0}
    assert edges[service, "wl_Kubernetes_shop_reviews-v1", "http"].rates == {"http": 6.0}
    assert _nodes(graph)[service].rates["httpIn"] == _nodes(graph)[service].rates["httpOut"] == 10.0
    assert _nodes(graph)[service].status is Status.Failure


def test_service_graph_has_services_and_roots_only(rates: Rates) -> None:
    graph = build_graph(rates, replace(QUERY, graph_type=GraphType.SERVICE))
    assert set(_nodes(graph)) == {
        "wl_Kubernetes_edge_gateway",
        "svc_Kubernetes_shop_productpage",
        "svc_Kubernetes_shop_reviews",
    }
    edges = _named(graph)
    assert edges["svc_Kubernetes_shop_productpage", "svc_Kubernetes_shop_reviews", "http"].rates == {
        "http": 10.0,
        "http5xx": 1.0,
    }
    assert [node.key.id for node in graph.nodes if node.is_root] == ["wl_Kubernetes_edge_gateway"]


def test_namespaces_select_traffic_in_and_out_and_mark_the_rest(rates: Rates) -> None:
    rates.both(Peer("other-v1", "far"), Peer("else-v1", "far"), 5.0)
    graph = build_graph(rates, replace(QUERY, namespaces=frozenset({"shop"})))
    nodes = _nodes(graph)
    assert "wl_Kubernetes_far_else-v1" not in nodes
    assert nodes["wl_Kubernetes_edge_gateway"].is_outside
    assert not nodes["wl_Kubernetes_shop_reviews-v1"].is_outside
    only_edge = build_graph(rates, replace(QUERY, namespaces=frozenset({"edge"})))
    assert [edge.total for edge in only_edge.edges] == [10.0]


def test_unknown_sources_and_egress_clusters() -> None:
    rates = Rates()
    rates.add("istio_requests_total", series("destination", NOBODY, PAGE), 1.0)
    out = series("source", PAGE, NOBODY, "PassthroughCluster", namespace="unknown", host="example.com")
    rates.add("istio_requests_total", out, 2.0)
    nodes = _nodes(build_graph(rates, QUERY))
    assert nodes["unknown_unknown_source"].key.type == "unknown"
    assert nodes["unknown_unknown_source"].is_inaccessible
    assert nodes["unknown_unknown_source"].is_root
    egress = nodes["svc_unknown_unknown_PassthroughCluster"]
    assert egress.key.type == "service"
    assert egress.is_inaccessible


def test_telemetry_that_cannot_be_placed_is_left_out() -> None:
    rates = Rates()
    nameless = replace(NOBODY, namespace="shop", cluster="Kubernetes")
    address = series("source", PAGE, NOBODY, "10.0.0.7:80", namespace="unknown", host="10.0.0.7:80")
    for labels in (
        series("source", nameless, PAGE),
        address,
        {**series("source", PAGE, REVIEWS_1), "destination_workload": ""},
        {**series("source", PAGE, REVIEWS_1), "source_cluster": "unknown"},
    ):
        rates.add("istio_requests_total", labels, 1.0)
    assert build_graph(rates, QUERY).edges == []


def test_grpc_codes_and_messages() -> None:
    rates = Rates()
    grpc = {"request_protocol": "grpc"}
    rates.both(PAGE, REVIEWS_1, 4.0, **grpc, grpc_response_status="0")
    rates.both(PAGE, REVIEWS_1, 1.0, **grpc, grpc_response_status="14")
    rates.both(PAGE, REVIEWS_1, 0.5, **grpc, response_code="0")
    labels = without_request(series("source", PAGE, REVIEWS_1))
    rates.add("istio_request_messages_total", labels, 8.0)
    rates.add("istio_response_messages_total", labels, 3.0)
    [edge] = build_graph(rates, QUERY).edges
    assert edge.rates == {"grpc": 5.5, "grpcErr": 1.5}
    assert set(edge.responses) == {"0", "14", "-"}
    [edge] = build_graph(rates, replace(QUERY, grpc="sent")).edges
    assert edge.rates == {"grpc": 8.0}
    assert edge.responses == {}
    [edge] = build_graph(rates, replace(QUERY, grpc="total")).edges
    assert edge.rates == {"grpc": 11.0}
    assert build_graph(rates, replace(QUERY, grpc="none")).edges == []


def test_tcp_sent_is_what_the_server_received() -> None:
    rates = Rates()
    labels = without_request(series("destination", PAGE, DB, response_flags="-"))
    rates.add("istio_tcp_received_bytes_total", labels, 100.0)
    rates.add("istio_tcp_sent_bytes_total", labels, 7.0)
    [edge] = build_graph(rates, QUERY).edges
    assert (edge.rates, edge.protocol, edge.mtls) == ({"tcp": 100.0}, "tcp", 100.0)
    assert edge.responses["-"].flags == {"-": 100.0}
    assert [e.total for e in build_graph(rates, replace(QUERY, tcp="received")).edges] == [7.0]
    assert [e.total for e in build_graph(rates, replace(QUERY, tcp="total")).edges] == [107.0]


def test_mutual_tls_is_summed_over_principals() -> None:
    rates = Rates()
    for account, policy, rate in (("a", "mutual_tls", 1.0), ("b", "mutual_tls", 2.0), ("c", "none", 1.0)):
        labels = series("destination", PAGE, REVIEWS_1, connection_security_policy=policy, source_principal=account)
        rates.add("istio_requests_total", labels, rate)
    [edge] = build_graph(rates, QUERY).edges
    assert edge.mtls == 75.0
    assert edge.source_principal == "b"
    [edge] = build_graph(rates, replace(QUERY, security=False)).edges
    assert edge.mtls is None


def _buckets(rates: Rates, peer: Peer, counts: dict[str, float], reporter: str = "source") -> None:
    for le, count in counts.items():
        labels = {**series(reporter, PAGE, peer, "reviews"), "le": le}
        rates.add("istio_request_duration_milliseconds_bucket", labels, count)


def test_response_times_come_from_merged_buckets(rates: Rates) -> None:
    _buckets(rates, REVIEWS_1, {"10": 9.0, "100": 9.0, "+Inf": 9.0})
    _buckets(rates, REVIEWS_2, {"10": 0.0, "100": 11.0, "+Inf": 11.0})
    _buckets(rates, REVIEWS_1, {"10": 0.0, "100": 0.0, "+Inf": 900.0}, "destination")
    page, one, two = (
        "wl_Kubernetes_shop_productpage-v1",
        "wl_Kubernetes_shop_reviews-v1",
        "wl_Kubernetes_shop_reviews-v2",
    )
    edges = _named(build_graph(rates, replace(QUERY, response_time=0.5)))
    assert edges[page, one, "http"].response_time == pytest.approx(5.0)
    assert edges[page, two, "http"].response_time == pytest.approx(55.0)
    app = _named(build_graph(rates, replace(QUERY, response_time=0.5, graph_type=GraphType.APP)))
    merged = app["app_Kubernetes_shop_productpage", "app_Kubernetes_shop_reviews", "http"].response_time
    assert merged == pytest.approx(10 + 90 * 1 / 11)
    injected = _named(build_graph(rates, replace(QUERY, response_time=0.5, inject_services=True)))
    assert injected[page, "svc_Kubernetes_shop_reviews", "http"].response_time == pytest.approx(merged)


def test_average_response_time_and_throughput(rates: Rates) -> None:
    for peer, total, count, size in ((REVIEWS_1, 60.0, 6.0, 600.0), (REVIEWS_2, 140.0, 4.0, 100.0)):
        labels = series("source", PAGE, peer, "reviews")
        rates.add("istio_request_duration_milliseconds_sum", labels, total)
        rates.add("istio_request_duration_milliseconds_count", labels, count)
        rates.add("istio_response_bytes_sum", labels, size)
    query = replace(QUERY, graph_type=GraphType.APP, response_time="avg", throughput="response")
    edge = _named(build_graph(rates, query))["app_Kubernetes_shop_productpage", "app_Kubernetes_shop_reviews", "http"]
    assert edge.response_time == pytest.approx(20.0)
    assert edge.throughput == pytest.approx(700.0)


def test_idle_edges_only_when_asked() -> None:
    rates = Rates()
    rates.both(GATEWAY, PAGE, 0.0)
    assert build_graph(rates, QUERY).edges == []
    [edge] = build_graph(rates, replace(QUERY, include_idle=True)).edges
    assert edge.rates == {}
    assert edge.responses == {}


def test_an_empty_store_is_an_empty_graph() -> None:
    for graph_type in GraphType:
        graph = build_graph(Rates(), replace(QUERY, graph_type=graph_type, throughput="request", tcp="total"))
        assert (graph.nodes, graph.edges) == ([], [])


_peers = st.sampled_from([GATEWAY, PAGE, REVIEWS_1, REVIEWS_2, NOBODY])
_rows = st.tuples(
    _peers, _peers, st.sampled_from(["reviews", "productpage"]), st.sampled_from(["200", "404", "503", "0"]),
    st.sampled_from(["-", "UF"]), st.floats(0.01, 50),
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(_rows, max_size=12), st.sampled_from([GraphType.WORKLOAD, GraphType.APP, GraphType.VERSIONED_APP]),
       st.booleans())  # fmt: skip
def test_the_graphs_sums_are_the_metrics_sums(rows, graph_type: GraphType, inject: bool) -> None:
    rates = Rates()
    total = 0.0
    for source, destination, service, code, flags, rate in rows:
        if source is destination is NOBODY:
            continue
        rates.both(
            source, destination, rate, service=service, namespace="shop", response_code=code, response_flags=flags
        )
        total += rate
    graph = build_graph(rates, replace(QUERY, graph_type=graph_type, inject_services=inject))
    services = {number for number, node in enumerate(graph.nodes) if node.key.type == "service"}
    arrived = sum(edge.total for edge in graph.edges if not (inject and edge.source in services))
    assert arrived == pytest.approx(total)
    for edge in graph.edges:
        assert sum(sum(d.flags.values()) for d in edge.responses.values()) == pytest.approx(edge.total)
        assert sum(sum(d.hosts.values()) for d in edge.responses.values()) == pytest.approx(edge.total)
    sent = sum(node.rates.get("httpOut", 0.0) for node in graph.nodes)
    assert sent == pytest.approx(sum(node.rates.get("httpIn", 0.0) for node in graph.nodes))
