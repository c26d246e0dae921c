"""Istio's validation of ProxyConfig and WorkloadGroup."""

from __future__ import annotations

from collections.abc import Iterator

from windvane.mesh.checks.common import Problem, check_header_name, check_labels, check_port, invalid
from windvane.mesh.models.proxies import ProxyConfig, ReadinessProbe, WorkloadGroup
from windvane.mesh.yaml_source import Path

_NUMBERS = ("initial_delay_seconds", "timeout_seconds", "period_seconds", "success_threshold", "failure_threshold")


def check_proxy_config(item: ProxyConfig) -> Iterator[Problem]:
    """Everything that makes Istio refuse a ProxyConfig."""
    spec = item.spec
    if spec.selector is not None:
        yield from check_labels(("spec", "selector", "matchLabels"), spec.selector.match_labels)
    if spec.concurrency is not None and spec.concurrency < 0:
        yield invalid(("spec", "concurrency"), "concurrency must be greater than or equal to 0")
    for name, value in spec.environment_variables.items():
        path: Path = ("spec", "environmentVariables", name)
        if not name or "=" in name or "\0" in name:
            yield invalid(path, f"{name!r} is no name of an environment variable")
        if "\0" in value:
            yield invalid(path, "the value of an environment variable has no NUL in it")


def check_workload_group(item: WorkloadGroup) -> Iterator[Problem]:
    """Everything that makes Istio refuse a WorkloadGroup."""
    spec = item.spec
    if spec.template is None:
        yield invalid(("spec",), "template is required")
    else:
        yield from check_labels(("spec", "template", "labels"), spec.template.labels)
    if spec.metadata is not None:
        yield from check_labels(("spec", "metadata", "labels"), spec.metadata.labels)
    if spec.probe is not None:
        yield from _check_probe(("spec", "probe"), spec.probe)


def _check_probe(path: Path, probe: ReadinessProbe) -> Iterator[Problem]:
    fields = type(probe).model_fields
    for name in _NUMBERS:
        if getattr(probe, name) < 0:
            yield invalid((*path, fields[name].alias or name), f"{fields[name].alias} must be non-negative")
    if probe.http_get is not None:
        place: Path = (*path, "httpGet")
        yield from check_port((*place, "port"), probe.http_get.port)
        if probe.http_get.scheme not in ("", "HTTP", "HTTPS"):
            yield invalid((*place, "scheme"), 'httpGet.scheme must be one of "HTTPS", "HTTP"')
        for index, header in enumerate(probe.http_get.http_headers):
            yield from check_header_name((*place, "httpHeaders", index, "name"), header.name)
    for field, check in (("tcpSocket", probe.tcp_socket), ("grpc", probe.grpc)):
        if check is not None:
            yield from check_port((*path, field, "port"), check.port)
    if probe.exec is not None and not probe.exec.command:
        yield invalid((*path, "exec", "command"), "exec.command is required")
    if not any((probe.http_get, probe.tcp_socket, probe.exec, probe.grpc)):
        yield invalid(path, "one of httpGet, tcpSocket, exec, grpc is required")
