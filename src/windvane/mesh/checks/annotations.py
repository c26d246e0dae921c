"""Istio's analysis of annotations: known ones, on the kind they are for, with a value that Istio takes.

The names and the kinds they are for are those of Istio's API (annotation/annotations.yaml).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator, Mapping

from windvane.mesh.checks.common import Problem
from windvane.mesh.models import Namespace, PodOwner, Resource, Service
from windvane.mesh.yaml_source import Path

_INJECT = "sidecar.istio.io/inject"
_ANY = "Any"
_SIDECAR = (
    "agentLogLevel", "bootstrapOverride", "componentLogLevel", "controlPlaneAuthPolicy", "discoveryAddress",
    "enableCoreDump", "extraStatTags", "inject", "interceptionMode", "logLevel", "nativeSidecar", "proxyCPU",
    "proxyCPULimit", "proxyImage", "proxyImageType", "proxyMemory", "proxyMemoryLimit", "rewriteAppHTTPProbers",
    "statsCompression", "statsEvictionInterval", "statsHistogramBuckets", "statsInclusionPrefixes",
    "statsInclusionRegexps", "statsInclusionSuffixes", "status", "userVolume", "userVolumeMount",
)  # fmt: skip
_TRAFFIC = (
    "excludeInboundPorts", "excludeInterfaces", "excludeOutboundIPRanges", "excludeOutboundPorts",
    "includeInboundPorts", "includeOutboundIPRanges", "includeOutboundPorts", "kubevirtInterfaces",
)  # fmt: skip
_READINESS = ("applicationPorts", "failureThreshold", "initialDelaySeconds", "periodSeconds")
_KINDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((f"sidecar.istio.io/{name}" for name in _SIDECAR), ("Pod",)),
    **dict.fromkeys((f"traffic.sidecar.istio.io/{name}" for name in _TRAFFIC), ("Pod",)),
    **dict.fromkeys((f"readiness.status.sidecar.istio.io/{name}" for name in _READINESS), ("Pod",)),
    **dict.fromkeys(
        (
            "alpha.istio.io/identity", "ambient.istio.io/bypass-inbound-capture", "ambient.istio.io/dns-capture",
            "ambient.istio.io/redirection", "inject.istio.io/templates", "istio.io/reroute-virtual-interfaces",
            "istio.io/rev", "prometheus.istio.io/merge-metrics", "proxy.istio.io/config", "proxy.istio.io/overrides",
            "status.sidecar.istio.io/port",
        ),
        ("Pod",),
    ),
    **dict.fromkeys(
        ("alpha.istio.io/kubernetes-serviceaccounts", "alpha.istio.io/canonical-serviceaccounts"), ("Service",)
    ),
    "networking.istio.io/exportTo": ("Service",),
    "networking.istio.io/traffic-distribution": ("Service", "Namespace", "ServiceEntry"),
    "traffic.istio.io/nodeSelector": ("Service",),
    **dict.fromkeys(
        (
            "gateway.istio.io/controller-version", "gateway.istio.io/name-override", "gateway.istio.io/service-account",
            "networking.istio.io/address-type", "networking.istio.io/service-type",
        ),
        ("Gateway",),
    ),
    "ambient.istio.io/waypoint-inbound-binding": ("GatewayClass",),
    "topology.istio.io/controlPlaneClusters": ("Namespace",),
    "istio.io/dry-run": ("AuthorizationPolicy",),
    **dict.fromkeys(
        ("istio.io/autoRegistrationGroup", "istio.io/connectedAt", "istio.io/disconnectedAt",
         "istio.io/workloadController"),
        ("WorkloadEntry",),
    ),
    "kubernetes.io/ingress.class": ("Ingress",),
    **dict.fromkeys(
        ("galley.istio.io/analyze-suppress", "install.operator.istio.io/chart-owner",
         "install.operator.istio.io/owner-generation", "install.operator.istio.io/version"),
        (_ANY,),
    ),
}  # fmt: skip


def check_annotations(item: Resource) -> Iterator[Problem]:
    """Annotations of a Service, a Namespace, a Pod or a Deployment, and of the pods that the latter makes."""
    if item.kind in ("Service", "Namespace", "Pod", "Deployment"):
        yield from _check(("metadata", "annotations"), item.kind, item.annotations, item.labels)
    if isinstance(item, PodOwner) and item.kind != "Pod":
        pods = item.pods.metadata
        yield from _check(("spec", "template", "metadata", "annotations"), "Pod", pods.annotations, pods.labels)


def is_control_plane(item: Service | PodOwner | Namespace) -> bool:
    """Whether a resource is Istio's own, which Istio's analysis leaves alone."""
    return "istio" in item.labels or item.labels.get("release") == "istio"


def _check(path: Path, kind: str, annotations: Mapping[str, str], labels: Mapping[str, str]) -> Iterator[Problem]:
    for name, value in annotations.items():
        place: Path = (*path, name)
        if not name.partition("/")[0].endswith("istio.io") and name != "kubernetes.io/ingress.class":
            continue
        kinds = _KINDS.get(name)
        if kinds is None:
            yield Problem("IST0108", place, f"Unknown annotation: {name}")
            continue
        if name == _INJECT and _INJECT not in labels:
            words = f'Annotation "{name}" has been deprecated in favor of the "{_INJECT}" label'
            yield Problem("IST0135", place, f"{words} and may not work in future Istio versions.")
        if _ANY not in kinds and kind not in kinds:
            words = f"Misplaced annotation: {name} can only be applied to {', '.join(kinds)}"
            yield Problem("IST0107", place, words)
            continue
        wrong = _VALUES[name](value) if name in _VALUES else ""
        if wrong:
            yield Problem("IST0125", place, f"Invalid annotation {name}: {wrong}")


def _one_of(*words: str) -> Callable[[str], str]:
    return lambda value: "" if value in words else f"{value!r} is not one of {', '.join(words)}"


def _number(most: int) -> Callable[[str], str]:
    def check(value: str) -> str:
        fits = value.isascii() and value.isdecimal() and int(value[:20]) <= most
        return "" if fits else f"{value!r} is not a whole number from 0 to {most}"

    return check


def _ports(value: str) -> str:
    wrong = [part for part in value.split(",") if part and _number(65_535)(part.strip())]
    return f"{wrong[0]!r} is not a port" if wrong else ""


def _ranges(value: str) -> str:
    for part in filter(None, value.split(",")):
        try:
            ipaddress.ip_network(part.strip(), strict=False)
        except ValueError:
            return f"{part!r} is not a range of IP addresses"
    return ""


def _or_all(check: Callable[[str], str]) -> Callable[[str], str]:
    return lambda value: "" if value == "*" else check(value)


_VALUES: dict[str, Callable[[str], str]] = {
    "sidecar.istio.io/interceptionMode": _one_of("REDIRECT", "TPROXY", "NONE"),
    "prometheus.istio.io/merge-metrics": _one_of("true", "false", "True", "False", "TRUE", "FALSE", "1", "0", "t", "f"),
    "status.sidecar.istio.io/port": _number(65_535),
    **dict.fromkeys((f"readiness.status.sidecar.istio.io/{name}" for name in _READINESS[1:]), _number(2**32 - 1)),
    "traffic.sidecar.istio.io/includeInboundPorts": _or_all(_ports),
    "traffic.sidecar.istio.io/excludeInboundPorts": _ports,
    "traffic.sidecar.istio.io/excludeOutboundPorts": _ports,
    "traffic.sidecar.istio.io/includeOutboundIPRanges": _or_all(_ranges),
    "traffic.sidecar.istio.io/excludeOutboundIPRanges": _ranges,
}
