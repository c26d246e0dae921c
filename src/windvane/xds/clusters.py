"""CDS: one cluster for each port of each service (and each subset), and one for each own port.

Clusters are named and built as Istio does: EDS, least request unless told otherwise, mutual TLS
chosen for each endpoint by its metadata. A `ClusterSpec` holds all that a cluster is made of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache, partial
from typing import Literal

from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.extensions.clusters.dynamic_forward_proxy.v3 import ClusterConfig
from envoy_data_plane.google import protobuf

from windvane.mesh.inbound import ended_tls, inbound_pool, ingress_of, listener_protocol, target_of
from windvane.mesh.models import (
    ConnectionPoolSettings,
    DestinationRule,
    OutlierDetection,
    PortTrafficPolicy,
    Subset,
    TrafficPolicy,
)
from windvane.mesh.models.destination_rule import ProxyProtocol
from windvane.mesh.protocols import is_http
from windvane.mesh.resolve import destination_rule_for, endpoint_port
from windvane.mesh.view import MeshService, ServicePort
from windvane.xds import cluster_policy, filters, tls
from windvane.xds.ca import identity_of
from windvane.xds.credentials import names_credentials, with_usable_credential
from windvane.xds.encoding import any_of
from windvane.xds.endpoints import (
    AssignmentSpec,
    EndpointSpec,
    assignment_message,
    cluster_name,
    endpoint_specs,
)
from windvane.xds.localities import needs_labels, placed, topology_labels
from windvane.xds.policy import NO_POLICY, Policy, policy_for
from windvane.xds.proxy import Proxy
from windvane.xds.resources import Resource, pack
from windvane.xds.scope import outbound_scope
from windvane.xds.secrets import ads_source
from windvane.xds.snapshot import Snapshot

PASSTHROUGH, BLACK_HOLE = "PassthroughCluster", "BlackHoleCluster"
Discovery = Literal["eds", "static", "dns", "dns-one", "forward"]
"""Where endpoints come from; `dns-one` uses one of a name's addresses at a time, `forward` resolves each request's own
host (`PassthroughCluster`)."""
_BY_NAME = ("dns", "dns-one")


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
    """What of a proxy decides its outbound clusters: its namespace, and where it matters labels, locality and role."""

    namespace: str
    labels: tuple[tuple[str, str], ...] = ()
    locality: str = ""
    role: str = ""
    topology: tuple[tuple[str, str], ...] = ()
    """Labels with those of its place, where endpoints are ranked by them."""


def outbound_clusters(proxy: Proxy, snapshot: Snapshot) -> dict[str, OutboundCluster]:
    """The clusters to every service of a scope, by name: the same for all proxies that have the same `outbound_key`."""
    key = outbound_key(proxy, snapshot)
    return snapshot.derive(("outbound", key), lambda: dict(_outbound(key, snapshot)))


def outbound_key(proxy: Proxy, snapshot: Snapshot) -> OutboundKey:
    """What of a proxy decides its outbound clusters: labels if any rule selects by them, locality if any does, its role
    if any rule names a Secret."""
    rules = snapshot.view.destination_rules
    secret = snapshot.derive("secrets matter", lambda: any(map(names_credentials, rules)))
    selective = snapshot.derive("selective rules", lambda: any(rule.spec.workload_selector for rule in rules))
    local = snapshot.derive("localities matter", lambda: any(map(_looks_at_localities, rules)))
    ranked = snapshot.derive("shared labels matter", lambda: _ranks_by_labels(snapshot))
    topology = topology_labels(proxy.workload, snapshot.view.cluster_id) if ranked else {}
    return OutboundKey(
        proxy.namespace,
        tuple(sorted(proxy.workload.labels.items())) if selective else (),
        proxy.workload.locality if local else "",
        proxy.role if secret else "",
        tuple(sorted(topology.items())),
    )


def _looks_at_localities(rule: DestinationRule) -> bool:
    return any(
        part.outlier_detection
        or (part.load_balancer and (part.load_balancer.locality_lb_setting or part.load_balancer.zone_aware_lb_setting))
        for part in _parts(rule)
    )


def _ranks_by_labels(snapshot: Snapshot) -> bool:
    """Whether endpoints of any service are ranked by labels that they share with the client."""
    policies = (
        Policy(load_balancer=part.load_balancer, outlier_detection=part.outlier_detection or OutlierDetection())
        for rule in snapshot.view.destination_rules
        for part in _parts(rule)
    )
    by_service = any(service.traffic_distribution for service in snapshot.view.services.values())
    return by_service or any(map(needs_labels, policies))


def _parts(rule: DestinationRule) -> list[TrafficPolicy | PortTrafficPolicy]:
    parts: list[TrafficPolicy | PortTrafficPolicy] = []
    for policy in (rule.spec.traffic_policy, *(subset.traffic_policy for subset in rule.spec.subsets)):
        parts += [policy, *policy.port_level_settings] if policy else []
    return parts


def inbound_ports(proxy: Proxy, snapshot: Snapshot) -> dict[int, tuple[MeshService, ServicePort] | None]:
    """The ports a workload serves (by targetPort), with the service port that leads there, if any."""
    served: dict[int, tuple[MeshService, ServicePort] | None] = dict.fromkeys(sorted(proxy.place.inbound))
    for service in snapshot.derive("services by workload", lambda: _by_workload(snapshot)).get(proxy.key, ()):
        for port in service.ports:
            number = endpoint_port(proxy.workload, port)
            if number in served and served[number] is None:
                served[number] = (service, port)
    return served


def inbound_protocol(proxy: Proxy, snapshot: Snapshot, number: int) -> str:
    """What the proxy speaks on a port of its workload: its Sidecar's word, else its service's; `tcp` if neither.

    On ports that a Sidecar leaves out Istio looks at the first bytes: what a service says of one is what it would find.
    """
    listed = ingress_of(snapshot.view, proxy.workload)
    if number in listed:
        spoken = listener_protocol(listed[number])
        opened = spoken == "https" and ended_tls(snapshot.view, proxy.workload, number) is not None
        return "http" if opened else spoken
    served = inbound_ports(proxy, snapshot)[number]
    return served[1].protocol if served is not None else "tcp"


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
                policy = with_usable_credential(policy_for(rule, subset, port.number), rule, key.role)
                endpoints = _endpoints(key, snapshot, service, port, subset, policy=policy)
                yield _one(service, port, subset, policy=policy, endpoints=endpoints, snapshot=snapshot)


def _endpoints(
    key: OutboundKey,
    snapshot: Snapshot,
    service: MeshService,
    port: ServicePort,
    subset: Subset | None,
    *,
    policy: Policy,
) -> tuple[EndpointSpec, ...]:
    """The endpoints of a service's port as the client of a key uses them."""
    distribution = service.traffic_distribution
    label = None
    if needs_labels(policy, distribution):
        label = partial(topology_labels, cluster_id=snapshot.view.cluster_id)
    found = endpoint_specs(service, port, subset, snapshot, label)
    return placed(found, policy, key.locality, labels=dict(key.topology), distribution=distribution)


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
    if discovery in _BY_NAME and not endpoints:
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
        endpoints=endpoints if discovery in _BY_NAME else (),
        connect_timeout=snapshot.settings.connect_timeout,
    )
    return name, OutboundCluster(spec, endpoints if discovery == "eds" else ())


def _discovery(service: MeshService, port: ServicePort) -> Discovery:
    if service.resolution == "static":
        return "eds"
    if service.resolution == "dynamic":
        return "forward"
    # Without an original destination to go to, a service that resolves nothing is found by its name.
    if service.hostname.startswith("*") and port.is_http:
        return "forward"
    return "dns-one" if service.resolution == "dns-one" and len(service.endpoints) <= 1 else "dns"


def _identities(service: MeshService, snapshot: Snapshot) -> tuple[str, ...]:
    view = snapshot.view
    workloads = (view.workloads[key] for key in service.workloads if key in view.workloads)
    return tuple(sorted({identity_of(workload, view.trust_domain) for workload in workloads}))


def _inbound(proxy: Proxy, snapshot: Snapshot) -> Iterator[ClusterSpec]:
    for number, served in inbound_ports(proxy, snapshot).items():
        service = served[0] if served else None
        yield ClusterSpec(
            name=inbound_name(number),
            discovery="static",
            protocol=inbound_protocol(proxy, snapshot, number),
            service=(service.hostname, service.name, service.namespace) if service else None,
            port=number,
            policy=Policy(connection_pool=_inbound_pool(proxy, snapshot, number, served)),
            endpoints=(_application(proxy, snapshot, number),),
            connect_timeout=snapshot.settings.connect_timeout,
        )


def _application(proxy: Proxy, snapshot: Snapshot, number: int) -> EndpointSpec:
    """The application behind a port of its workload, which a Sidecar may have put elsewhere."""
    listed = ingress_of(snapshot.view, proxy.workload).get(number)
    target = target_of(listed) if listed is not None else number
    if isinstance(target, str):
        return EndpointSpec(target, 0, mutual_tls=False)
    return EndpointSpec(proxy.place.address, proxy.place.app.get(target, target), mutual_tls=False)


def _inbound_pool(
    proxy: Proxy, snapshot: Snapshot, number: int, served: tuple[MeshService, ServicePort] | None
) -> ConnectionPoolSettings | None:
    """Limits towards the application: its Sidecar's, else those of the rule for its service, which clients have too.

    Whether clients' requests are made HTTP/2 is theirs to decide.
    """
    pool = inbound_pool(snapshot.view, proxy.workload, number)
    if pool is None and served is not None:
        service, port = served
        rule = destination_rule_for(snapshot.view, service.hostname, proxy.namespace, proxy.workload.labels)
        pool = policy_for(rule, None, port.number).connection_pool
    if pool is None or pool.http is None:
        return pool
    return pool.model_copy(update={"http": pool.http.model_copy(update={"h2_upgrade_policy": "DEFAULT"})})


@lru_cache(maxsize=65_536)
def build(spec: ClusterSpec) -> Resource:
    """A cluster's CDS resource."""
    message = cluster.Cluster(
        name=spec.name,
        alt_stat_name=f"{spec.name};" if "|" in spec.name else "",
        connect_timeout=timedelta(seconds=_connect_timeout(spec)),
        circuit_breakers=cluster_policy.circuit_breakers(spec.policy),
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
    message.type = {"dns": kinds.STRICT_DNS, "dns-one": kinds.LOGICAL_DNS}.get(spec.discovery, kinds.STATIC)
    message.load_assignment = assignment_message(AssignmentSpec(spec.name, spec.endpoints))
    if spec.discovery in _BY_NAME:
        message.dns_lookup_family = cluster.ClusterDnsLookupFamily.V4_PREFERRED


def _set_transport(message: cluster.Cluster, spec: ClusterSpec) -> None:
    settings, alpn = spec.policy.tls, cluster_policy.alpn(spec.protocol, spec.policy)
    if spec.discovery == "forward" and is_http(spec.protocol) and settings and settings.mode in ("SIMPLE", "MUTUAL"):
        # The name that is asked for and believed is each request's own host, unless the rule has one.
        message.transport_socket = tls.client(settings, "", alpn)
    if spec.discovery in ("static", "forward"):
        return
    mesh = tls.mesh_client(settings.sni if settings and settings.sni else _sni(spec), _believed(spec), alpn)
    if settings is None:
        if not spec.external:
            message.transport_socket_matches = _by_endpoint(mesh)
    elif settings.mode == "ISTIO_MUTUAL":
        message.transport_socket = mesh
    elif settings.mode in ("SIMPLE", "MUTUAL"):
        message.transport_socket = tls.client(settings, spec.service[0] if spec.service else "", alpn)
    if spec.policy.proxy_protocol is not None:
        _announce(message, spec.policy.proxy_protocol)


def _announce(message: cluster.Cluster, wanted: ProxyProtocol) -> None:
    """A PROXY header before whatever a connection speaks."""
    if not message.transport_socket_matches:
        message.transport_socket = tls.with_proxy_header(message.transport_socket or tls.plaintext(), wanted)
    for match in message.transport_socket_matches:
        match.transport_socket = tls.with_proxy_header(match.transport_socket or tls.plaintext(), wanted)


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
