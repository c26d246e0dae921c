"""The families of Istio's standard metrics."""

from __future__ import annotations

from windvane.ingest.families import Layout, histogram
from windvane.ingest.istio_labels import HTTP_LABELS, PEER_LABELS, TCP_LABELS
from windvane.ingest.istio_sql import BUCKETS

_BOUNDS = tuple(f"{bound:g}" if bound < 1 else str(int(bound)) for bound in BUCKETS)

HTTP = Layout.of(
    HTTP_LABELS,
    [
        ("istio_requests_total", "", 1.0),
        *histogram("istio_request_duration_milliseconds", _BOUNDS, 1e-3),
        *histogram("istio_request_bytes", _BOUNDS),
        *histogram("istio_response_bytes", _BOUNDS),
    ],
)
MESSAGES = Layout.of(
    PEER_LABELS, [("istio_request_messages_total", "", 1.0), ("istio_response_messages_total", "", 1.0)]
)
TCP = Layout.of(
    TCP_LABELS,
    [
        ("istio_tcp_connections_opened_total", "", 1.0),
        ("istio_tcp_connections_closed_total", "", 1.0),
        ("istio_tcp_sent_bytes_total", "", 1.0),
        ("istio_tcp_received_bytes_total", "", 1.0),
    ],
)
