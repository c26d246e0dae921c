"""Istio's validation of a Sidecar."""

from __future__ import annotations

from collections.abc import Iterator

from windvane.mesh.checks.common import Problem, check_host, check_labels, doubtful, invalid, is_dns_label
from windvane.mesh.models.sidecar import IstioEgressListener, Sidecar
from windvane.mesh.yaml_source import Path


def check(item: Sidecar) -> Iterator[Problem]:
    """Everything that makes Istio refuse, or warn of, a Sidecar."""
    spec = item.spec
    if spec.workload_selector is not None:
        yield from check_labels(("spec", "workloadSelector", "labels"), spec.workload_selector.labels)
        if not spec.workload_selector.labels:
            words = "sidecar: workload selector specified without labels, will be applied to all services in namespace"
            yield doubtful(("spec", "workloadSelector"), words)
    if not spec.egress and spec.outbound_traffic_policy is None:
        yield invalid(("spec",), "sidecar: empty configuration provided")
    for index, egress in enumerate(spec.egress):
        path: Path = ("spec", "egress", index)
        if index < len(spec.egress) - 1:
            yield invalid(path, "sidecar: the egress listener with empty port should be the last listener in the list")
        yield from _check_hosts((*path, "hosts"), egress, item.namespace)


def _check_hosts(path: Path, egress: IstioEgressListener, own: str) -> Iterator[Problem]:
    if not egress.hosts:
        yield invalid(path, "sidecar: egress listener must contain at least one host")
    seen: dict[str, set[str]] = {}
    for index, text in enumerate(egress.hosts):
        place: Path = (*path, index)
        namespace, slash, host = text.partition("/")
        if not slash:
            yield invalid(place, "host must be of form namespace/dnsName")
            continue
        namespace = own if namespace == "." else namespace
        if namespace not in ("*", "~") and not is_dns_label(namespace):
            yield invalid(place, f"invalid namespace value {namespace!r} in sidecar")
        yield from check_host(place, host)
        if host and host != "*" and "." not in host:
            yield invalid(place, "short names (non FQDN) are not allowed")
        before = seen.setdefault(namespace, set())
        if host in before or "*" in before or (host == "*" and before):
            yield doubtful(place, f"duplicated egress host: {text}")
        before.add(host)
    if "*" in seen.get("*", ()) and len(seen) > 1:
        yield doubtful(path, "`*/*` host select all resources, no other hosts can be added")
