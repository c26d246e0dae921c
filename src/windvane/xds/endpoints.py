"""EDS: who answers for a cluster, where, and how they are to be spoken to.

An endpoint that has a sidecar is reached on the sidecar's inbound listener, and its metadata says
whether with mutual TLS (`tlsMode: istio`, by which the cluster picks its transport socket). One
without a sidecar is reached as it stands, in plaintext.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.endpoint import v3 as endpoint
from envoy_data_plane.google import protobuf

from windvane.mesh.inbound import UNIX
from windvane.mesh.models import Subset
from windvane.mesh.resolve import endpoint_port, mtls_mode
from windvane.mesh.view import MeshService, MeshWorkload, ServicePort
from windvane.xds.proxy import role_of
from windvane.xds.resources import Resource, pack
from windvane.xds.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class EndpointSpec:
    """One address: `identity` is Istio's `workload;namespace;canonical name;revision;cluster`.

    `priority` 0 is used first; `locality_weight` is that of its locality (0: the sum of its endpoints' weights).
    `labels` are only for ranking endpoints: they are no part of what an endpoint is.
    """

    address: str
    port: int
    mutual_tls: bool
    weight: int = 1
    locality: str = ""
    identity: str = ""
    priority: int = 0
    locality_weight: int = 0
    labels: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class AssignmentSpec:
    """All endpoints of a cluster."""

    cluster: str
    endpoints: tuple[EndpointSpec, ...]


def cluster_name(port: int, subset: str, hostname: str) -> str:
    """Istio's name of an outbound cluster."""
    return f"outbound|{port}|{subset}|{hostname}"


def endpoint_specs(
    service: MeshService,
    port: ServicePort,
    subset: Subset | None,
    snapshot: Snapshot,
    label: Callable[[MeshWorkload], Mapping[str, str]] | None = None,
) -> tuple[EndpointSpec, ...]:
    """The endpoints of a service's port, those of a subset when one is given; `label` gives them their labels."""
    workloads = [snapshot.view.workloads[key] for key in service.workloads if key in snapshot.view.workloads]
    mesh_internal = service.location == "internal"
    chosen = [
        workload
        for workload in [*workloads, *service.endpoints]
        if subset is None or subset.labels.items() <= dict(workload.labels).items()
    ]
    specs = ((_spec(workload, port, snapshot, mesh_internal), workload) for workload in chosen)
    if label is None:
        return tuple(spec for spec, _ in specs if spec is not None)
    return tuple(replace(spec, labels=label(workload)) for spec, workload in specs if spec is not None)


def assignment(cluster: str, specs: Iterable[EndpointSpec]) -> Resource:
    """The EDS resource of a cluster."""
    return _build(AssignmentSpec(cluster, tuple(specs)))


def assignment_message(spec: AssignmentSpec) -> endpoint.ClusterLoadAssignment:
    """The message itself, for clusters that hold their endpoints."""
    localities: dict[tuple[int, str], list[EndpointSpec]] = {}
    for each in spec.endpoints:
        localities.setdefault((each.priority, each.locality), []).append(each)
    groups = [_locality(priority, name, members) for (priority, name), members in sorted(localities.items())]
    return endpoint.ClusterLoadAssignment(cluster_name=spec.cluster, endpoints=groups)


def socket_address(address: str, port: int) -> core.Address:
    """An Envoy address: TCP, or a Unix domain socket where `address` begins with `unix://`."""
    if address.startswith(UNIX):
        return core.Address(pipe=core.Pipe(path=address.removeprefix(UNIX)))
    return core.Address(socket_address=core.SocketAddress(address=address, port_value=port))


def _spec(workload: MeshWorkload, port: ServicePort, snapshot: Snapshot, mesh_internal: bool) -> EndpointSpec | None:
    wanted = endpoint_port(workload, port)
    place = snapshot.placement.place(workload.name, workload.namespace)
    identity = ";".join(
        (
            workload.name,
            workload.namespace,
            workload.canonical_name,
            workload.canonical_revision,
            snapshot.view.cluster_id,
        )
    )
    weight = workload.weight or 1
    if place is not None and mesh_internal:
        bound = place.reached(wanted)
        mutual_tls = _accepts_mutual_tls(workload, wanted, snapshot)
        return EndpointSpec(place.address, bound, mutual_tls, weight, workload.locality, identity) if bound else None
    if not workload.address:
        return None
    number = 0 if workload.address.startswith(UNIX) else wanted
    return EndpointSpec(workload.address, number, False, weight, workload.locality, identity)


def _accepts_mutual_tls(workload: MeshWorkload, port: int, snapshot: Snapshot) -> bool:
    """Gateways listen for the outside: they have no inbound listeners with the mesh's certificates."""
    if role_of(snapshot.view, workload) == "router":
        return False
    return mtls_mode(snapshot.view, workload, port) != "DISABLE"


@lru_cache(maxsize=65_536)
def _build(spec: AssignmentSpec) -> Resource:
    return pack(spec.cluster, assignment_message(spec))


def _locality(priority: int, name: str, members: list[EndpointSpec]) -> endpoint.LocalityLbEndpoints:
    region, zone, sub_zone = [*name.split("/"), "", ""][:3]
    return endpoint.LocalityLbEndpoints(
        locality=core.Locality(region=region, zone=zone, sub_zone=sub_zone) if name else None,
        lb_endpoints=[_endpoint(member) for member in members],
        load_balancing_weight=members[0].locality_weight or sum(member.weight for member in members),
        priority=priority,
    )


def _endpoint(spec: EndpointSpec) -> endpoint.LbEndpoint:
    metadata = {"istio": protobuf.Struct.from_dict({"workload": spec.identity})}
    if spec.mutual_tls:
        metadata["envoy.transport_socket_match"] = protobuf.Struct.from_dict({"tlsMode": "istio"})
    return endpoint.LbEndpoint(
        endpoint=endpoint.Endpoint(address=socket_address(spec.address, spec.port)),
        metadata=core.Metadata(filter_metadata=metadata),
        load_balancing_weight=spec.weight,
        health_status=core.HealthStatus.HEALTHY,
    )
