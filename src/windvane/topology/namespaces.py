"""Namespaces that telemetry has named."""

from __future__ import annotations

from windvane.store.api import Engine
from windvane.topology.identity import known

_LABELS = ("source_workload_namespace", "destination_workload_namespace", "destination_service_namespace")


def known_namespaces(engine: Engine) -> list[str]:
    """Every namespace in Istio's series, sorted; `unknown` is none."""
    names = ", ".join(f"Labels['{label}']" for label in _LABELS)
    frame = engine.query(
        f"SELECT DISTINCT arrayJoin([{names}]) AS Namespace FROM series"
        " WHERE Name IN ('istio_requests_total', 'istio_tcp_connections_opened_total', 'istio_tcp_sent_bytes_total')"
    )
    return sorted(name for name in map(str, frame["Namespace"].tolist()) if known(name))
