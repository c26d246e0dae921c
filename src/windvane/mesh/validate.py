"""Everything found in a set of resources: each on its own first, then how they fit together.

What Istio's validation refuses, refuses the load; what its analysis finds (a missing subset, two
VirtualServices for one host) is told and takes effect as it would in a cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from windvane.mesh.checks import (
    authorization,
    destination_rule,
    gateway,
    policy,
    proxies,
    services,
    sidecar,
    virtual_service,
)
from windvane.mesh.checks.common import Problem, is_dns_label
from windvane.mesh.checks.conflicts import conflicts
from windvane.mesh.checks.references import Registry, references
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.view import MeshView

_CHECKS: dict[str, Callable[[Any], Iterator[Problem]]] = {
    "Service": services.check_service,
    "ServiceEntry": services.check_service_entry,
    "WorkloadEntry": services.check_workload_entry,
    **dict.fromkeys(("Pod", "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet"), services.check_pods),
    "VirtualService": virtual_service.check,
    "DestinationRule": destination_rule.check,
    "Gateway": gateway.check,
    "Sidecar": sidecar.check,
    "ProxyConfig": proxies.check_proxy_config,
    "WorkloadGroup": proxies.check_workload_group,
    "PeerAuthentication": policy.check_peer_authentication,
    "RequestAuthentication": authorization.check_request_authentication,
    "AuthorizationPolicy": authorization.check_authorization_policy,
    "Telemetry": policy.check_telemetry,
}


def validate(loaded: Sequence[Loaded], view: MeshView, domain: str) -> list[Finding]:
    """All findings about resources that were decoded; `view` is made of them, valid or not."""
    findings = list(_repeated_names(loaded))
    registry = Registry.of(view, domain)
    for item in loaded:
        own = list(_own_problems(item))
        # What is malformed need not be told to be missing as well.
        malformed = {problem.path for problem in own}
        referred = [problem for problem in references(item.resource, registry) if problem.path not in malformed]
        findings.extend(item.finding(problem.code, problem.message, problem.path) for problem in (*own, *referred))
    findings.extend(conflicts(loaded, registry))
    return findings


def _own_problems(item: Loaded) -> Iterator[Problem]:
    resource = item.resource
    if not all(is_dns_label(part) for part in resource.name.split(".")) or len(resource.name) > 253:
        yield Problem("WV0203", ("metadata", "name"), f"{resource.name!r} is not a name that Kubernetes accepts")
    if not is_dns_label(resource.namespace):
        words = f"{resource.namespace!r} is not a namespace that Kubernetes accepts"
        yield Problem("WV0203", ("metadata", "namespace"), words)
    yield from _CHECKS[resource.kind](resource)


def _repeated_names(loaded: Sequence[Loaded]) -> Iterator[Finding]:
    first: dict[tuple[str, str, str], Loaded] = {}
    for item in loaded:
        key = (item.resource.kind, item.resource.namespace, item.resource.name)
        before = first.setdefault(key, item)
        if before is not item:
            place = f"{before.resource.file}:{before.resource.line}"
            yield item.finding("WV0208", f"the same object stands already in {place}", ("metadata", "name"))
