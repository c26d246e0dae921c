"""Which nodes a series of Istio's metrics connects, by Kiali's rules.

A series names a source workload and a destination service and workload. What it names becomes a
node by the type of graph: workload, app, versioned app or service; where the preferred identity is
unknown the next best is taken. Telemetry that cannot be placed (no workload behind a known
namespace, a bare IP address as service) is left out.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import StrEnum

UNKNOWN = "unknown"
EGRESS_CLUSTERS = ("PassthroughCluster", "BlackHoleCluster")
EGRESS_GATEWAY = "istio-egressgateway"

LABELS = (
    "source_cluster",
    "source_workload_namespace",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "destination_cluster",
    "destination_service_namespace",
    "destination_service",
    "destination_service_name",
    "destination_workload_namespace",
    "destination_workload",
    "destination_canonical_service",
    "destination_canonical_revision",
)
"""Labels that identify both ends of a series; one that lacks any but the clusters is skipped."""

_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+(:\d+)?")


class GraphType(StrEnum):
    """What a node of a graph stands for."""

    WORKLOAD = "workload"
    APP = "app"
    VERSIONED_APP = "versionedApp"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class NodeKey:
    """A node's identity and its names; `type` is workload, app, service or unknown.

    Names that the type makes meaningless are empty (a service has no version).
    """

    id: str
    type: str
    cluster: str
    namespace: str
    workload: str = ""
    app: str = ""
    version: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True)
class ServiceName:
    """A requested service."""

    cluster: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class Workload:
    """A workload with its canonical service and revision."""

    namespace: str
    name: str
    app: str
    version: str


NO_WORKLOAD = Workload("", "", "", "")


@dataclass(frozen=True, slots=True)
class Ends:
    """Both ends of a series; `service` is there where the series names a service.

    `inject` is the service's own node, unless the destination is that node already;
    `workload` is the destination as the series has it.
    """

    source: NodeKey
    destination: NodeKey
    host: str
    workload: Workload
    service: ServiceName | None
    inject: NodeKey | None


def known(name: str) -> bool:
    """Whether a label says something."""
    return name not in ("", UNKNOWN)


@functools.lru_cache(maxsize=100_000)
def resolve(labels: tuple[str, ...], graph_type: GraphType, root_namespace: str = "istio-system") -> Ends | None:
    """The nodes at both ends of a series whose `LABELS` have these values; None to leave it out.

    Remembered, because the next refresh of a graph names mostly the same.
    """
    (cluster, space, workload, app, version, dest_cluster, service_space, host, service, dest_space, dest_workload,
     dest_app, dest_version) = labels  # fmt: skip
    if "" in (space, workload, app, version, service_space, host, service, dest_space, dest_workload, dest_app,
              dest_version):  # fmt: skip
        return None
    if known(space) and (not (known(workload) or known(app)) or cluster == UNKNOWN):
        return None
    if host == service == f"{EGRESS_GATEWAY}.{root_namespace}.svc.cluster.local":
        dest_cluster, service_space, dest_space, dest_version = cluster, root_namespace, root_namespace, "latest"
        service = dest_workload = dest_app = EGRESS_GATEWAY
    if not known(dest_cluster) and known(cluster) and known(service_space):
        dest_cluster = cluster
    if known(service_space) and dest_cluster == UNKNOWN:
        return None
    if not known(dest_workload) and host == service and _ADDRESS.fullmatch(service):
        return None
    cluster, dest_cluster = cluster or UNKNOWN, dest_cluster or UNKNOWN
    named = ServiceName(dest_cluster, service_space, service)
    reached = Workload(dest_space, dest_workload, dest_app, dest_version)
    destination = node_key(graph_type, named, reached)
    inject = node_key(graph_type, named, NO_WORKLOAD) if known(service) and destination.type != "service" else None
    return Ends(
        source=node_key(graph_type, ServiceName(cluster, space, ""), Workload(space, workload, app, version)),
        destination=destination,
        host=host,
        workload=reached,
        service=named if known(service) else None,
        inject=inject,
    )


def node_key(graph_type: GraphType, service: ServiceName, workload: Workload) -> NodeKey:
    """The node that these names mean in a graph of this type (Kiali's graph/types.go, `Id`)."""
    cluster, name, app, version = service.cluster, workload.name, workload.app, workload.version
    space = workload.namespace if known(workload.namespace) else service.namespace
    if space == name == app == UNKNOWN and not service.name:
        return NodeKey(f"{cluster}_unknown_source", "unknown", cluster, space, name, app, version)
    versioned = graph_type is GraphType.VERSIONED_APP
    if known(app) and graph_type in (GraphType.APP, GraphType.VERSIONED_APP):
        if versioned and known(name):
            return NodeKey(f"vapp_{cluster}_{space}_{name}", "app", cluster, space, name, app, version)
        if versioned and known(version) and version != "latest":
            return NodeKey(f"vapp_{cluster}_{space}_{app}_{version}", "app", cluster, space, name, app, version)
        kept = (name, app, version) if versioned else ("", app, "")
        return NodeKey(f"app_{cluster}_{space}_{app}", "app", cluster, space, *kept)
    if known(name):
        shown = (app if known(app) else "", version if known(version) else "")
        return NodeKey(f"wl_{cluster}_{space}_{name}", "workload", cluster, space, name, *shown)
    requested = service.name if known(service.name) else UNKNOWN
    return NodeKey(f"svc_{cluster}_{space}_{requested}", "service", cluster, space, service=requested)
