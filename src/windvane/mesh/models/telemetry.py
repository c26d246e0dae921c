"""telemetry.istio.io `Telemetry`: what proxies report of the traffic they carry."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from windvane.mesh.models.base import Items, Model, Seconds, Targetable
from windvane.mesh.models.metadata import Resource

WorkloadMode = Literal["CLIENT_AND_SERVER", "CLIENT", "SERVER"]
MetricName = Literal[
    "ALL_METRICS",
    "REQUEST_COUNT",
    "REQUEST_DURATION",
    "REQUEST_SIZE",
    "RESPONSE_SIZE",
    "TCP_OPENED_CONNECTIONS",
    "TCP_CLOSED_CONNECTIONS",
    "TCP_SENT_BYTES",
    "TCP_RECEIVED_BYTES",
    "GRPC_REQUEST_MESSAGES",
    "GRPC_RESPONSE_MESSAGES",
]


class ProviderRef(Model):
    """A telemetry provider by name."""

    name: str = ""


class TrafficSelector(Model):
    """Which side of a request reports: the client's proxy, the server's, or both."""

    mode: WorkloadMode = "CLIENT_AND_SERVER"


class LiteralTag(Model):
    """A constant."""

    value: str = ""


class EnvironmentTag(Model):
    """An environment variable of the proxy."""

    name: str = ""
    default_value: str = ""


class RequestHeaderTag(Model):
    """A request header."""

    name: str = ""
    default_value: str = ""


class FormatterTag(Model):
    """An Envoy format string."""

    value: str = ""


class CustomTag(Model):
    """A tag put on every span; exactly one source."""

    one_of = (("literal", "environment", "header", "formatter"),)

    literal: LiteralTag | None = None
    environment: EnvironmentTag | None = None
    header: RequestHeaderTag | None = None
    formatter: FormatterTag | None = None


class Tracing(Model):
    """Sampling and content of spans; what is not set is inherited from the level above."""

    match: TrafficSelector | None = None
    providers: Items[ProviderRef] = ()
    random_sampling_percentage: float | None = None
    disable_span_reporting: bool | None = None
    custom_tags: dict[str, CustomTag] = Field(default_factory=dict)
    use_request_id_for_trace_sampling: bool | None = None
    enable_istio_tags: bool | None = None
    disable_context_propagation: bool | None = None


class AccessLoggingFilter(Model):
    """A CEL expression; entries for which it is false are not logged."""

    expression: str = ""


class AccessLogging(Model):
    """Whether and what is logged of requests."""

    match: TrafficSelector | None = None
    providers: Items[ProviderRef] = ()
    disabled: bool | None = None
    filter: AccessLoggingFilter | None = None


class TagOverride(Model):
    """A change of one metric label: a CEL value, or its removal."""

    operation: Literal["UPSERT", "REMOVE"] = "UPSERT"
    value: str = ""


class MetricSelector(Model):
    """Which metrics an override is for."""

    one_of = (("metric", "custom_metric"),)

    metric: MetricName | None = None
    custom_metric: str | None = None
    mode: WorkloadMode = "CLIENT_AND_SERVER"


class MetricsOverrides(Model):
    """A change of metrics."""

    match: MetricSelector | None = None
    disabled: bool | None = None
    tag_overrides: dict[str, TagOverride] = Field(default_factory=dict)

    @property
    def is_for_all(self) -> bool:
        """Whether it is for all metrics, not for one of them."""
        named = self.match.metric if self.match is not None else None
        custom = self.match.custom_metric if self.match is not None else None
        return named in (None, "ALL_METRICS") and not custom


class Metrics(Model):
    """Metrics of a provider."""

    providers: Items[ProviderRef] = ()
    overrides: Items[MetricsOverrides] = ()
    reporting_interval: Seconds | None = None


class TelemetrySpec(Targetable):
    """Telemetry of the selected workloads."""

    tracing: Items[Tracing] = ()
    metrics: Items[Metrics] = ()
    access_logging: Items[AccessLogging] = ()


class Telemetry(Resource):
    """telemetry.istio.io Telemetry."""

    kind: Literal["Telemetry"] = "Telemetry"
    spec: TelemetrySpec = Field(default_factory=TelemetrySpec)
