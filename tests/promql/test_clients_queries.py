"""Queries as Kiali and Istio's dashboards send them, on two minutes of Istio's series."""

# ruff: noqa: E501 - queries stay as they are sent

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from promql_samples import TestSeries, store

from windvane.promql.engine import QueryEngine
from windvane.promql.value import VectorResult
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate

NOW = 1_700_000_000_000
BASE = {
    "reporter": "destination", "source_workload": "web", "source_workload_namespace": "shop", "source_cluster": "c",
    "source_canonical_service": "web", "source_canonical_revision": "v1", "destination_cluster": "c",
    "destination_workload": "reviews", "destination_workload_namespace": "shop", "destination_service": "reviews.shop.svc",
    "destination_service_name": "reviews", "destination_service_namespace": "shop", "request_protocol": "http",
    "destination_canonical_service": "reviews", "destination_canonical_revision": "v1", "response_flags": "-",
    "connection_security_policy": "mutual_tls", "source_principal": "spiffe://a", "destination_principal": "spiffe://b",
    "grpc_response_status": "",
}  # fmt: skip
GROUP = (
    "source_cluster, source_workload_namespace, source_workload, source_canonical_service, source_canonical_revision, "
    "destination_cluster, destination_service_namespace, destination_service, destination_service_name, "
    "destination_workload_namespace, destination_workload, destination_canonical_service, destination_canonical_revision"
)
DURATION = "istio_request_duration_milliseconds"


@pytest.fixture(scope="module")
def queries(data_directory: Path) -> Iterator[QueryEngine]:
    engine = EmbeddedEngine.open(data_directory, database="clients")
    migrate(engine, Retention(default=None))
    times = NOW - 120_000 + 5000 * np.arange(25)
    grown = 10.0 * np.arange(25)
    series = [
        TestSeries({"__name__": "istio_requests_total", "response_code": code, **BASE}, times, share * grown)
        for code, share in (("200", 0.9), ("503", 0.1))
    ]
    series += [
        TestSeries({"__name__": f"{DURATION}_bucket", "le": le, **BASE}, times, share * grown)
        for le, share in (("10", 0.5), ("25", 0.9), ("+Inf", 1.0))
    ]
    series += [
        TestSeries({"__name__": f"{DURATION}_{part}", **BASE}, times, scale * grown)
        for part, scale in (("sum", 12.0), ("count", 1.0))
    ]
    series.append(TestSeries({"__name__": "istio_tcp_sent_bytes_total", "app": "reviews", **BASE}, times, 100 * grown))
    series.append(TestSeries({"__name__": "pilot_xds", "pod": "istiod"}, times, np.full(25, 7.0)))
    store(engine, series)
    yield QueryEngine(engine)
    engine.command("DROP DATABASE clients")
    engine.close()


def value(queries: QueryEngine, query: str) -> float:
    """The only value of a query."""
    result = queries.instant(query, NOW).value
    assert isinstance(result, VectorResult)
    assert len(result.values) == 1, result.metrics
    return float(result.values[0])


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        # Kiali: the graph.
        ('round(sum(rate(istio_requests_total{reporter="destination",destination_workload_namespace="shop",'
         f'response_code="503"}} [60s])) by ({GROUP},request_protocol,response_code,grpc_response_status,'
         "response_flags) > 0,0.001)", 0.2),
        (f'histogram_quantile(0.95, sum(rate({DURATION}_bucket{{reporter="destination"}}[60s])) by (le,{GROUP}))', 25.0),
        (f"sum(rate({DURATION}_sum[60s])) by ({GROUP}) / sum(rate({DURATION}_count[60s])) by ({GROUP}) > 0", 12.0),
        ('(sum(rate(istio_requests_total{source_workload="nobody"}[60s])) by (source_principal)) OR '
         '(sum(rate(istio_tcp_sent_bytes_total{app!="ztunnel"}[60s])) by (source_principal))', 200.0),
        # Kiali: errors, overview, discovery.
        ('(sum(rate(istio_requests_total{response_code=~"^0$|^[4-5]\\\\d\\\\d$"}[1m])) OR sum(rate(istio_requests_total'
         '{grpc_response_status=~"^[1-9]$|^1[0-6]$",response_code!~"^0$|^[4-5]\\\\d\\\\d$"}[1m])))', 0.2),
        (f'round(topk(6, histogram_quantile(0.5, sum(rate({DURATION}_bucket{{destination_workload!="unknown"}}[1m])) by '
         "(le,destination_cluster,destination_service_namespace,destination_service_name)) > 0), 0.001)", 10.0),
        ('count({__name__="pilot_xds"}) by (__name__)', 1.0),
        ("delta(pilot_xds{pod=\"istiod\"}[10m0s])", 0.0),
        # Istio's dashboards.
        ('sum(rate(istio_requests_total{reporter=~"source|destination", response_code!~"5.*"}[1m])) / '
         'sum(rate(istio_requests_total{reporter=~"source|destination"}[1m]))', 0.9),
        ('label_join(sum(rate(istio_requests_total{reporter="destination"}[1m])) by (destination_workload, '
         'destination_workload_namespace), "destination_workload_var", ".", "destination_workload", '
         '"destination_workload_namespace")', 2.0),
        (f'(histogram_quantile(0.50, sum(irate({DURATION}_bucket{{reporter=~"destination"}}[1m])) by (le)) / 1000) or '
         'histogram_quantile(0.50, sum(irate(istio_request_duration_seconds_bucket[1m])) by (le))', 0.01),
        ('sum(irate(istio_requests_total{connection_security_policy="mutual_tls", '
         'destination_service=~"reviews.shop.*", response_code=~"200"}[5m])) by (destination_workload)', 1.8),
    ],
)  # fmt: skip
def test_clients_queries(queries: QueryEngine, query: str, wanted: float) -> None:
    assert value(queries, query) == pytest.approx(wanted)


def test_raw_rates_keep_every_label(queries: QueryEngine) -> None:
    query = 'rate(istio_requests_total{destination_service_namespace="shop",destination_cluster=~"c|unknown"}[5m]) > 0'
    result = queries.instant(query, NOW).value
    assert isinstance(result, VectorResult)
    kept = {name: value for name, value in BASE.items() if value}
    assert [{**metric, "response_code": ""} for metric in result.metrics] == [{**kept, "response_code": ""}] * 2
