"""One service: what its clients see, what its servers see, who calls it, which workloads answer."""

from __future__ import annotations

from windvane.dashboards.model import Choice, Dashboard, Row
from windvane.dashboards.promql import values
from windvane.dashboards.traffic import glance, traffic_row

_SERVICE = 'destination_service="$service"'
_SEEN = f'reporter=~"$qrep", {_SERVICE}'
_SERVERS = f'reporter="destination", {_SERVICE}'
_CLIENT = 'source_cluster=~"$srccluster", source_workload_namespace=~"$srcns"'
_WORKLOAD = 'destination_cluster=~"$dstcluster", destination_workload_namespace=~"$dstns"'

SERVICE = Dashboard(
    uid="istio-service",
    title="Istio service",
    description="One service from both ends: its clients' view, its servers' view, and who is behind either.",
    tags=("istio",),
    variables=(
        values("service", "Service", "destination_service"),
        Choice("qrep", "Reporter", ("source", "destination"), ("destination",)),
        values("srccluster", "Client cluster", "source_cluster", _SEEN, multi=True),
        values("srcns", "Client namespace", "source_workload_namespace", _SEEN, multi=True),
        values("srcwl", "Client workload", "source_workload", f"{_SEEN}, {_CLIENT}", multi=True),
        values("dstcluster", "Server cluster", "destination_cluster", _SERVERS, multi=True),
        values("dstns", "Server namespace", "destination_workload_namespace", _SERVERS, multi=True),
        values("dstwl", "Server workload", "destination_workload", f"{_SERVERS}, {_WORKLOAD}", multi=True),
    ),
    rows=(
        Row(
            "At a glance",
            (
                *glance("Client", _SEEN, "istio_tcp_received_bytes_total", "TCP received"),
                *glance("Server", _SERVERS, "istio_tcp_sent_bytes_total", "TCP sent"),
            ),
        ),
        traffic_row(
            "Incoming, by client",
            f'{_SEEN}, {_CLIENT}, source_workload=~"$srcwl"',
            ("source_workload", "source_workload_namespace"),
        ),
        traffic_row(
            "Incoming, by server",
            f'{_SERVERS}, {_WORKLOAD}, destination_workload=~"$dstwl"',
            ("destination_workload", "destination_workload_namespace"),
        ),
    ),
)
