"""Settings of a server: one frozen record, every field with its unit, default and reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from windvane.kit.values import Address
from windvane.store.migrate import Retention


@dataclass(frozen=True, slots=True)
class ServeSettings:
    """Everything `windvane serve` can be told.

    Addresses with port 0 take a free port. None switches a listener off.
    """

    data: Path
    """Directory of the store and of the certificate authority's key. One server at a time."""
    http: Address = Address("127.0.0.1", 9900)
    """The console and every HTTP API."""
    grpc: Address | None = Address("127.0.0.1", 4317)
    """OTLP and Envoy's access-log service."""
    otlp_http: Address | None = None
    """A second address for OTLP over HTTP, 4318 by custom; `http` takes OTLP as well."""
    ads: Address | None = None
    """The control plane for local sidecars (15010 by custom); needs `mesh`."""
    mesh: tuple[Path, ...] = ()
    """Istio YAML: files or directories, watched."""
    placement: Path | None = None
    """Where the workloads of `mesh` run; written by `windvane up` and `windvane demo`."""
    retention: Retention = field(default_factory=Retention)
    trust_domain: str = "cluster.local"
    """First part of every SPIFFE identity."""
    metrics_interval: float = 5.0
    """Seconds between two samples of Istio's metrics; 5 to 15 suits Istio's dashboards."""
    memory: int = 2 << 30
    """Bytes the store may use for queries and merges together."""
