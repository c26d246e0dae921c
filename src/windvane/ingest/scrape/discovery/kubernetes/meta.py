"""Kubernetes objects as target groups: the `__meta_kubernetes_*` labels of every role.

Pure functions. What the labels mean: https://prometheus.io/docs/prometheus/latest/configuration/configuration/
#kubernetes_sd_config.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from windvane.ingest.scrape.relabel import Labels
from windvane.ingest.scrape.targets import ADDRESS, TargetGroup

Object = Mapping[str, Any]
Find = Callable[[str, str], Object | None]
"""The object of a kind (pod, node, service, namespace) and key, if it is known."""

PREFIX = "__meta_kubernetes_"
_INVALID = re.compile(r"[^a-zA-Z0-9_]")
_ADDRESS_TYPES = ("InternalIP", "InternalDNS", "ExternalIP", "ExternalDNS", "LegacyHostIP", "Hostname")


def sanitized(name: str) -> str:
    """A name as part of a label name."""
    return _INVALID.sub("_", name)


def described(kind: str, thing: Object) -> Labels:
    """Labels and annotations of an object."""
    metadata = thing.get("metadata") or {}
    out: Labels = {}
    for what, pairs in (("label", metadata.get("labels")), ("annotation", metadata.get("annotations"))):
        for name, value in (pairs or {}).items():
            clean = sanitized(name)
            out[f"{PREFIX}{kind}_{what}_{clean}"] = str(value)
            out[f"{PREFIX}{kind}_{what}present_{clean}"] = "true"
    return out


def _name(thing: Object) -> str:
    return str((thing.get("metadata") or {}).get("name", ""))


def _namespace(thing: Object) -> str:
    return str((thing.get("metadata") or {}).get("namespace", ""))


def namespace_labels(thing: Object, find: Find) -> Labels:
    """The namespace of an object, and its own labels when they are attached."""
    name = _namespace(thing)
    whole = find("namespace", name)
    return {f"{PREFIX}namespace": name, **(described("namespace", whole) if whole else {})}


def joined(host: str, port: object) -> str:
    """host:port, IPv6 in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def node_labels(node: Object | None) -> Labels:
    """A node as other roles attach it."""
    return {} if node is None else {f"{PREFIX}node_name": _name(node), **described("node", node)}


def node_group(source: str, node: Object, _: Find) -> TargetGroup:
    """Role node: one target, the kubelet."""
    labels = {
        f"{PREFIX}node_name": _name(node),
        f"{PREFIX}node_provider_id": str((node.get("spec") or {}).get("providerID", "")),
        **described("node", node),
    }
    status = node.get("status") or {}
    addresses: dict[str, str] = {}
    for one in status.get("addresses") or []:
        addresses.setdefault(str(one.get("type")), str(one.get("address")))
    host = next((addresses[kind] for kind in _ADDRESS_TYPES if kind in addresses), None)
    if host is None:
        return TargetGroup(source, (), labels)
    port = ((status.get("daemonEndpoints") or {}).get("kubeletEndpoint") or {}).get("Port", 0)
    target = {ADDRESS: joined(host, port), "instance": _name(node)}
    target |= {f"{PREFIX}node_address_{sanitized(kind)}": address for kind, address in addresses.items()}
    return TargetGroup(source, [target], labels)


def service_labels(service: Object | None, find: Find) -> Labels:
    """A service as role endpoints attaches it."""
    if service is None:
        return {}
    named = {f"{PREFIX}service_name": _name(service), f"{PREFIX}namespace": _namespace(service)}
    return {**namespace_labels(service, find), **named, **described("service", service)}


def service_group(source: str, service: Object, find: Find) -> TargetGroup:
    """Role service: a target a port."""
    spec = service.get("spec") or {}
    kind = str(spec.get("type", "ClusterIP"))
    targets = []
    for port in spec.get("ports") or []:
        target = {
            ADDRESS: joined(f"{_name(service)}.{_namespace(service)}.svc", port.get("port", 0)),
            f"{PREFIX}service_port_name": str(port.get("name", "")),
            f"{PREFIX}service_port_number": str(port.get("port", 0)),
            f"{PREFIX}service_port_protocol": str(port.get("protocol", "TCP")),
            f"{PREFIX}service_type": kind,
        }
        if kind == "ExternalName":
            target[f"{PREFIX}service_external_name"] = str(spec.get("externalName", ""))
        else:
            target[f"{PREFIX}service_cluster_ip"] = str(spec.get("clusterIP", ""))
        if kind == "LoadBalancer":
            target[f"{PREFIX}service_loadbalancer_ip"] = str(spec.get("loadBalancerIP", ""))
        targets.append(target)
    return TargetGroup(source, targets, service_labels(service, find))


def pod_labels(pod: Object) -> Labels:
    """A pod as every role that knows pods describes it (without its namespace)."""
    status, spec, metadata = pod.get("status") or {}, pod.get("spec") or {}, pod.get("metadata") or {}
    labels = {
        f"{PREFIX}pod_name": _name(pod),
        f"{PREFIX}pod_ip": str(status.get("podIP", "")),
        f"{PREFIX}pod_ready": _ready(status),
        f"{PREFIX}pod_phase": str(status.get("phase", "")),
        f"{PREFIX}pod_node_name": str(spec.get("nodeName", "")),
        f"{PREFIX}pod_host_ip": str(status.get("hostIP", "")),
        f"{PREFIX}pod_uid": str(metadata.get("uid", "")),
        **described("pod", pod),
    }
    for owner in metadata.get("ownerReferences") or []:
        if owner.get("controller"):
            labels[f"{PREFIX}pod_controller_kind"] = str(owner.get("kind", ""))
            labels[f"{PREFIX}pod_controller_name"] = str(owner.get("name", ""))
            break
    return labels


def _ready(status: Mapping[str, Any]) -> str:
    for condition in status.get("conditions") or []:
        if condition.get("type") == "Ready":
            return str(condition.get("status", "unknown")).lower()
    return "unknown"


def pod_group(source: str, pod: Object, find: Find) -> TargetGroup:
    """Role pod: a target a port of a container, or a container without ports."""
    node = find("node", str((pod.get("spec") or {}).get("nodeName", "")))
    labels = {**namespace_labels(pod, find), **pod_labels(pod), **node_labels(node)}
    host = str((pod.get("status") or {}).get("podIP", ""))
    if not host:
        return TargetGroup(source, (), labels)
    targets = []
    for container, initial in containers(pod):
        common = {**container_labels(pod, container, initial=initial)}
        ports = container.get("ports") or []
        if not ports:
            targets.append({ADDRESS: f"[{host}]" if ":" in host else host, **common})
        targets += [{ADDRESS: joined(host, port.get("containerPort")), **common, **port_labels(port)} for port in ports]
    return TargetGroup(source, targets, labels)


def containers(pod: Object) -> Iterator[tuple[Object, bool]]:
    """Containers of a pod, and whether each is an initial one."""
    spec = pod.get("spec") or {}
    for container in spec.get("containers") or []:
        yield container, False
    for container in spec.get("initContainers") or []:
        yield container, True


def container_labels(pod: Object, container: Object, *, initial: bool) -> Labels:
    """A container as target labels have it."""
    name = str(container.get("name", ""))
    status = pod.get("status") or {}
    identity = ""
    for one in status.get("initContainerStatuses" if initial else "containerStatuses") or []:
        if one.get("name") == name:
            identity = str(one.get("containerID", ""))
    return {
        f"{PREFIX}pod_container_name": name,
        f"{PREFIX}pod_container_id": identity,
        f"{PREFIX}pod_container_image": str(container.get("image", "")),
        f"{PREFIX}pod_container_init": "true" if initial else "false",
    }


def port_labels(port: Object) -> Labels:
    """A port of a container."""
    return {
        f"{PREFIX}pod_container_port_name": str(port.get("name", "")),
        f"{PREFIX}pod_container_port_number": str(port.get("containerPort", "")),
        f"{PREFIX}pod_container_port_protocol": str(port.get("protocol", "TCP")),
    }


def ingress_group(source: str, ingress: Object, find: Find) -> TargetGroup:
    """Role ingress: a target a path of a rule."""
    spec = ingress.get("spec") or {}
    labels = {
        **namespace_labels(ingress, find),
        f"{PREFIX}ingress_name": _name(ingress),
        **described("ingress", ingress),
    }
    if spec.get("ingressClassName"):
        labels[f"{PREFIX}ingress_class_name"] = str(spec["ingressClassName"])
    secure = [str(host) for tls in spec.get("tls") or [] for host in tls.get("hosts") or []]
    targets = []
    for rule in spec.get("rules") or []:
        host = str(rule.get("host", ""))
        scheme = "https" if any(_covers(pattern, host) for pattern in secure) else "http"
        paths = [str(one.get("path") or "/") for one in (rule.get("http") or {}).get("paths") or []] or ["/"]
        targets += [
            {
                ADDRESS: host,
                f"{PREFIX}ingress_scheme": scheme,
                f"{PREFIX}ingress_host": host,
                f"{PREFIX}ingress_path": path,
            }
            for path in paths
        ]
    return TargetGroup(source, targets, labels)


def _covers(pattern: str, host: str) -> bool:
    """Whether a TLS host, maybe with a first label `*`, is the host of a rule."""
    if pattern == host:
        return True
    first, dot, rest = pattern.partition(".")
    return first == "*" and bool(dot) and host.partition(".")[2] == rest and not host.startswith(".")
