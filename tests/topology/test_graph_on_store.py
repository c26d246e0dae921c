"""The graph and the services from samples in a real engine, through PromQL."""

from __future__ import annotations

import numpy as np
import pytest
from istio_series import Peer, series

from windvane.promql.engine import QueryEngine
from windvane.store.api import Engine
from windvane.store.series import SampleWriter
from windvane.topology.graph import build_graph
from windvane.topology.identity import GraphType
from windvane.topology.model import GraphQuery
from windvane.topology.namespaces import known_namespaces
from windvane.topology.services import service_signals
from windvane.topology.traffic import asker

NOW = 1_790_000_000_000
PAGE = Peer("productpage-v1", app="productpage")
REVIEWS = [Peer(f"reviews-{version}", app="reviews", version=version) for version in ("v1", "v2", "v3")]
WEIGHTS = (90, 9, 1)


@pytest.fixture
def stored(engine: Engine) -> Engine:
    """Two minutes of counters every 5 s; per second 10 requests split 90/9/1, all within 10 ms."""
    writer = SampleWriter(engine)
    labels, rates = [], []
    for peer, weight in zip(REVIEWS, WEIGHTS, strict=True):
        for reporter in ("source", "destination"):
            base = series(reporter, PAGE, peer, "reviews")
            labels.append({"__name__": "istio_requests_total", **base})
            rates.append(weight / 10)
            for le in ("5", "10", "+Inf"):
                labels.append({"__name__": "istio_request_duration_milliseconds_bucket", **base, "le": le})
                rates.append(0.0 if le == "5" else weight / 10)
    for second in range(0, 125, 5):
        times = np.full(len(labels), NOW - 120_000 + second * 1_000)
        writer.write(labels, times, np.array(rates) * second)
    return engine


def test_graph(stored: Engine) -> None:
    query = GraphQuery(NOW, 60, GraphType.VERSIONED_APP, frozenset({"shop"}))
    graph = build_graph(asker(QueryEngine(stored)), query)
    split = {graph.nodes[edge.target].key.version: edge for edge in graph.edges}
    assert {version: edge.total for version, edge in split.items()} == pytest.approx({"v1": 9.0, "v2": 0.9, "v3": 0.1})
    assert {edge.mtls for edge in graph.edges} == {100.0}
    assert split["v1"].response_time == pytest.approx(9.75)
    assert split["v1"].source_principal == "spiffe://cluster.local/ns/shop/sa/productpage-v1"
    assert build_graph(asker(QueryEngine(stored)), GraphQuery(NOW - 10**9, 60)).edges == []


def test_services_and_namespaces(stored: Engine) -> None:
    [reviews] = service_signals(asker(QueryEngine(stored)), NOW, 60)
    assert reviews.rate == pytest.approx(10.0)
    assert {version.version: version.rate for version in reviews.versions} == pytest.approx(
        {"v1": 9, "v2": 0.9, "v3": 0.1}
    )
    assert reviews.p95_ms == pytest.approx(9.75)
    assert reviews.mtls == 1.0
    assert known_namespaces(stored) == ["shop"]
