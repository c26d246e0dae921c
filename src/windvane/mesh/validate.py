"""Everything found in a set of resources: each on its own first, then how they fit together.

What Istio's validation refuses, refuses the load; what its analysis finds (a missing subset, two
VirtualServices for one host) is told and takes effect as it would in a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from windvane.mesh.checks import (
    authorization,
    destination_rule,
    envoy_filter,
    gateway,
    gateway_api,
    mesh_config,
    policy,
    proxies,
    services,
    sidecar,
    virtual_service,
    wasm,
)
from windvane.mesh.checks.access import access
from windvane.mesh.checks.annotations import check_annotations
from windvane.mesh.checks.authorizers import authorizers
from windvane.mesh.checks.common import Problem, is_dns_label
from windvane.mesh.checks.conflicts import conflicts
from windvane.mesh.checks.credentials import check_secret, credentials
from windvane.mesh.checks.deployments import deployments
from windvane.mesh.checks.gateways import gateways
from windvane.mesh.checks.references import Registry, references
from windvane.mesh.checks.shadowing import shadowing
from windvane.mesh.checks.timing import timing
from windvane.mesh.checks.unused import unused
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models import Namespace, Resource
from windvane.mesh.models.gateway_api import GROUP as GATEWAY_API
from windvane.mesh.suppress import ANNOTATION, told_of
from windvane.mesh.view import MeshView

_CHECKS: dict[str, Callable[[Any], Iterator[Problem]]] = {
    "Namespace": services.check_namespace,
    "Secret": check_secret,
    "ConfigMap": mesh_config.check_config_map,
    "IstioOperator": mesh_config.check_istio_operator,
    "Service": services.check_service,
    "ServiceEntry": services.check_service_entry,
    "WorkloadEntry": services.check_workload_entry,
    **dict.fromkeys(("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"), services.check_pods),
    "VirtualService": virtual_service.check,
    "DestinationRule": destination_rule.check,
    "Gateway": gateway.check,
    "Sidecar": sidecar.check,
    "EnvoyFilter": envoy_filter.check_envoy_filter,
    "ProxyConfig": proxies.check_proxy_config,
    "WorkloadGroup": proxies.check_workload_group,
    "PeerAuthentication": policy.check_peer_authentication,
    "RequestAuthentication": authorization.check_request_authentication,
    "AuthorizationPolicy": authorization.check_authorization_policy,
    "WasmPlugin": wasm.check_wasm_plugin,
    "Telemetry": policy.check_telemetry,
}

_TOGETHER: tuple[Callable[[Sequence[Loaded], Registry], Iterator[Finding]], ...] = (
    conflicts,
    credentials,
    deployments,
    gateways,
    shadowing,
    unused,
    timing,
    access,
    gateway_api.conditions,
    gateway_api.shadowing,
    gateway_api.conflicts,
    authorizers,
    envoy_filter.relative_patches,
)
"""How resources fit together."""


Also = Callable[[Sequence[Loaded], MeshView], Iterable[Finding]]
"""What a caller looks for besides; it is asked about valid configuration only."""


def validate(loaded: Sequence[Loaded], view: MeshView, domain: str, also: Sequence[Also] = ()) -> list[Finding]:
    """All findings about resources that were decoded; `view` is made of them, valid or not."""
    findings = list(_repeated_names(loaded))
    registry = Registry.of(view, domain, _namespaces(loaded, view))
    for item in loaded:
        own = list(_own_problems(item))
        # What is malformed need not be told to be missing as well.
        malformed = {problem.path for problem in own}
        referred = [problem for problem in references(item.resource, registry) if problem.path not in malformed]
        findings.extend(
            item.finding(problem.code, problem.message, problem.path, problem.kiali) for problem in (*own, *referred)
        )
    for check in _TOGETHER:
        findings.extend(check(loaded, registry))
    for look in also if not any(item.refuses for item in findings) else ():
        findings.extend(look(loaded, view))
    return _without_suppressed(findings, loaded)


def _without_suppressed(findings: list[Finding], loaded: Sequence[Loaded]) -> list[Finding]:
    quiet = {item.resource.reference: item.resource for item in loaded if ANNOTATION in item.resource.annotations}
    return [item for item in findings if item.resource not in quiet or told_of(quiet[item.resource], item.code)]


def _namespaces(loaded: Sequence[Loaded], view: MeshView) -> set[str]:
    """Those that the files name, and those of every cluster; none where no file has a Namespace."""
    if not any(isinstance(item.resource, Namespace) for item in loaded):
        return set()
    return {"default", "kube-system", view.root_namespace, *(item.resource.namespace for item in loaded)}


def _own_problems(item: Loaded) -> Iterator[Problem]:
    resource = item.resource
    if not all(is_dns_label(part) for part in resource.name.split(".")) or len(resource.name) > 253:
        yield Problem("WV0203", ("metadata", "name"), f"{resource.name!r} is not a name that Kubernetes accepts")
    if not is_dns_label(resource.namespace) and resource.kind != "GatewayClass":
        words = f"{resource.namespace!r} is not a namespace that Kubernetes accepts"
        yield Problem("WV0203", ("metadata", "namespace"), words)
    checks = gateway_api.CHECKS if _is_of_gateway_api(resource) else _CHECKS
    yield from checks[resource.kind](resource)
    yield from check_annotations(resource)
    yield from _false_conditions(resource)


def _is_of_gateway_api(resource: Resource) -> bool:
    """Whether a kind is that API's: two kinds of Gateways have one name."""
    return resource.api_version.startswith(f"{GATEWAY_API}/")


def _false_conditions(resource: Resource) -> Iterator[Problem]:
    """IST0171: what a cluster has written into the status of an exported object."""
    found = resource.status.get("conditions") if isinstance(resource.status, dict) else None
    if resource.kind not in ("Service", "ServiceEntry", "AuthorizationPolicy") or not isinstance(found, list):
        return
    for index, one in enumerate(found):
        if isinstance(one, dict) and one.get("status") == "False":
            said = ", ".join(f"{name}={one.get(name, '')}" for name in ("type", "reason", "message"))
            words = f"A condition with a negative status is present: {said}."
            yield Problem("IST0171", ("status", "conditions", index), words)


def _repeated_names(loaded: Sequence[Loaded]) -> Iterator[Finding]:
    first: dict[tuple[bool, str, str, str], Loaded] = {}
    for item in loaded:
        one = item.resource
        key = (_is_of_gateway_api(one), one.kind, one.namespace, one.name)
        before = first.setdefault(key, item)
        if before is not item:
            place = f"{before.resource.file}:{before.resource.line}"
            yield item.finding("WV0208", f"the same object stands already in {place}", ("metadata", "name"))
