"""The whole mesh: how much moves, how much fails, and a table of workloads to go on from."""

from __future__ import annotations

from windvane.dashboards.model import Dashboard, Panel, Row, Target, Threshold
from windvane.dashboards.promql import column, per_second, quantile, success, total

_CLIENTS = 'reporter=~"source|waypoint"'
_BY = ("destination_service", "destination_workload", "destination_workload_namespace")
_LABELS = (
    ("destination_service", "Service"),
    ("destination_workload", "Workload"),
    ("destination_workload_namespace", "Namespace"),
)
_LINKS = (
    ("istio-service", (("service", "destination_service"),)),
    ("istio-workload", (("namespace", "destination_workload_namespace"), ("workload", "destination_workload"))),
)


def _code(pattern: str) -> str:
    matchers = f'{_CLIENTS}, response_code=~"{pattern}"'
    return f"{per_second('istio_requests_total', matchers, function='rate')} or vector(0)"


def _latency(q: float) -> str:
    return quantile(q, "istio_request_duration_milliseconds", _CLIENTS, _BY, "rate")


MESH = Dashboard(
    uid="istio-mesh",
    title="Istio mesh",
    description="All traffic of the mesh at a glance: rate, success, and every workload that answers.",
    tags=("istio",),
    rows=(
        Row(
            "Global traffic",
            (
                Panel(
                    "Request rate",
                    "stat",
                    (Target(per_second("istio_requests_total", _CLIENTS, function="rate")),),
                    unit="reqps",
                    width=6,
                    height=4,
                    description="Requests a second, counted where they are sent.",
                ),
                Panel(
                    "Success rate",
                    "stat",
                    (Target(success(_CLIENTS, function="rate")),),
                    unit="percentunit",
                    width=6,
                    height=4,
                    description="The share of requests that did not end in a 5xx.",
                    thresholds=(Threshold("bad"), Threshold("warn", 0.95), Threshold("ok", 0.99)),
                ),
                Panel("4xx", "stat", (Target(_code("4..")),), unit="reqps", width=6, height=4),
                Panel("5xx", "stat", (Target(_code("5..")),), unit="reqps", width=6, height=4),
                Panel(
                    "Requests by response code",
                    "timeseries",
                    (
                        Target(
                            per_second("istio_requests_total", _CLIENTS, ("response_code",), "rate"),
                            "{{response_code}}",
                        ),
                    ),
                    unit="reqps",
                    height=7,
                    stacked=True,
                ),
                Panel(
                    "Request duration",
                    "timeseries",
                    tuple(
                        Target(quantile(q, "istio_request_duration_milliseconds", _CLIENTS, (), "rate"), name)
                        for q, name in ((0.5, "P50"), (0.9, "P90"), (0.99, "P99"))
                    ),
                    unit="ms",
                    height=7,
                ),
            ),
        ),
        Row(
            "Workloads",
            (
                Panel(
                    "HTTP and gRPC workloads",
                    "table",
                    (
                        column(total("istio_requests_total", _CLIENTS, _BY, "rate"), "Requests", "reqps"),
                        column(_latency(0.5), "P50", "ms"),
                        column(_latency(0.9), "P90", "ms"),
                        column(_latency(0.99), "P99", "ms"),
                        column(success(_CLIENTS, _BY, "rate"), "Success", "percentunit"),
                    ),
                    labels=_LABELS,
                    links=_LINKS,
                    width=24,
                    height=14,
                ),
                Panel(
                    "TCP workloads",
                    "table",
                    (
                        column(total("istio_tcp_received_bytes_total", _CLIENTS, _BY, "rate"), "Received", "Bps"),
                        column(total("istio_tcp_sent_bytes_total", _CLIENTS, _BY, "rate"), "Sent", "Bps"),
                    ),
                    labels=_LABELS,
                    links=_LINKS,
                    width=24,
                    height=7,
                ),
            ),
        ),
        Row(
            "Versions",
            (
                Panel(
                    "Istio components by version",
                    "timeseries",
                    (Target("sum by (component, tag) (istio_build)", "{{component}} ({{tag}})"),),
                    width=24,
                    height=6,
                ),
            ),
            collapsed=True,
        ),
    ),
)
