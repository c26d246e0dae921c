"""Resources to one frozen `MeshView`: names made full, selectors followed, rules merged.

The result depends on the resources alone, not on the order or files they came in: between equals
Istio's order decides (creation time, then name, then namespace).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from windvane.mesh import hosts
from windvane.mesh.delegates import merged
from windvane.mesh.gateway_api.surroundings import Surroundings
from windvane.mesh.gateway_api.translate import in_order, translate
from windvane.mesh.models import (
    AuthorizationPolicy,
    ConfigMap,
    Destination,
    DestinationRule,
    EnvoyFilter,
    ExtensionProvider,
    Gateway,
    HTTPRoute,
    IstioOperator,
    PeerAuthentication,
    PodOwner,
    ProxyConfig,
    RequestAuthentication,
    Resource,
    Secret,
    Service,
    ServiceEntry,
    Sidecar,
    TCPRoute,
    Telemetry,
    TLSRoute,
    VirtualService,
    WasmPlugin,
    WorkloadEntry,
)
from windvane.mesh.models.services import KubernetesServicePort, WorkloadEntrySpec
from windvane.mesh.models.services import ServicePort as EntryPort
from windvane.mesh.models.virtual_service import HTTPMatchRequest, HTTPMirrorPolicy
from windvane.mesh.protocols import port_protocol
from windvane.mesh.selectable import Selectable
from windvane.mesh.view import MeshService, MeshView, MeshWorkload, ServicePort

R = TypeVar("R", bound=Resource)
L4 = TypeVar("L4", TCPRoute, TLSRoute)

MESH_GATEWAY = "mesh"
"""The name in `gateways` that stands for all sidecars."""

_EXPORT_TO = "networking.istio.io/exportTo"
"""The annotation of a Kubernetes Service that says which namespaces see it."""
_RESOLUTIONS = {"NONE": "none", "STATIC": "static", "DYNAMIC_DNS": "dynamic", "DNS_ROUND_ROBIN": "dns-one"}
_DISTRIBUTION = "networking.istio.io/traffic-distribution"
"""The annotation of a Service or ServiceEntry that comes over `trafficDistribution`."""

_MEANINGLESS_METADATA = {
    "uid",
    "resource_version",
    "generation",
    "self_link",
    "managed_fields",
    "owner_references",
    "finalizers",
}


@dataclass(frozen=True, slots=True)
class MeshIdentity:
    """What a mesh is called. `domain` is the suffix of Kubernetes' host names."""

    trust_domain: str = "cluster.local"
    cluster_id: str = "Kubernetes"
    root_namespace: str = "istio-system"
    domain: str = "cluster.local"


def build_view(resources: Iterable[Resource], identity: MeshIdentity | None = None) -> MeshView:
    """The view of resources that each are valid and whose names do not clash."""
    identity = identity or MeshIdentity()
    ordered = sorted(resources, key=lambda item: item.age_key)
    made = [*map(_workload, _of(ordered, WorkloadEntry)), *map(_pods, _of(ordered, PodOwner))]
    by_key: dict[str, MeshWorkload] = {}
    for workload in made:
        by_key.setdefault(workload.key, workload)
    workloads = list(by_key.values())
    services = _services(ordered, workloads, identity.domain)
    secrets = {f"{item.namespace}/{item.name}": item for item in reversed(_of(ordered, Secret))}
    translated = translate(ordered, Surroundings.of(ordered, services, identity.domain, secrets, workloads))
    own_routes = _virtual_services(_of(ordered, VirtualService), identity.domain)
    return MeshView(
        version=_version(ordered),
        services=dict(sorted(translated.services.items())),
        workloads=by_key,
        virtual_services=in_order(own_routes, translated.routes),
        delegates=frozenset(
            f"{item.namespace}/{item.name}" for item in _of(ordered, VirtualService) if not item.spec.hosts
        ),
        destination_rules=_merge_rules(_of(ordered, DestinationRule), identity.domain),
        gateways=(*_of(ordered, Gateway), *translated.gateways),
        sidecars=tuple(_of(ordered, Sidecar)),
        proxy_configs=tuple(_of(ordered, ProxyConfig)),
        peer_authentications=tuple(_of(ordered, PeerAuthentication)),
        request_authentications=tuple(_of(ordered, RequestAuthentication)),
        authorization_policies=tuple(_of(ordered, AuthorizationPolicy)),
        telemetries=tuple(_of(ordered, Telemetry)),
        wasm_plugins=tuple(_of(ordered, WasmPlugin)),
        envoy_filters=tuple(_of(ordered, EnvoyFilter)),
        extension_providers=_extension_providers(ordered, identity.root_namespace),
        gateway_api_conditions=translated.conditions,
        secrets=secrets,
        trust_domain=identity.trust_domain,
        cluster_id=identity.cluster_id,
        root_namespace=identity.root_namespace,
    )


def service_hosts(resource: Resource, domain: str) -> tuple[str, ...]:
    """The host names that a Service or a ServiceEntry brings into the registry."""
    if isinstance(resource, Service):
        return (f"{resource.name}.{resource.namespace}.svc.{domain}",)
    return resource.spec.hosts if isinstance(resource, ServiceEntry) else ()


def _extension_providers(resources: Sequence[Resource], root_namespace: str) -> dict[str, ExtensionProvider] | None:
    """Those of the mesh's configuration; of two with one name the first counts."""
    given: list[IstioOperator | ConfigMap] = [
        *_of(resources, IstioOperator),
        *(item for item in _of(resources, ConfigMap) if item.namespace == root_namespace),
    ]
    configs = [item.mesh_config for item in given if item.mesh_config is not None]
    if not configs:
        return None
    found: dict[str, ExtensionProvider] = {}
    for provider in (provider for config in configs for provider in config.extension_providers):
        found.setdefault(provider.name, provider)
    return found


def _of(resources: Sequence[Resource], kind: type[R]) -> list[R]:
    return [resource for resource in resources if isinstance(resource, kind)]


def _version(resources: Sequence[Resource]) -> str:
    """A hash of everything that has meaning; positions, order and bookkeeping have none."""
    texts = sorted(meaning(resource) for resource in resources)
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


def meaning(resource: Resource) -> str:
    """All that a resource says, as text: equal for resources that differ in bookkeeping alone."""
    text = resource.model_dump_json(exclude_defaults=True, exclude={"metadata": _MEANINGLESS_METADATA})
    return f"{resource.kind}|{resource.namespace}|{resource.name}|{text}"


def _workload(entry: WorkloadEntry) -> MeshWorkload:
    # Istio lets labels stand in the spec or in the metadata; where both say something the metadata wins.
    return _from_spec(entry.spec, entry, entry.name, {**entry.spec.labels, **entry.labels})


def _pods(owner: PodOwner) -> MeshWorkload:
    """All pods of an owner as one workload, named as Istio's telemetry names it."""
    pods = owner.pods
    listening = [port for container in pods.spec.containers for port in container.ports]
    return MeshWorkload(
        name=owner.name,
        namespace=owner.namespace,
        labels=pods.metadata.labels,
        annotations={**owner.annotations, **pods.metadata.annotations},
        service_account=pods.spec.service_account_name or "default",
        ports={port.name: port.container_port for port in listening if port.name},
        kind=owner.kind,
        file=owner.file,
        line=owner.line,
    )


def _from_spec(spec: WorkloadEntrySpec, owner: Resource, name: str, labels: Mapping[str, str]) -> MeshWorkload:
    return MeshWorkload(
        name=name,
        namespace=owner.namespace,
        labels=labels,
        annotations=owner.annotations if isinstance(owner, WorkloadEntry) else {},
        service_account=spec.service_account or "default",
        address=spec.address,
        ports=spec.ports,
        weight=spec.weight,
        locality=spec.locality,
        network=spec.network,
        file=owner.file,
        line=owner.line,
    )


def _services(resources: Sequence[Resource], workloads: Sequence[MeshWorkload], domain: str) -> dict[str, MeshService]:
    """By host name; a Kubernetes Service comes before a ServiceEntry, the older before the younger."""
    services: dict[str, MeshService] = {}
    selectable = Selectable(workloads)
    for service in _of(resources, Service):
        made = _kubernetes_service(service, selectable, domain)
        services.setdefault(made.hostname, made)
    for entry in _of(resources, ServiceEntry):
        for host in entry.spec.hosts:
            services.setdefault(host, _entry_service(entry, host, selectable))
    return dict(sorted(services.items()))


def _kubernetes_service(service: Service, workloads: Selectable, domain: str) -> MeshService:
    spec = service.spec
    selected = workloads.select(service.namespace, spec.selector)
    external = spec.type == "ExternalName"
    endpoint = WorkloadEntrySpec(address=spec.external_name)
    return MeshService(
        hostname=service_hosts(service, domain)[0],
        name=service.name,
        namespace=service.namespace,
        ports=tuple(_service_port(port, selected) for port in spec.ports if port.protocol == "TCP"),
        workloads=tuple(workload.key for workload in selected),
        endpoints=(_from_spec(endpoint, service, service.name, {}),) if external else (),
        resolution="dns" if external else "static",
        location="external" if external else "internal",
        labels=service.labels,
        export_to=_exports(service.annotations.get(_EXPORT_TO, "")),
        is_headless=spec.cluster_ip == "None",
        traffic_distribution=service.annotations.get(_DISTRIBUTION, "") or spec.traffic_distribution,
        addresses=tuple(
            dict.fromkeys(text for text in (spec.cluster_ip, *spec.cluster_ips) if text not in ("", "None"))
        ),
    )


def _service_port(port: KubernetesServicePort, selected: Sequence[MeshWorkload]) -> ServicePort:
    target = port.target_port
    if isinstance(target, str):
        target = next((workload.ports[target] for workload in selected if target in workload.ports), None)
    protocol = port_protocol(port.name, port.app_protocol)
    return ServicePort(port.port, port.name, protocol, target or port.port)


def _entry_service(entry: ServiceEntry, host: str, workloads: Selectable) -> MeshService:
    spec = entry.spec
    selected = workloads.select(entry.namespace, spec.workload_selector.labels) if spec.workload_selector else ()
    return MeshService(
        hostname=host,
        name=host if spec.location == "MESH_EXTERNAL" else host.partition(".")[0],
        namespace=entry.namespace,
        ports=tuple(_entry_port(port) for port in spec.ports),
        workloads=tuple(workload.key for workload in selected),
        endpoints=_endpoints(entry, host),
        resolution=_RESOLUTIONS.get(spec.resolution, "dns"),
        location="external" if spec.location == "MESH_EXTERNAL" else "internal",
        labels=entry.labels,
        export_to=spec.export_to,
        traffic_distribution=entry.annotations.get(_DISTRIBUTION, ""),
        addresses=spec.addresses,
    )


def _exports(text: str) -> tuple[str, ...]:
    """Namespaces that see a Kubernetes Service, from its annotation."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _endpoints(entry: ServiceEntry, host: str) -> tuple[MeshWorkload, ...]:
    """The addresses that a ServiceEntry lists; one resolved by DNS without any is its own host."""
    specs = entry.spec.endpoints
    if not specs and entry.spec.resolution.startswith("DNS") and entry.spec.workload_selector is None:
        specs = (WorkloadEntrySpec(address=host),)
    return tuple(_from_spec(spec, entry, f"{entry.name}-{index}", spec.labels) for index, spec in enumerate(specs))


def _entry_port(port: EntryPort) -> ServicePort:
    return ServicePort(port.number, port.name, port_protocol(port.protocol), port.target_port or port.number)


def _virtual_services(items: Sequence[VirtualService], domain: str) -> tuple[VirtualService, ...]:
    """Those with hosts, names in full; a delegate's names are of its own namespace."""
    return tuple(merged(_resolve_routes(item, domain) for item in items))


def _resolve_routes(item: VirtualService, domain: str) -> VirtualService:
    """A VirtualService with hosts and destinations in full and gateways as `namespace/name`."""
    spec = item.spec
    full = spec.model_copy(
        update={
            "hosts": tuple(hosts.resolve(host, item.namespace, domain) for host in spec.hosts),
            "gateways": _resolve_gateways(spec.gateways, item.namespace) or (MESH_GATEWAY,),
            "http": tuple(_resolve_route(route, item.namespace, domain) for route in spec.http),
            "tls": tuple(_resolve_connections(route, item.namespace, domain) for route in spec.tls),
            "tcp": tuple(_resolve_connections(route, item.namespace, domain) for route in spec.tcp),
        }
    )
    return item.model_copy(update={"spec": full})


def _resolve_gateways(names: Iterable[str], namespace: str) -> tuple[str, ...]:
    return tuple(name if name == MESH_GATEWAY or "/" in name else f"{namespace}/{name}" for name in names)


def _full(destination: Destination | None, namespace: str, domain: str) -> Destination | None:
    if destination is None:
        return None
    return destination.model_copy(update={"host": hosts.resolve(destination.host, namespace, domain)})


def _resolve_connections(route: L4, namespace: str, domain: str) -> L4:
    """A rule for TCP or TLS with names in full."""
    matches = [
        match.model_copy(update={"gateways": _resolve_gateways(match.gateways, namespace)}) for match in route.match
    ]
    targets = [
        target.model_copy(update={"destination": _full(target.destination, namespace, domain)})
        for target in route.route
    ]
    return route.model_copy(update={"match": tuple(matches), "route": tuple(targets)})


def _resolve_route(route: HTTPRoute, namespace: str, domain: str) -> HTTPRoute:
    def full(destination: Destination | None) -> Destination | None:
        return _full(destination, namespace, domain)

    def match(item: HTTPMatchRequest) -> HTTPMatchRequest:
        return item.model_copy(update={"gateways": _resolve_gateways(item.gateways, namespace)})

    def mirror(item: HTTPMirrorPolicy) -> HTTPMirrorPolicy:
        return item.model_copy(update={"destination": full(item.destination)})

    return route.model_copy(
        update={
            "match": tuple(match(item) for item in route.match),
            "route": tuple(item.model_copy(update={"destination": full(item.destination)}) for item in route.route),
            "mirror": full(route.mirror),
            "mirrors": tuple(mirror(item) for item in route.mirrors),
        }
    )


def _merge_rules(rules: Iterable[DestinationRule], domain: str) -> tuple[DestinationRule, ...]:
    """One rule for each host, namespace and scope, as Istio merges them: subsets add up, the first policy stays."""
    by_scope: dict[tuple[object, ...], DestinationRule] = {}
    for rule in rules:
        host = hosts.resolve(rule.spec.host, rule.namespace, domain)
        full = rule.model_copy(update={"spec": rule.spec.model_copy(update={"host": host})})
        selector = rule.spec.workload_selector
        labels = tuple(sorted(selector.match_labels.items())) if selector else ()
        key = (rule.namespace, host, labels, tuple(sorted(rule.spec.export_to)))
        by_scope[key] = _merge_two(by_scope[key], full) if key in by_scope else full
    return tuple(by_scope.values())


def _merge_two(first: DestinationRule, second: DestinationRule) -> DestinationRule:
    names = {subset.name for subset in first.spec.subsets}
    added = tuple(subset for subset in second.spec.subsets if subset.name not in names)
    policy = first.spec.traffic_policy or second.spec.traffic_policy
    update = {"subsets": first.spec.subsets + added, "traffic_policy": policy}
    return first.model_copy(update={"spec": first.spec.model_copy(update=update)})
