"""Policies that name the resources they are for (`targetRefs`): what Istio refuses of it, and what it comes to here."""

from __future__ import annotations

from collections.abc import Iterator

from windvane.mesh.attachment import GATEWAY_API, GATEWAYS, NETWORKING, WAYPOINTS, is_attached, target_kind
from windvane.mesh.checks.common import Problem, invalid
from windvane.mesh.models import PolicyTargetReference, Targetable
from windvane.mesh.view import MeshView
from windvane.mesh.yaml_source import Path

_MOST = 16
_WAYPOINT_CLASS = "istio-waypoint"


def check_targets(spec: Targetable) -> Iterator[Problem]:
    """Everything of `targetRef` and `targetRefs` that makes Istio refuse a policy."""
    given = [name for name in ("selector", "target_ref", "target_refs") if getattr(spec, name)]
    if len(given) > 1:
        yield invalid(("spec",), "only one of targetRefs or workloadSelector can be set")
    if len(spec.target_refs) > _MOST:
        yield invalid(("spec", "targetRefs"), f"at most {_MOST} targetRefs may be set")
    for path, target in _placed(spec):
        yield from _check_target(path, target)


def attachment(namespace: str, spec: Targetable, view: MeshView) -> Iterator[Problem]:
    """What a policy of a namespace names and is not there, or is nothing that a proxy here serves."""
    for path, target in _placed(spec):
        if any(_check_target(path, target)):
            continue  # what it means is not known
        if target_kind(target) in WAYPOINTS:
            words = f"a {target.kind} is what waypoints serve, and no proxy here is one: the policy has no effect on it"
            yield Problem("WV0606", path, words)
        elif view.workloads and not _is_there(namespace, target, view):
            name = f"{target.kind} {namespace}/{target.name}"
            yield Problem("IST0101", (*path, "name"), f'Referenced targetRef not found: "{name}"')


def _placed(spec: Targetable) -> Iterator[tuple[Path, PolicyTargetReference]]:
    if spec.target_ref is not None:
        yield ("spec", "targetRef"), spec.target_ref
    for index, target in enumerate(spec.target_refs):
        yield ("spec", "targetRefs", index), target


def _check_target(path: Path, target: PolicyTargetReference) -> Iterator[Problem]:
    if not target.kind:
        yield invalid((*path, "kind"), "targetRef kind must be set")
    elif target_kind(target) not in WAYPOINTS | GATEWAYS:
        allowed = f"{GATEWAY_API} Gateway or GatewayClass, Service, {NETWORKING} Gateway or ServiceEntry"
        yield invalid(path, f"targetRef must be to one of {allowed}, not {target.group or 'core'} {target.kind}")
    elif target.kind == "GatewayClass" and target.name not in ("", _WAYPOINT_CLASS):
        yield invalid((*path, "name"), f"the only GatewayClass that policies are attached to is {_WAYPOINT_CLASS}")
    if not target.name:
        yield invalid((*path, "name"), "targetRef name must be set")
    if target.namespace:
        yield invalid((*path, "namespace"), "targetRef namespace must not be set: the policy's own is meant")


def _is_there(namespace: str, target: PolicyTargetReference, view: MeshView) -> bool:
    named = any(
        gateway.name == target.name and gateway.namespace == namespace
        for gateway in view.gateways
        if target_kind(target) == (NETWORKING, "Gateway")
    )
    return named or any(is_attached(view, namespace, target, each) for each in view.workloads.values())
