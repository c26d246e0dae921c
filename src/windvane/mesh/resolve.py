"""Which policy is in force for a workload: Istio's precedence of mesh, namespace and workload."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from windvane.mesh import hosts
from windvane.mesh.attachment import is_for, targets_of
from windvane.mesh.models import (
    AuthorizationPolicy,
    CustomTag,
    DestinationRule,
    JWTRule,
    LabelSelector,
    PeerAuthentication,
    ProxyConfig,
    RequestAuthentication,
    Sidecar,
    Telemetry,
)
from windvane.mesh.models.security import MTLSMode
from windvane.mesh.models.telemetry import MetricsOverrides, TrafficSelector
from windvane.mesh.view import MeshView, MeshWorkload, ServicePort

Side = Literal["CLIENT", "SERVER"]
T = TypeVar("T")
P = TypeVar("P", PeerAuthentication, ProxyConfig, Telemetry)
A = TypeVar("A", AuthorizationPolicy, RequestAuthentication)


@dataclass(frozen=True, slots=True)
class SideTelemetry:
    """What one side of its requests a workload's proxy reports.

    `random_sampling_percentage` and `access_log` are None where no Telemetry says anything of them;
    `access_log_filter` is a CEL expression, empty for none.
    """

    random_sampling_percentage: float | None = None
    disable_span_reporting: bool = False
    custom_tags: Mapping[str, CustomTag] = field(default_factory=dict)
    use_request_id_for_trace_sampling: bool = True
    enable_istio_tags: bool = True
    disable_context_propagation: bool = False
    tracing_providers: tuple[str, ...] = ()
    access_log: bool | None = None
    access_log_filter: str = ""
    access_log_providers: tuple[str, ...] = ()
    metrics_overrides: tuple[MetricsOverrides, ...] = ()


@dataclass(frozen=True, slots=True)
class EffectiveTelemetry:
    """The telemetry of a workload as a client (outbound) and as a server (inbound)."""

    client: SideTelemetry
    server: SideTelemetry


def endpoint_port(workload: MeshWorkload, port: ServicePort) -> int:
    """The port of a workload that serves a service's port: what the workload says of it by name, else targetPort."""
    return workload.ports.get(port.name, port.target_port)


def telemetry_for(view: MeshView, workload: MeshWorkload) -> EffectiveTelemetry:
    """Telemetry in force for a workload: root namespace, then namespace, then workload; later ones override."""
    levels = _attached(view, workload) or list(_levels(view, view.telemetries, workload))
    return EffectiveTelemetry(_side(levels, "CLIENT"), _side(levels, "SERVER"))


def mtls_mode(view: MeshView, workload: MeshWorkload, port: int | None, default: MTLSMode = "STRICT") -> MTLSMode:
    """STRICT, PERMISSIVE or DISABLE for a port of a workload (its own port number, not the service's).

    The port's mode comes before the workload's, the namespace's and the mesh's; UNSET inherits. Where
    nothing is said `default` holds: STRICT in Windvane's local mesh (Istio's own is PERMISSIVE).
    """
    mode = default
    for policy in _levels(view, view.peer_authentications, workload):
        if policy.spec.mtls is not None and policy.spec.mtls.mode != "UNSET":
            mode = policy.spec.mtls.mode
        on_port = policy.spec.port_level_mtls.get(port) if port is not None else None
        if on_port is not None and on_port.mode != "UNSET" and _has_selector(policy.spec.selector):
            return on_port.mode
    return mode


def authorization_policies_for(view: MeshView, workload: MeshWorkload) -> list[AuthorizationPolicy]:
    """Every AuthorizationPolicy in force for a workload: they add up, from the root namespace and its own."""
    return _in_force(view, view.authorization_policies, workload)


def jwt_rules_for(view: MeshView, workload: MeshWorkload) -> list[JWTRule]:
    """The token rules in force for a workload, by issuer: RequestAuthentications add up."""
    found = _in_force(view, view.request_authentications, workload)
    return sorted((rule for item in found for rule in item.spec.jwt_rules), key=lambda rule: rule.issuer)


def _in_force(view: MeshView, policies: Iterable[A], workload: MeshWorkload) -> list[A]:
    spaces = (view.root_namespace, workload.namespace)
    return [
        item
        for item in policies
        # What a policy is attached to says itself which workloads of which namespace it is for.
        if (item.spec.targets or item.namespace in spaces) and is_for(view, item.namespace, item.spec, workload)
    ]


def destination_rule_for(
    view: MeshView, hostname: str, client_namespace: str, client_labels: Mapping[str, str] | None = None
) -> DestinationRule | None:
    """The DestinationRule that a client uses for a host.

    Rules of the client's namespace come first, then of the service's, then of the root namespace; in
    a namespace the most specific host decides, and a rule whose workloadSelector picks the client
    comes before one without.
    """
    service = view.services.get(hostname)
    namespaces = (client_namespace, service.namespace if service else "", view.root_namespace)
    index = view.derive(
        "destination rules", lambda: hosts.HostIndex((rule.spec.host, rule) for rule in view.destination_rules)
    )
    levels = list(index.find(hostname))
    for namespace in dict.fromkeys(namespaces):
        for level in levels:
            fitting = [rule for rule in level if _usable(rule, namespace, client_namespace, client_labels)]
            if fitting:
                return max(fitting, key=lambda rule: _has_selector(rule.spec.workload_selector))
    return None


@dataclass(frozen=True, slots=True)
class ProxyProcess:
    """How a workload's proxy is run: its worker threads (0: one a core) and what its environment has more."""

    concurrency: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)


def proxy_process_for(view: MeshView, workload: MeshWorkload) -> ProxyProcess:
    """The mesh's ProxyConfig, the namespace's and the workload's, each over the one before."""
    levels = list(_levels(view, view.proxy_configs, workload))
    concurrency = _last((item.spec.concurrency for item in levels), ProxyProcess().concurrency)
    environment = {name: value for item in levels for name, value in item.spec.environment_variables.items()}
    return ProxyProcess(concurrency, environment)


def sidecar_for(view: MeshView, workload: MeshWorkload) -> Sidecar | None:
    """The Sidecar of a workload: one that selects it, else its namespace's, else the root namespace's (oldest each)."""
    own = [item for item in view.sidecars if item.namespace == workload.namespace]
    picked = [item for item in own if item.selector_labels and item.selector_labels.items() <= workload.labels.items()]
    whole = [item for item in own if not item.selector_labels]
    root = [item for item in view.sidecars if item.namespace == view.root_namespace and not item.selector_labels]
    return next(iter((*picked, *whole, *root)), None)


def selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether a selector picks a workload; none, or one without labels, picks all."""
    return selector is None or selector.match_labels.items() <= labels.items()


def _attached(view: MeshView, workload: MeshWorkload) -> list[Telemetry]:
    """The mesh's and the namespace's Telemetry and the oldest that is attached to the workload, if there is one."""
    own = [item for item in view.telemetries if item.spec.targets and is_for(view, item.namespace, item.spec, workload)]
    whole = [item for item in _levels(view, view.telemetries, workload) if not _has_selector(item.spec.selector)]
    return [*whole, own[0]] if own else []


def _usable(
    rule: DestinationRule, namespace: str, client_namespace: str, client_labels: Mapping[str, str] | None
) -> bool:
    selector = rule.spec.workload_selector
    if _has_selector(selector) and rule.namespace != client_namespace:
        return False
    seen = hosts.is_visible(rule.spec.export_to, rule.namespace, client_namespace)
    return rule.namespace == namespace and seen and selects(selector, client_labels or {})


def _has_selector(selector: LabelSelector | None) -> bool:
    return selector is not None and bool(selector.match_labels)


def _levels(view: MeshView, policies: Iterable[P], workload: MeshWorkload) -> Iterator[P]:
    """The policies in force, the widest first: at most one of mesh, namespace and workload (the oldest each)."""
    unattached = [policy for policy in policies if not targets_of(policy.spec)]
    whole = [policy for policy in unattached if not _has_selector(policy.spec.selector)]
    picked = [policy for policy in unattached if _has_selector(policy.spec.selector)]
    yield from _first(whole, view.root_namespace)
    if workload.namespace != view.root_namespace:
        yield from _first(whole, workload.namespace)
    yield from _first((item for item in picked if selects(item.spec.selector, workload.labels)), workload.namespace)


def _first(policies: Iterable[P], namespace: str) -> list[P]:
    return [policy for policy in policies if policy.namespace == namespace][:1]


def _applies(match: TrafficSelector | None, side: Side) -> bool:
    return match is None or match.mode in (side, "CLIENT_AND_SERVER")


def _last(values: Iterable[T | None], default: T) -> T:
    """The last value that was set."""
    result = default
    for value in values:
        if value is not None:
            result = value
    return result


def _side(levels: list[Telemetry], side: Side) -> SideTelemetry:
    tracing = [item for level in levels for item in level.spec.tracing if _applies(item.match, side)]
    logging = [item for level in levels for item in level.spec.access_logging if _applies(item.match, side)]
    overrides = [override for level in levels for item in level.spec.metrics for override in item.overrides]
    return SideTelemetry(
        random_sampling_percentage=_last((item.random_sampling_percentage for item in tracing), None),
        disable_span_reporting=_last((item.disable_span_reporting for item in tracing), default=False),
        # A level that names tags replaces those of the levels above it, as in Istio.
        custom_tags=_last((item.custom_tags or None for item in tracing), {}),
        use_request_id_for_trace_sampling=_last(
            (item.use_request_id_for_trace_sampling for item in tracing), default=True
        ),
        enable_istio_tags=_last((item.enable_istio_tags for item in tracing), default=True),
        disable_context_propagation=_last((item.disable_context_propagation for item in tracing), default=False),
        tracing_providers=_last((tuple(p.name for p in item.providers) or None for item in tracing), ()),
        access_log=not logging[-1].disabled if logging else None,
        access_log_filter=_last((item.filter.expression if item.filter else None for item in logging), ""),
        access_log_providers=_last((tuple(p.name for p in item.providers) or None for item in logging), ()),
        metrics_overrides=tuple(
            override
            for override in overrides
            if override.match is None or override.match.mode in (side, "CLIENT_AND_SERVER")
        ),
    )
