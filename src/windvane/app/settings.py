"""Settings of a server: one frozen record, every field with its unit, default and reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from windvane.app.monitoring import MonitoringSettings
from windvane.app.sampling import SamplingSettings
from windvane.ingest.otlp_labels import OtlpMetricSettings
from windvane.ingest.span_metrics import SpanMetricsSettings
from windvane.kit.errors import BadInputError
from windvane.kit.values import Address
from windvane.promql.engine import QuerySettings
from windvane.store.migrate import Retention
from windvane.store.tenants import database_of


@dataclass(frozen=True, slots=True)
class TenantSettings:
    """Whether requests name tenants (header `X-Scope-OrgID`), and which there may be."""

    enabled: bool = False
    names: frozenset[str] | None = None
    """The only tenants there are; None makes any on its first write."""
    retention: Mapping[str, Retention] = field(default_factory=dict)
    """Where a tenant's differs from the server's."""
    most: int = 100
    """So many tenants at once, each with its own caches and buffers."""

    @classmethod
    def parse(cls, tenants: str, retention: tuple[str, ...] = (), most: int = 100) -> TenantSettings:
        """Read `off`, `auto` or `a,b`, and retentions such as `a:30d,traces=3d`."""
        if tenants == "off":
            if retention:
                raise BadInputError("a retention of a tenant needs --tenants")
            return cls()
        names = None if tenants == "auto" else frozenset(filter(None, tenants.split(",")))
        kept: dict[str, Retention] = {}
        for text in retention:
            name, separator, rule = text.partition(":")
            if not separator:
                raise BadInputError(
                    f"not a retention of a tenant: {text!r} (expected for example team-a:30d,traces=3d)"
                )
            kept[name] = Retention.parse(rule)
        for name in {*(names or ()), *kept}:
            database_of(name)
        return cls(True, names, kept, most)


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
    zipkin: Address | None = None
    """A second address for Zipkin's spans over HTTP, 9411 by custom; `http` takes them as well."""
    jaeger_grpc: Address | None = None
    """A second address for Jaeger's spans over gRPC, 14250 by custom; `grpc` takes them as well."""
    jaeger_http: Address | None = None
    """A second address for Jaeger's thrift over HTTP, 14268 by custom; `http` takes it as well."""
    jaeger_udp: tuple[Address, ...] = ()
    """Where Jaeger's thrift is taken in datagrams (6831 and 6832 by custom): by the default tenant alone."""
    jaeger_query: Address | None = None
    """Jaeger's query API on an address of its own, 16686 by custom; `http` has it as well."""
    jaeger_grpc_query: Address | None = None
    """Jaeger's query API over gRPC, 16685 by custom."""
    sampling_http: Address | None = None
    """Where clients ask Jaeger for their sampling strategy over HTTP, 5778 by custom."""
    sampling_grpc: Address | None = None
    """The same over gRPC, 5779 by custom; `grpc` and `jaeger_grpc` answer as well."""
    tempo: Address | None = None
    """Tempo's API at the root of an address of its own, 3200 by custom; `http` has it under `/tempo`."""
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
    span_metrics: SpanMetricsSettings | None = field(default_factory=SpanMetricsSettings)
    """Series and dependencies that are counted from spans as they come; None counts nothing."""
    memory: int = 2 << 30
    """Bytes the store may use for queries and merges together."""
    tenants: TenantSettings = field(default_factory=TenantSettings)
    otlp_metrics: OtlpMetricSettings = field(default_factory=OtlpMetricSettings)
    """How OTLP metrics become series. Its limits hold for remote write as well, a tenant."""
    monitoring: MonitoringSettings = field(default_factory=MonitoringSettings)
    queries: QuerySettings = field(default_factory=QuerySettings)
    """Bounds of PromQL, a tenant."""
    sampling: SamplingSettings = field(default_factory=SamplingSettings)
    """What clients are told to sample, and which stored traces are kept."""
    forecast: bool = True
    """Whether signals of all services are forecast hourly and written as `windvane_forecast`; needs `watch`."""
    admin_api: bool = False
    """Whether series may be deleted and snapshots taken over HTTP."""
    allow_edits: bool = False
    """Whether drafts of the console may be written into the files of `mesh`."""
    releases: bool = True
    """Whether Canaries among the files of `mesh` are carried out: weights of the routes they name are changed."""

    watch: bool = True
    """Whether every minute is judged and incidents are noticed, once there are Istio's metrics."""

    def flags(self) -> dict[str, str]:
        """The settings under the names that `serve` has for them, as `/api/v1/status/flags` shows them."""
        shown = {name: getattr(self, name) for name in _SHOWN}
        return {
            **{name.replace("_", "-"): "none" if value is None else str(value) for name, value in shown.items()},
            "span-metrics": "off" if self.span_metrics is None else self.span_metrics.names.value,
            "config.file": str(self.monitoring.prometheus_config or ""),
            "external-url": self.monitoring.external_url,
            "sampling": self.sampling.strategies or "",
            "tail-sampling": str(self.sampling.tail or ""),
            "tenants": "auto"
            if self.tenants.enabled and self.tenants.names is None
            else ",".join(sorted(self.tenants.names or ())) or "off",
        }


_SHOWN = (
    "data", "http", "grpc", "otlp_http", "zipkin", "jaeger_grpc", "jaeger_http", "jaeger_query", "jaeger_grpc_query",
    "sampling_http", "sampling_grpc", "tempo", "ads", "trust_domain", "metrics_interval", "memory", "admin_api",
    "allow_edits", "releases", "watch", "forecast",
)  # fmt: skip
