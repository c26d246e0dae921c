"""What the status page shows, gathered from the rooms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from windvane import __version__
from windvane.api.windvane.status import (
    ConfigurationStatus,
    FoundProblem,
    Ingested,
    Proxies,
    Proxy,
    ProxyType,
    ServerStatus,
    StoredTable,
    StoreStatus,
)
from windvane.app.control import MeshControl
from windvane.ingest.accounting import Accounting
from windvane.kit.clock import Clock
from windvane.store.api import Engine
from windvane.store.migrate import Retention
from windvane.store.status import table_sizes
from windvane.xds.server import ControlPlane, ProxyStatus
from windvane.xds.snapshot import Snapshot

_SIGNALS = ("traces", "logs", "access_logs", "metrics")
_TYPES: dict[str, Literal["CDS", "EDS", "LDS", "RDS", "SDS"]] = {
    "cds": "CDS", "eds": "EDS", "lds": "LDS", "rds": "RDS", "sds": "SDS",
}  # fmt: skip


def status_source(
    engine: Engine, retention: Retention, accounting: Accounting, control: MeshControl | None, clock: Clock
) -> Callable[[], ServerStatus]:
    """The status of a server that starts now, as a function."""
    started = clock.now_ns() / 1e9

    def status() -> ServerStatus:
        tables = [StoredTable(name=each.name, rows=each.rows, bytes=each.bytes) for each in table_sizes(engine)]
        return ServerStatus(
            version=__version__,
            started_at=started,
            uptime_seconds=round(clock.now_ns() / 1e9 - started, 3),
            ingest={name: _ingested(counts) for name, counts in accounting.summary().items()},
            store=StoreStatus(
                engine="chDB",
                bytes=sum(table.bytes for table in tables),
                tables=tables,
                retention={signal: retention.of(signal) for signal in _SIGNALS},
            ),
            config=_configuration(control) if control else None,
        )

    return status


def _ingested(counts: dict[str, int]) -> Ingested:
    waiting = counts["received"] - counts["stored"] - counts["refused"]
    return Ingested(**counts, in_flight=max(0, waiting))


def _configuration(control: MeshControl) -> ConfigurationStatus:
    view = control.view
    return ConfigurationStatus(
        version=view.version if view else None,
        loaded_at=control.loaded_at,
        applied=control.result.accepted and view is not None,
        services=len(view.services) if view else 0,
        workloads=len(view.workloads) if view else 0,
        findings=[
            FoundProblem(**{name: getattr(item, name) for name in FoundProblem.model_fields})
            for item in control.findings()
        ],
    )


def proxies_source(plane: ControlPlane | None) -> Callable[[], Proxies]:
    """Proxies connected to the control plane, and those that its snapshot expects."""

    def proxies() -> Proxies:
        connected = {each.node_id: _connected(each) for each in (plane.proxies() if plane else ())}
        expected = _expected(plane.snapshot) if plane and plane.snapshot else {}
        return Proxies(proxies=[found for _, found in sorted({**expected, **connected}.items())])

    return proxies


def _connected(status: ProxyStatus) -> Proxy:
    workload, _, namespace = status.key.rpartition(".")
    types = [
        ProxyType(
            type=_TYPES[name],
            sent=each.sent,
            acked=each.acked,
            resources=each.resources,
            nack_reason=each.reason if each.rejected else None,
        )
        for name, each in status.types.items()
    ]
    return Proxy(
        node_id=status.node_id,
        workload=workload,
        namespace=namespace,
        connected=True,
        connected_at=status.connected_since_ns / 1e9,
        synced=status.synced,
        types=types,
    )


def _expected(snapshot: Snapshot) -> dict[str, Proxy]:
    found = (snapshot.proxy(key) for key in snapshot.view.workloads)
    return {
        proxy.node_id: Proxy(
            node_id=proxy.node_id,
            workload=proxy.workload.name,
            namespace=proxy.workload.namespace,
            connected=False,
            connected_at=None,
            synced=False,
            types=[],
        )
        for proxy in found
        if proxy is not None
    }
