"""Queries as Kiali and Istio's dashboards send them, on two minutes of Istio's series."""

# ruff: noqa: E501 - queries stay as they are sent

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from promql_samples import TestSeries, store

from windvane.promql.engine import QueryEngine
from windvane.promql.parse import parse
from windvane.promql.printer import pretty, to_text
from windvane.promql.value import MatrixResult, VectorResult
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


SERVICE = 'reporter=~"source|destination", destination_service=~"reviews.shop.svc"'
WORKLOAD = 'destination_workload_namespace=~"shop", destination_workload=~"reviews", reporter=~"destination"'
AT_LEAST_PARSED = [
    # Istio's dashboards: mesh.
    'round(sum(irate(istio_requests_total{reporter=~"source|waypoint"}[1m])), 0.01)',
    'sum(rate(istio_requests_total{reporter=~"source|waypoint", response_code=~"4.*"}[1m])) or vector(0)',
    "sum(istio_build) by (component, tag)",
    'label_join(sum(rate(istio_tcp_received_bytes_total{reporter="source"}[1m])) by (destination_workload, '
    'destination_workload_namespace, destination_service), "destination_workload_var", ".", "destination_workload", '
    '"destination_workload_namespace")',
    'max(pilot_k8s_cfg_events{type="VirtualService", event="add"}) - (max(pilot_k8s_cfg_events{type="VirtualService", '
    'event="delete"}) or max(up * 0))',
    # Istio's dashboards: services and workloads.
    f'sum(irate(istio_requests_total{{{SERVICE}, response_code!~"5.*"}}[5m])) / sum(irate(istio_requests_total{{{SERVICE}}}[5m]))',
    f"sum(irate(istio_tcp_received_bytes_total{{{SERVICE}}}[1m])) + sum(irate(istio_tcp_sent_bytes_total{{{SERVICE}}}[1m]))",
    f'round(sum(irate(istio_requests_total{{connection_security_policy!="mutual_tls", {WORKLOAD}}}[5m])) by '
    "(source_workload, source_workload_namespace, response_code), 0.001)",
    f"histogram_quantile(0.99, sum(irate({DURATION}_bucket{{{WORKLOAD}}}[1m])) by (destination_workload, le))",
    f"(histogram_quantile(0.90, sum(irate(istio_request_bytes_bucket{{{WORKLOAD}}}[1m])) by (source_workload, le)))  or "
    "histogram_quantile(0.90, sum(irate(istio_request_bytes_bucket[1m])) by (le))",
    "sum(istio_requests_total) by (destination_service) or sum(istio_tcp_sent_bytes_total) by (destination_service)",
    # Istio's dashboards: control plane, performance, ztunnel, extensions.
    'sum(irate(pilot_xds_pushes{type=~"cds|eds|lds|rds|sds|nds"}[1m])) by (type)',
    "histogram_quantile(0.999, sum(rate(pilot_proxy_convergence_time_bucket[1m])) by (le))",
    'sum(rate(container_cpu_usage_seconds_total{container="discovery", pod=~"istiod-.*"}[1m])) by (pod)',
    '(sum(irate(container_cpu_usage_seconds_total{pod=~"istio-ingressgateway-.*",container="istio-proxy"}[1m])) / '
    '(round(sum(irate(istio_requests_total{source_workload="istio-ingressgateway", reporter="source"}[1m])), 0.001)/1000))'
    ' / ((sum(irate(istio_requests_total{source_workload="istio-ingressgateway", reporter="source"}[1m])) > bool 10))',
    'sum(go_goroutines{app="istiod"}) by (pod)',
    "sum(delta(pilot_push_triggers[1m])) by (type)",
    'avg(envoy_wasm_vm_null_active{app=~"a|"}) * 1e-3',
    'sum by (pod) (rate(istio_tcp_connections_opened_total{pod=~"ztunnel-.*"}[5m0s]))',
    "sum by (ref) (irate(workload_manager_pending_proxy_count[2m])) unless on () absent(up)",
    "max_over_time(sum(rate(istio_requests_total[1m]))[10m:1m])",
    # Kiali.
    f'round(sum(rate(istio_requests_total{{reporter="source",source_workload_namespace!="shop",destination_workload_namespace='
    f'"unknown",destination_workload="unknown",destination_service=~"^.+\\\\.shop\\\\..+$"}} [600s])) by ({GROUP},'
    "request_protocol,response_code,grpc_response_status,response_flags) > 0,0.001)",
    f'round(sum(rate(istio_tcp_sent_bytes_total{{app!="ztunnel",reporter=~"waypoint|destination",'
    f'destination_workload_namespace="shop"}} [60s])) by (app,{GROUP},response_flags) > 0,0.001)',
    'delta(pilot_proxy_convergence_time_count{pod="istiod"}[10m0s])',
    'sum(irate(container_cpu_usage_seconds_total{pod=~"ztunnel-.*"}[1m])) by (pod)',
    'sum(istio_build{component="ztunnel"}) by (tag)',
    'rate(istio_requests_total{source_workload_namespace="shop",source_cluster=~"c|unknown"}[5m]) > 0',
    'count({app="reviews"}) by (__name__)',
]


@pytest.mark.parametrize("query", AT_LEAST_PARSED)
def test_clients_queries_run(queries: QueryEngine, query: str) -> None:
    assert isinstance(queries.instant(query, NOW).value, VectorResult)
    assert isinstance(queries.range(query, NOW - 60_000, NOW, 15_000).value, MatrixResult)
    assert parse(pretty(parse(query))) == parse(to_text(parse(query)))
