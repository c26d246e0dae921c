"""The service graph as values: what was asked, nodes, edges, and what configuration adds to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from windvane.topology.health import RequestHealth, Status
from windvane.topology.identity import GraphType, NodeKey, ServiceName

AVERAGE = "avg"


@dataclass(frozen=True, slots=True)
class GraphQuery:
    """One graph: the `window_s` seconds that end at `time_ms`.

    `namespaces` None means all. `grpc` is none, requests, sent, received or total (messages),
    `tcp` none, sent, received or total (bytes). `response_time` is a quantile, `AVERAGE` or None;
    `throughput` is request, response or None.
    """

    time_ms: int
    window_s: int
    graph_type: GraphType = GraphType.WORKLOAD
    namespaces: frozenset[str] | None = None
    inject_services: bool = False
    include_idle: bool = False
    http: str = "requests"
    grpc: str = "requests"
    tcp: str = "sent"
    response_time: float | str | None = 0.95
    throughput: str | None = None
    security: bool = True
    health: bool = True
    root_namespace: str = "istio-system"

    @property
    def injects(self) -> bool:
        """A service graph is reduced from a workload graph with its services in it."""
        return self.inject_services or self.graph_type is GraphType.SERVICE


@dataclass(slots=True)
class ResponseDetail:
    """Rates of one response code, by response flags and by requested host."""

    flags: dict[str, float] = field(default_factory=dict)
    hosts: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class Node:
    """A node. `rates` are requests (TCP: bytes) per second by Kiali's names, such as httpIn and httpIn5xx."""

    key: NodeKey
    rates: dict[str, float] = field(default_factory=dict)
    services: set[ServiceName] = field(default_factory=set)
    health: RequestHealth | None = None
    status: Status = Status.NA
    is_root: bool = False
    is_outside: bool = False
    is_inaccessible: bool = False
    is_idle: bool = False


@dataclass(slots=True)
class Edge:
    """Traffic of one protocol between two nodes (indices into the graph's nodes).

    `rates` has the protocol's own name for the total, then http3xx, http4xx, http5xx or grpcErr.
    `response_time` is milliseconds, `throughput` bytes per second, `mtls` a percentage; None where
    nothing is known.
    """

    source: int
    target: int
    protocol: str
    rates: dict[str, float] = field(default_factory=dict)
    responses: dict[str, ResponseDetail] = field(default_factory=dict)
    response_time: float | None = None
    throughput: float | None = None
    mtls: float | None = None
    source_principal: str = ""
    destination_principal: str = ""

    @property
    def total(self) -> float:
        return self.rates.get(self.protocol, 0.0)


@dataclass(frozen=True, slots=True)
class Graph:
    """A service graph and what it answers."""

    query: GraphQuery
    nodes: list[Node]
    edges: list[Edge]


@dataclass(frozen=True, slots=True)
class ServiceBadges:
    """What the mesh's configuration does with a service; `hosts` are its VirtualServices' hosts."""

    hosts: tuple[str, ...] | None = None
    circuit_breaker: bool = False
    fault_injection: bool = False
    mirroring: bool = False
    request_routing: bool = False
    request_timeout: bool = False
    traffic_shifting: bool = False
    tcp_traffic_shifting: bool = False
    service_entry_hosts: tuple[str, ...] = ()
    location: str = ""


@dataclass(frozen=True, slots=True)
class WorkloadBadges:
    """What is known of a workload: its labels, and the hosts it serves when it is an ingress gateway."""

    labels: Mapping[str, str] = field(default_factory=dict)
    gateway_hosts: tuple[str, ...] | None = None
    workload_entry: bool = False


@dataclass(frozen=True, slots=True)
class MeshInfo:
    """Configuration as the graph shows it, keyed by (namespace, name)."""

    namespaces: tuple[str, ...] = ()
    cluster: str = "Kubernetes"
    services: Mapping[tuple[str, str], ServiceBadges] = field(default_factory=dict)
    workloads: Mapping[tuple[str, str], WorkloadBadges] = field(default_factory=dict)
