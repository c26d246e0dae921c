"""Roles endpoints and endpointslice: addresses behind a service, with their pods and the pods' other ports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from windvane.ingest.scrape.discovery.kubernetes.meta import (
    PREFIX,
    Find,
    Object,
    container_labels,
    containers,
    described,
    joined,
    namespace_labels,
    node_labels,
    pod_labels,
    port_labels,
    sanitized,
    service_labels,
)
from windvane.ingest.scrape.relabel import Labels
from windvane.ingest.scrape.targets import ADDRESS, TargetGroup

_SERVICE_NAME = "kubernetes.io/service-name"
_TOPOLOGY = f"{PREFIX}endpointslice_endpoint_topology_"


@dataclass(slots=True)
class _Seen:
    """Ports of a pod that the endpoints serve."""

    pod: Object
    ports: set[object] = field(default_factory=set)


class _Targets:
    """Targets of one object, and the pods seen on the way."""

    def __init__(self, find: Find, namespace: str) -> None:
        self._find = find
        self._namespace = namespace
        self.made: list[Labels] = []
        self._pods: dict[str, _Seen] = {}

    def add(self, host: str, port: object, labels: Labels, reference: Mapping[str, Any], node: str) -> None:
        target = {ADDRESS: joined(host, port) if port is not None else host, **labels}
        target |= node_labels(self._find("node", node))
        pod = self._pod(reference)
        if pod is not None:
            key = str(reference.get("name", ""))
            self._pods.setdefault(key, _Seen(pod)).ports.add(port)
            target |= pod_labels(pod)
            target |= _container_of(pod, port)
        self.made.append(target)

    def _pod(self, reference: Mapping[str, Any]) -> Object | None:
        if reference.get("kind") != "Pod":
            return None
        return self._find("pod", f"{reference.get('namespace') or self._namespace}/{reference.get('name', '')}")

    def rest(self) -> Iterator[Labels]:
        """Ports of the pods that the service does not serve."""
        for seen in self._pods.values():
            host = str((seen.pod.get("status") or {}).get("podIP", ""))
            if not host:
                continue
            for container, initial in containers(seen.pod):
                for port in container.get("ports") or []:
                    if port.get("containerPort") in seen.ports:
                        continue
                    own = container_labels(seen.pod, container, initial=initial) | port_labels(port)
                    address = {ADDRESS: joined(host, port.get("containerPort"))}
                    node = str((seen.pod.get("spec") or {}).get("nodeName", ""))
                    yield {**address, **own, **pod_labels(seen.pod), **node_labels(self._find("node", node))}


def _container_of(pod: Object, port: object) -> Labels:
    for container, initial in containers(pod):
        for own in container.get("ports") or []:
            if own.get("containerPort") == port:
                return container_labels(pod, container, initial=initial) | port_labels(own)
    return {}


def _identity(thing: Object) -> tuple[str, str]:
    metadata = thing.get("metadata") or {}
    return str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def endpoints_group(source: str, endpoints: Object, find: Find) -> TargetGroup:
    """Role endpoints: a target an address and port."""
    namespace, name = _identity(endpoints)
    labels = {
        **namespace_labels(endpoints, find),
        f"{PREFIX}endpoints_name": name,
        **described("endpoints", endpoints),
        **service_labels(find("service", f"{namespace}/{name}"), find),
    }
    targets = _Targets(find, namespace)
    for subset in endpoints.get("subsets") or []:
        for port in subset.get("ports") or []:
            for ready, addresses in (("true", "addresses"), ("false", "notReadyAddresses")):
                for address in subset.get(addresses) or []:
                    _endpoint(targets, address, port, ready)
    return TargetGroup(source, [*targets.made, *targets.rest()], labels)


def _endpoint(targets: _Targets, address: Mapping[str, Any], port: Mapping[str, Any], ready: str) -> None:
    labels = {
        f"{PREFIX}endpoint_port_name": str(port.get("name", "")),
        f"{PREFIX}endpoint_port_protocol": str(port.get("protocol", "TCP")),
        f"{PREFIX}endpoint_ready": ready,
    }
    reference, node = address.get("targetRef") or {}, str(address.get("nodeName") or "")
    if reference:
        labels[f"{PREFIX}endpoint_address_target_kind"] = str(reference.get("kind", ""))
        labels[f"{PREFIX}endpoint_address_target_name"] = str(reference.get("name", ""))
    if node:
        labels[f"{PREFIX}endpoint_node_name"] = node
    if address.get("hostname"):
        labels[f"{PREFIX}endpoint_hostname"] = str(address["hostname"])
    targets.add(str(address.get("ip", "")), port.get("port"), labels, reference, node)


def endpointslice_group(source: str, slice_: Object, find: Find) -> TargetGroup:
    """Role endpointslice: a target an address and port of each endpoint."""
    namespace, name = _identity(slice_)
    service = ((slice_.get("metadata") or {}).get("labels") or {}).get(_SERVICE_NAME, "")
    labels = {
        **namespace_labels(slice_, find),
        f"{PREFIX}endpointslice_name": name,
        f"{PREFIX}endpointslice_address_type": str(slice_.get("addressType", "")),
        **described("endpointslice", slice_),
        **service_labels(find("service", f"{namespace}/{service}"), find),
    }
    targets = _Targets(find, namespace)
    for port in slice_.get("ports") or []:
        for endpoint in slice_.get("endpoints") or []:
            _slice_endpoint(targets, endpoint, port)
    return TargetGroup(source, [*targets.made, *targets.rest()], labels)


def _slice_endpoint(targets: _Targets, endpoint: Mapping[str, Any], port: Mapping[str, Any]) -> None:
    labels: Labels = {}
    for label, name in (
        ("port_name", "name"),
        ("port_protocol", "protocol"),
        ("port", "port"),
        ("port_app_protocol", "appProtocol"),
    ):
        if port.get(name) is not None:
            labels[f"{PREFIX}endpointslice_{label}"] = str(port[name])
    conditions = endpoint.get("conditions") or {}
    for name in ("ready", "serving", "terminating"):
        if conditions.get(name) is not None:
            labels[f"{PREFIX}endpointslice_endpoint_conditions_{name}"] = str(conditions[name]).lower()
    for label, name in (("hostname", "hostname"), ("node_name", "nodeName"), ("zone", "zone")):
        if endpoint.get(name):
            labels[f"{PREFIX}endpointslice_endpoint_{label}"] = str(endpoint[name])
    reference = endpoint.get("targetRef") or {}
    if reference:
        labels[f"{PREFIX}endpointslice_address_target_kind"] = str(reference.get("kind", ""))
        labels[f"{PREFIX}endpointslice_address_target_name"] = str(reference.get("name", ""))
    for name, value in (endpoint.get("deprecatedTopology") or {}).items():
        labels[_TOPOLOGY + sanitized(name)] = str(value)
        labels[f"{_TOPOLOGY}present_{sanitized(name)}"] = "true"
    for address in endpoint.get("addresses") or []:
        targets.add(str(address), port.get("port"), labels, reference, str(endpoint.get("nodeName") or ""))
