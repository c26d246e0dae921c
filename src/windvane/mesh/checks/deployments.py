"""Istio's analysis of a Deployment and the Services that select its pods."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from windvane.mesh.checks.references import Registry
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models import Deployment, Service


def deployments(loaded: Sequence[Loaded], _: Registry) -> Iterator[Finding]:
    """IST0116 and IST0137: what Services say of one port of a Deployment's pods does not fit together."""
    by_namespace: dict[str, list[Service]] = defaultdict(list)
    for item in loaded:
        if isinstance(item.resource, Service) and item.resource.spec.selector:
            by_namespace[item.resource.namespace].append(item.resource)
    for item in loaded:
        owner = item.resource
        if isinstance(owner, Deployment):
            labels = owner.pods.metadata.labels
            services = [one for one in by_namespace[owner.namespace] if one.spec.selector.items() <= labels.items()]
            yield from _protocols(item, services)
            yield from _target_ports(item, services)


def _protocols(item: Loaded, services: Sequence[Service]) -> Iterator[Finding]:
    users: dict[int, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for service in services:
        for port in service.spec.ports:
            users[port.port][port.protocol].append(f"{service.namespace}/{service.name}")
    for number, by_protocol in users.items():
        if len(by_protocol) > 1:
            names = " ".join(sorted(name for names in by_protocol.values() for name in names))
            words = f"This deployment {item.resource.name} is associated with multiple services using port {number} "
            yield item.finding("IST0116", f"{words}but different protocols: [{names}]", ("metadata", "name"))


def _target_ports(item: Loaded, services: Sequence[Service]) -> Iterator[Finding]:
    users: dict[str, dict[int, str]] = defaultdict(dict)
    for service in services:
        for port in service.spec.ports:
            users[str(port.target_port or port.port)][port.port] = f"{service.namespace}/{service.name}"
    for target, by_port in users.items():
        if len(by_port) > 1:
            names = " ".join(sorted(by_port.values()))
            numbers = " ".join(str(number) for number in sorted(by_port))
            words = f"This deployment {item.resource.name} is associated with multiple services [{names}] "
            words += f'using targetPort "{target}" but different ports: [{numbers}].'
            yield item.finding("IST0137", words, ("metadata", "name"))
