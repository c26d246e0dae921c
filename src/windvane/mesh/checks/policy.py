"""Istio's validation of PeerAuthentication and Telemetry."""

from __future__ import annotations

from collections.abc import Iterator

from windvane.mesh.checks.attachment import check_targets
from windvane.mesh.checks.common import Problem, check_labels, check_port, cluster_only, doubtful, invalid
from windvane.mesh.models import CustomTag, PeerAuthentication, Telemetry, Tracing
from windvane.mesh.models.telemetry import Metrics
from windvane.mesh.yaml_source import Path

_TAG_SOURCES = ("literal", "environment", "header", "formatter")


def check_peer_authentication(item: PeerAuthentication) -> Iterator[Problem]:
    """Everything that makes Istio refuse a PeerAuthentication."""
    spec = item.spec
    selector = spec.selector.match_labels if spec.selector else {}
    if spec.port_level_mtls and not selector:
        yield invalid(("spec", "portLevelMtls"), "portLevelMtls requires a workload selector")
    for port in spec.port_level_mtls:
        yield from check_port(("spec", "portLevelMtls", str(port)), port)
    yield from check_labels(("spec", "selector", "matchLabels"), selector)


def check_telemetry(item: Telemetry) -> Iterator[Problem]:
    """Everything that makes Istio refuse, or warn of, a Telemetry."""
    spec = item.spec
    if spec.selector is not None:
        yield from check_labels(("spec", "selector", "matchLabels"), spec.selector.match_labels)
    yield from check_targets(spec)
    if len(spec.tracing) > 1:
        yield doubtful(("spec", "tracing"), "multiple tracing is not currently supported")
    for index, tracing in enumerate(spec.tracing):
        yield from _check_tracing(("spec", "tracing", index), tracing)
    for index, metrics in enumerate(spec.metrics):
        yield from _check_metrics(("spec", "metrics", index), metrics)
    for index, logging in enumerate(spec.access_logging):
        if not logging.providers:
            words = f'The Telemetry {item.name} in namespace "{item.namespace}" with empty providers will be ignored.'
            words += " So it is in Istio unless its mesh configuration has a default provider; Windvane acts on it."
            yield Problem("IST0157", ("spec", "accessLogging", index), words)
        if logging.filter is not None and not logging.filter.expression:
            yield invalid(("spec", "accessLogging", index, "filter", "expression"), "expression is required")


def _check_tracing(path: Path, tracing: Tracing) -> Iterator[Problem]:
    if len(tracing.providers) > 1:
        yield doubtful((*path, "providers"), "multiple providers is not currently supported")
    percentage = tracing.random_sampling_percentage
    if percentage is not None and not 0 <= percentage <= 100:
        words = "randomSamplingPercentage must be in range [0.0, 100.0]"
        yield invalid((*path, "randomSamplingPercentage"), words)
    for name, tag in tracing.custom_tags.items():
        yield from _check_tag((*path, "customTags", name), name, tag)


def _check_tag(path: Path, name: str, tag: CustomTag) -> Iterator[Problem]:
    if not name:
        yield invalid(path, "tag name may not be empty")
    if all(getattr(tag, source) is None for source in _TAG_SOURCES):
        yield invalid(path, f"one of {', '.join(_TAG_SOURCES)} is required")
    if tag.literal is not None and not tag.literal.value:
        yield invalid((*path, "literal", "value"), "literal tag value may not be empty")
    if tag.header is not None and not tag.header.name:
        yield invalid((*path, "header", "name"), "header tag name may not be empty")
    if tag.environment is not None and not tag.environment.name:
        yield invalid((*path, "environment", "name"), "environment tag name may not be empty")
    if tag.formatter is not None and not tag.formatter.value:
        yield invalid((*path, "formatter", "value"), "formatter tag value may not be empty")


def _check_metrics(path: Path, metrics: Metrics) -> Iterator[Problem]:
    for index, override in enumerate(metrics.overrides):
        if not override.is_for_all:
            yield cluster_only((*path, "overrides", index), "in a local mesh overrides hold for all metrics alike")
        for name, tag in override.tag_overrides.items():
            place: Path = (*path, "overrides", index, "tagOverrides", name)
            if tag.operation == "UPSERT" and not tag.value:
                yield invalid((*place, "value"), "tagOverrides.value must be set when operation is UPSERT")
            if tag.operation == "UPSERT" and tag.value:
                yield cluster_only(place, "metrics of a local mesh are made of access logs, which know no expressions")
            if tag.operation == "REMOVE" and tag.value:
                yield invalid((*place, "value"), "tagOverrides.value must not be set when operation is REMOVE")
