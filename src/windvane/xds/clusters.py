"""CDS: one cluster for each port of each service (and each subset), and one for each own port.

Clusters are named and built as Istio does: EDS, least request unless told otherwise, mutual TLS
chosen for each endpoint by its metadata. A `ClusterSpec` holds all that a cluster is made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Literal

from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.clusters.dynamic_forward_proxy.v3 import ClusterConfig
from envoy_data_plane.google import protobuf

from windvane.mesh.models import DestinationRule, PortTrafficPolicy, Subset, TrafficPolicy
from windvane.mesh.resolve import destination_rule_for, endpoint_port
from windvane.mesh.view import MeshService, ServicePort
from windvane.xds import cluster_policy, filters, tls
from windvane.xds.ca import identity_of
from windvane.xds.encoding import any_of
from windvane.xds.endpoints import (
    AssignmentSpec,
    EndpointSpec,
    assignment_message,
    cluster_name,
    endpoint_specs,
)
from windvane.xds.localities import placed
from windvane.xds.policy import NO_POLICY, Policy, policy_for
from windvane.xds.proxy import Proxy
from windvane.xds.resources import Resource, pack
from windvane.xds.scope import outbound_scope
from windvane.xds.secrets import ads_source
from windvane.xds.snapshot import Snapshot

PASSTHROUGH, BLACK_HOLE = "PassthroughCluster", "BlackHoleCluster"
Discovery = Literal["eds", "static", "dns", "forward"]
"""Where endpoints come from; `forward` resolves each request's own host (`PassthroughCluster`)."""


@dataclass(frozen=True, slots=True)
class ClusterSpec:
    """All that a cluster is made of. `service` is (hostname, name, namespace), for telemetry.

    `identities` are the SPIFFE ids a mutual-TLS endpoint may prove; `endpoints` is for clusters
    that do not ask EDS; `connect_timeout` is in seconds.
    """

    name: str
    discovery: Discovery
    protocol: str = "tcp"
    service: tuple[str, str, str] | None = None
    subset: str = ""
    port: int = 0
    external: bool = False
    identities: tuple[str, ...] = ()
    policy: Policy = NO_POLICY
    endpoints: tuple[EndpointSpec, ...] = ()
    connect_timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class OutboundCluster:
    """A cluster to a service's port, as other generators need it: its spec and its endpoints."""

    spec: ClusterSpec
    endpoints: tuple[EndpointSpec, ...]


def clusters(proxy: Proxy, snapshot: Snapshot) -> list[Resource]:
    """CDS of a proxy."""
    specs = list(_inbound(proxy, snapshot)) if proxy.role == "sidecar" else []
    specs.append(ClusterSpec(BLACK_HOLE, "static"))
    specs.append(ClusterSpec(PASSTHROUGH, "forward", "http", external=True))
    return [*_built_outbound(proxy, outbound_scope(proxy, snapshot)), *map(build, specs)]


def _built_outbound(proxy: Proxy, scope: Snapshot) -> list[Resource]:
    key = outbound_key(proxy, scope)
    return scope.derive(("built", key), lambda: [build(each.spec) for each in outbound_clusters(proxy, scope).values()])


@dataclass(frozen=True, slots=True)
class OutboundKey:
    """What of a proxy decides its outbound clusters: its namespace, and where it matters its labels and locality."""

    namespace: str
    labels: tuple[tuple[str, str], ...] = ()
    locality: str = ""


def outbound_clusters(proxy: Proxy, snapshot: Snapshot) -> dict[str, OutboundCluster]:
    """The clusters to every service of a scope, by name: the same for all proxies that have the same `outbound_key`."""
    key = outbound_key(proxy, snapshot)
    return snapshot.derive(("outbound", key), lambda: dict(_outbound(key, snapshot)))


def outbound_key(proxy: Proxy, snapshot: Snapshot) -> OutboundKey:
    """What of a proxy decides its outbound clusters: labels if any rule selects by them, locality if any does."""
    rules = snapshot.view.destination_rules
    selective = snapshot.derive("selective rules", lambda: any(rule.spec.workload_selector for rule in rules))
    local = snapshot.derive("localities matter", lambda: any(map(_looks_at_localities, rules)))
    return OutboundKey(
        proxy.namespace,
        tuple(sorted(proxy.workload.labels.items())) if selective else (),
        proxy.workload.locality if local else "",
    )


def _looks_at_localities(rule: DestinationRule) -> bool:
    policies = [rule.spec.traffic_policy, *(subset.traffic_policy for subset in rule.spec.subsets)]
    parts: list[TrafficPolicy | PortTrafficPolicy] = []
    for policy in policies:
        parts += [policy, *policy.port_level_settings] if policy else []
    return any(
        part.outlier_detection or (part.load_balancer and part.load_balancer.locality_lb_setting) for part in parts
    )


def inbound_ports(proxy: Proxy, snapshot: Snapshot) -> dict[int, tuple[MeshService, ServicePort] | None]:
    """The ports a workload serves (by targetPort), with the service port that leads there, if any."""
    served: dict[int, tuple[MeshService, ServicePort] | None] = dict.fromkeys(sorted(proxy.place.inbound))
    for service in snapshot.derive("services by workload", lambda: _by_workload(snapshot)).get(proxy.key, ()):
        for port in service.ports:
            number = endpoint_port(proxy.workload, port)
            if number in served and served[number] is None:
                served[number] = (service, port)
    return served


def inbound_name(port: int) -> str:
    """Istio's name of the cluster to the application's own port."""
    return f"inbound|{port}||"


def _by_workload(snapshot: Snapshot) -> dict[str, list[MeshService]]:
    services: dict[str, list[MeshService]] = {}
    for _, service in sorted(snapshot.view.services.items()):
        for key in service.workloads:
            services.setdefault(key, []).append(service)
    return services


def _outbound(key: OutboundKey, snapshot: Snapshot) -> Iterator[tuple[str, OutboundCluster]]:
    for hostname, service in sorted(snapshot.view.services.items()):
        rule = destination_rule_for(snapshot.view, hostname, key.namespace, dict(key.labels))
        for port in service.ports:
            for subset in (None, *(rule.spec.subsets if rule else ())):
                policy = policy_for(rule, subset, port.number)
                endpoints = placed(endpoint_specs(service, port, subset, snapshot), policy, key.locality)
                yield _one(service, port, subset, policy=policy, endpoints=endpoints, snapshot=snapshot)


def _one(
    service: MeshService,
    port: ServicePort,
    subset: Subset | None,
    *,
    policy: Policy,
    endpoints: tuple[EndpointSpec, ...],
    snapshot: Snapshot,
) -> tuple[str, OutboundCluster]:
    name = cluster_name(port.number, subset.name if subset else "", service.hostname)
    discovery = _discovery(service, port)
    if discovery == "dns" and not endpoints:
        endpoints = (EndpointSpec(service.hostname, port.target_port or port.number, mutual_tls=False),)
    spec = ClusterSpec(
        name=name,
        discovery=discovery,
        protocol=port.protocol,
        service=(service.hostname, service.name, service.namespace),
        subset=subset.name if subset else "",
        port=port.number,
        external=service.location != "internal",
        identities=_identities(service, snapshot),
        policy=policy,
        endpoints=endpoints if discovery == "dns" else (),
        connect_timeout=snapshot.settings.connect_timeout,
    )
    return name, OutboundCluster(spec, endpoints if discovery == "eds" else ())


def _discovery(service: MeshService, port: ServicePort) -> Discovery:
    if service.resolution == "static":
        return "eds"
    # Without an original destination to go to, a service that resolves nothing is found by its name.
    return "forward" if service.hostname.startswith("*") and port.is_http else "dns"


def _identities(service: MeshService, snapshot: Snapshot) -> tuple[str, ...]:
    view = snapshot.view
    workloads = (view.workloads[key] for key in service.workloads if key in view.workloads)
    return tuple(sorted({identity_of(workload, view.trust_domain) for workload in workloads}))


def _inbound(proxy: Proxy, snapshot: Snapshot) -> Iterator[ClusterSpec]:
    for number, served in inbound_ports(proxy, snapshot).items():
        application = EndpointSpec(proxy.place.address, proxy.place.app.get(number, number), mutual_tls=False)
        service, port = served if served else (None, None)
        yield ClusterSpec(
            name=inbound_name(number),
            discovery="static",
            protocol=port.protocol if port else "tcp",
            service=(service.hostname, service.name, service.namespace) if service else None,
            port=number,
            endpoints=(application,),
            connect_timeout=snapshot.settings.connect_timeout,
        )


@lru_cache(maxsize=65_536)
def build(spec: ClusterSpec) -> Resource:
    """A cluster's CDS resource."""
    message = cluster.Cluster(
        name=spec.name,
        alt_stat_name=f"{spec.name};" if "|" in spec.name else "",
        connect_timeout=timedelta(seconds=_connect_timeout(spec)),
        circuit_breakers=cluster_policy.circuit_breakers(spec.policy.connection_pool),
        outlier_detection=cluster_policy.outlier_detection(spec.policy.outlier_detection),
        common_lb_config=cluster_policy.common_lb(spec.policy),
        metadata=_metadata(spec),
        typed_extension_protocol_options=cluster_policy.protocol_options(
            spec.protocol, spec.policy, external=spec.external, forward=spec.discovery == "forward"
        ),
        upstream_connection_options=cluster_policy.keepalive(spec.policy.connection_pool),
    )
    _set_discovery(message, spec)
    _set_transport(message, spec)
    return pack(spec.name, message)


def _connect_timeout(spec: ClusterSpec) -> float:
    pool = spec.policy.connection_pool
    return (pool.tcp.connect_timeout if pool and pool.tcp else None) or spec.connect_timeout


def _set_discovery(message: cluster.Cluster, spec: ClusterSpec) -> None:
    kinds = cluster.ClusterDiscoveryType
    if spec.discovery == "forward":
        message.lb_policy = cluster.ClusterLbPolicy.CLUSTER_PROVIDED
        message.cluster_type = cluster.ClusterCustomClusterType(
            name="envoy.clusters.dynamic_forward_proxy",
            typed_config=any_of(ClusterConfig(dns_cache_config=filters.dns_cache())),
        )
        return
    cluster_policy.set_load_balancer(message, spec.policy.load_balancer)
    if spec.discovery == "eds":
        message.type = kinds.EDS
        message.eds_cluster_config = cluster.ClusterEdsClusterConfig(eds_config=ads_source(), service_name=spec.name)
        return
    message.type = kinds.STRICT_DNS if spec.discovery == "dns" else kinds.STATIC
    message.load_assignment = assignment_message(AssignmentSpec(spec.name, spec.endpoints))
    if spec.discovery == "dns":
        message.dns_lookup_family = cluster.ClusterDnsLookupFamily.V4_PREFERRED


def _set_transport(message: cluster.Cluster, spec: ClusterSpec) -> None:
    if spec.discovery in ("static", "forward"):
        return
    settings, alpn = spec.policy.tls, cluster_policy.alpn(spec.protocol, spec.policy)
    mesh = tls.mesh_client(settings.sni if settings and settings.sni else _sni(spec), _believed(spec), alpn)
    if settings is None:
        if not spec.external:
            message.transport_socket_matches = _by_endpoint(mesh)
    elif settings.mode == "ISTIO_MUTUAL":
        message.transport_socket = mesh
    elif settings.mode in ("SIMPLE", "MUTUAL"):
        message.transport_socket = tls.client_from_files(settings, spec.service[0] if spec.service else "", alpn)


def _believed(spec: ClusterSpec) -> tuple[str, ...]:
    settings = spec.policy.tls
    return tuple(settings.subject_alt_names) if settings and settings.subject_alt_names else spec.identities


def _sni(spec: ClusterSpec) -> str:
    assert spec.service is not None
    return f"outbound_.{spec.port}_.{spec.subset}_.{spec.service[0]}"


def _by_endpoint(mesh: core.TransportSocket) -> list[cluster.ClusterTransportSocketMatch]:
    wanted = protobuf.Struct.from_dict({"tlsMode": "istio"})
    return [
        cluster.ClusterTransportSocketMatch(name="tlsMode-istio", match=wanted, transport_socket=mesh),
        cluster.ClusterTransportSocketMatch(
            name="tlsMode-disabled", match=protobuf.Struct(), transport_socket=tls.plaintext()
        ),
    ]


def _metadata(spec: ClusterSpec) -> core.Metadata | None:
    if spec.service is None:
        return None
    host, name, namespace = spec.service
    values: dict[str, object] = {"services": [{"host": host, "name": name, "namespace": namespace}]}
    if spec.subset:
        values["subset"] = spec.subset
    return core.Metadata(filter_metadata={"istio": protobuf.Struct.from_dict(values)})
