"""Labels of OTLP metrics: attributes of points, resources and scopes, as Prometheus's OTLP receiver joins them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from windvane.ingest.metric_names import Strategy, label_name
from windvane.ingest.series_rules import MetricLimits
from windvane.kit.errors import BadInputError
from windvane.store.series import NAME

INFO = "target_info"
_IDENTIFYING = ("service.namespace", "service.name", "service.instance.id")


@dataclass(frozen=True, slots=True)
class OtlpMetricSettings:
    """How OTLP metrics are translated; defaults are Prometheus's (section `otlp` of its configuration).

    `promote` are resource attributes that become labels of every series (None: all but `ignore`).
    `keep_identifying` leaves service.name and its like in target_info. `promote_scope` adds
    otel_scope_name, otel_scope_version, otel_scope_schema_url and the scope's attributes.
    """

    strategy: Strategy = Strategy.UNDERSCORE_ESCAPING_WITH_SUFFIXES
    promote: frozenset[str] | None = frozenset()
    ignore: frozenset[str] = frozenset()
    keep_identifying: bool = False
    promote_scope: bool = False
    target_info: bool = True
    limits: MetricLimits = field(default_factory=MetricLimits)


def point_labels(
    own: Iterable[tuple[str, str]], resource: dict[str, str], scope: dict[str, str], settings: OtlpMetricSettings
) -> dict[str, str]:
    """Labels of a point. Attributes whose names become the same label are joined by `;` in the order of keys."""
    labels: dict[str, str] = {}
    for key, value in sorted(own, key=lambda pair: pair[0]):
        name = label_name(key, settings.strategy)
        labels[name] = f"{labels[name]};{value}" if name in labels else value
    for key in sorted(resource):
        if key not in settings.ignore if settings.promote is None else key in settings.promote:
            labels.setdefault(label_name(key, settings.strategy), resource[key])
    return labels | scope | _identity(resource)


def _identity(resource: dict[str, str]) -> dict[str, str]:
    """job and instance."""
    labels = {}
    if "service.name" in resource:
        space = resource.get("service.namespace")
        labels["job"] = resource["service.name"] if space is None else f"{space}/{resource['service.name']}"
    if "service.instance.id" in resource:
        labels["instance"] = resource["service.instance.id"]
    return labels


def target_labels(resource: dict[str, str], settings: OtlpMetricSettings) -> dict[str, str] | None:
    """Labels of target_info; None for a resource that nothing else is said of, or that cannot be named."""
    if not _identity(resource) or not set(resource) - set(_IDENTIFYING):
        return None
    left_out = () if settings.keep_identifying else _IDENTIFYING
    own = [(key, value) for key, value in resource.items() if key not in left_out]
    try:
        return point_labels(own, resource, {}, settings) | {NAME: INFO}
    except BadInputError:
        return None
