"""Which workloads a policy is for when it names resources (`targetRefs`) in place of labels.

As Istio attaches them: to a Gateway, of Kubernetes' Gateway API or of Istio's own, in the policy's namespace. A
Service, a ServiceEntry and the GatewayClass `istio-waypoint` are for waypoints alone, and no proxy here is one.
"""

from __future__ import annotations

from collections.abc import Sequence

from windvane.mesh.gateway_api.semantics import GATEWAY_NAME
from windvane.mesh.models import Model, PolicyTargetReference, Targetable
from windvane.mesh.selectable import chosen
from windvane.mesh.view import MeshView, MeshWorkload

GATEWAY_API, NETWORKING = "gateway.networking.k8s.io", "networking.istio.io"
WAYPOINTS = {("", "Service"), (NETWORKING, "ServiceEntry"), (GATEWAY_API, "GatewayClass")}
GATEWAYS = {(GATEWAY_API, "Gateway"), (NETWORKING, "Gateway")}


def target_kind(target: PolicyTargetReference) -> tuple[str, str]:
    """Its group and kind; the core group has two spellings."""
    return ("" if target.group == "core" else target.group, target.kind)


def targets_of(spec: Model) -> tuple[PolicyTargetReference, ...]:
    """What a policy's spec names; nothing where its kind cannot."""
    return spec.targets if isinstance(spec, Targetable) else ()


def is_for(view: MeshView, namespace: str, spec: Targetable, workload: MeshWorkload) -> bool:
    """Whether a policy of a namespace is for a workload, if it is for that workload's namespace at all."""
    if spec.targets:
        return any(is_attached(view, namespace, target, workload) for target in spec.targets)
    return spec.selector is None or spec.selector.match_labels.items() <= workload.labels.items()


def governed(view: MeshView, namespace: str, spec: Targetable, *, everywhere: bool = False) -> Sequence[MeshWorkload]:
    """The workloads that a policy of a namespace is for; with a selector `everywhere` means those of all namespaces."""
    if spec.targets:
        return [workload for workload in view.workloads.values() if is_for(view, namespace, spec, workload)]
    labels = spec.selector.match_labels if spec.selector else {}
    return chosen(view, namespace, labels, everywhere=everywhere)


def is_attached(view: MeshView, namespace: str, target: PolicyTargetReference, workload: MeshWorkload) -> bool:
    """Whether a workload serves what a policy of a namespace names."""
    if target.namespace not in ("", namespace):
        return False
    kind = target_kind(target)
    if kind == (GATEWAY_API, "Gateway"):
        return workload.namespace == namespace and workload.labels.get(GATEWAY_NAME) == target.name
    if kind == (NETWORKING, "Gateway"):
        return any(
            gateway.name == target.name
            and gateway.namespace == namespace
            and bool(gateway.spec.selector)
            and gateway.spec.selector.items() <= workload.labels.items()
            for gateway in view.gateways
        )
    return False
