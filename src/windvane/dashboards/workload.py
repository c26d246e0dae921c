"""One workload: what comes in, and what it sends on to which services."""

from __future__ import annotations

from windvane.dashboards.model import Choice, Dashboard, Row
from windvane.dashboards.promql import values
from windvane.dashboards.traffic import glance, traffic_row

_IN = 'reporter=~"$qrep", destination_workload_namespace=~"$namespace", destination_workload="$workload"'
_OUT = 'reporter="source", source_workload_namespace=~"$namespace", source_workload="$workload"'
_CLIENT = 'source_workload_namespace=~"$srcns"'

WORKLOAD = Dashboard(
    uid="istio-workload",
    title="Istio workload",
    description="One workload: the traffic that comes in, by client, and the traffic it sends on, by service.",
    tags=("istio",),
    variables=(
        values("namespace", "Namespace", "destination_workload_namespace"),
        values("workload", "Workload", "destination_workload", 'destination_workload_namespace=~"$namespace"'),
        Choice("qrep", "Reporter", ("source", "destination"), ("destination",)),
        values("srcns", "Client namespace", "source_workload_namespace", _IN, multi=True),
        values("srcwl", "Client workload", "source_workload", f"{_IN}, {_CLIENT}", multi=True),
        values("dstsvc", "Called service", "destination_service", _OUT, multi=True),
    ),
    rows=(
        Row(
            "At a glance",
            (
                *glance("Incoming", _IN, "istio_tcp_received_bytes_total", "TCP received"),
                *glance("Outgoing", _OUT, "istio_tcp_sent_bytes_total", "TCP sent"),
            ),
        ),
        traffic_row(
            "Incoming, by client",
            f'{_IN}, {_CLIENT}, source_workload=~"$srcwl"',
            ("source_workload", "source_workload_namespace"),
        ),
        traffic_row(
            "Outgoing, by service",
            f'{_OUT}, destination_service=~"$dstsvc"',
            ("destination_service",),
        ),
    ),
)
