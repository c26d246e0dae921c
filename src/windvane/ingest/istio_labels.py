"""Istio's labels for one kind of traffic: who called whom, from what an access log says.

An access log names its own proxy, addresses, certificates and a cluster; Istio's labels name
workloads and services. The control plane's tables (`Directory`) join them, by the precedence that
Istio's telemetry uses: own side from the proxy's node; the destination as the client sees it from
the endpoint's address; the source as the server sees it from the metadata header (believed only
when its namespace is that of the client's certificate), then the certificate, then the address.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import pandas as pd

UNKNOWN = "unknown"
LATEST = "latest"

_WORKLOAD_COLUMNS = (
    "workload",
    "namespace",
    "app",
    "version",
    "canonical_service",
    "canonical_revision",
    "cluster",
    "principal",
)


def _empty(*columns: str) -> pd.DataFrame:
    return pd.DataFrame({column: pd.Series(dtype="str") for column in columns})


@dataclass(frozen=True, slots=True)
class Changes:
    """What is left out of one side's metrics: all of them, or labels by name (a Telemetry's overrides)."""

    silent: bool = False
    labels: frozenset[str] = frozenset()


_UNCHANGED = Changes()


@dataclass(frozen=True)
class Directory:
    """What the control plane knows of names, at one moment. All columns are text; absent is ''.

    endpoints: address ("ip:port"), workload, namespace, app, version, canonical_service,
      canonical_revision, cluster, principal (SPIFFE id).
    nodes: node_id and the same columns.
    services: upstream_cluster, host, name, namespace, and optionally node_id: rows with a node_id
      hold for that proxy only (`inbound|9080||` means another service at every proxy).
    """

    endpoints: pd.DataFrame = field(default_factory=lambda: _empty("address", *_WORKLOAD_COLUMNS))
    nodes: pd.DataFrame = field(default_factory=lambda: _empty("node_id", *_WORKLOAD_COLUMNS))
    services: pd.DataFrame = field(default_factory=lambda: _empty("upstream_cluster", "host", "name", "namespace"))
    changes: Mapping[tuple[str, str], Changes] = field(default_factory=dict)
    """What a proxy (node_id) leaves out of what it reports as `source` or `destination`."""


class Workload(NamedTuple):
    """One side of a call; '' where nothing is known."""

    workload: str = ""
    namespace: str = ""
    app: str = ""
    version: str = ""
    canonical_service: str = ""
    canonical_revision: str = ""
    cluster: str = ""
    principal: str = ""


class Service(NamedTuple):
    """A destination service; '' where nothing is known."""

    host: str = ""
    name: str = ""
    namespace: str = ""


class Traffic(NamedTuple):
    """What an access log says of one kind of traffic: the columns that aggregation groups by."""

    node_id: str
    gateway: bool
    reporter: str
    protocol: str
    response_code: int
    grpc_status: str
    response_flags: str
    upstream_cluster: str
    route: str
    upstream_host: str
    local_principal: str
    peer_principal: str
    upstream_principal: str
    peer_metadata: str
    source_ip: str
    authority: str


# Istio's order (istio.stats). Those after destination_cluster are absent from message counts;
# response_code and grpc_response_status from TCP.
PEER_LABELS = (
    "reporter",
    "source_workload",
    "source_canonical_service",
    "source_canonical_revision",
    "source_workload_namespace",
    "source_principal",
    "source_app",
    "source_version",
    "source_cluster",
    "destination_workload",
    "destination_workload_namespace",
    "destination_principal",
    "destination_app",
    "destination_version",
    "destination_service",
    "destination_canonical_service",
    "destination_canonical_revision",
    "destination_service_name",
    "destination_service_namespace",
    "destination_cluster",
)
TCP_LABELS = (*PEER_LABELS, "request_protocol", "response_flags", "connection_security_policy")
HTTP_LABELS = (
    *PEER_LABELS,
    "request_protocol",
    "response_code",
    "grpc_response_status",
    "response_flags",
    "connection_security_policy",
)

_NAMELESS_CLUSTERS = ("BlackHoleCluster", "PassthroughCluster", "InboundPassthroughCluster")
_NAMELESS_ROUTES = {"block_all": "BlackHoleCluster", "allow_any": "PassthroughCluster"}


class Resolver:
    """A directory made ready for look-ups. Immutable; make another for another directory."""

    def __init__(self, directory: Directory) -> None:
        self.directory = directory
        endpoints = list(_workloads(directory.endpoints, "address"))
        nodes = list(_workloads(directory.nodes, "node_id"))
        self._endpoints = dict(endpoints)
        self._nodes = dict(nodes)
        self._by_ip = _unambiguous(
            [(address.rpartition(":")[0], who) for address, who in endpoints]
            + [(ip, who) for node_id, who in nodes if (ip := _node_part(node_id, 1))]
        )
        self._by_principal = _unambiguous((who.principal, who) for _, who in [*endpoints, *nodes])
        self._services = {
            (str(row.get("node_id", "")), str(row["upstream_cluster"])): Service(
                str(row["host"]), str(row["name"]), str(row["namespace"])
            )
            for row in directory.services.to_dict("records")
        }

    def is_silent(self, traffic: Traffic) -> bool:
        """Whether its proxy reports no metrics of this traffic."""
        return self._changes(traffic).silent

    def labels(self, traffic: Traffic) -> dict[str, str]:
        """All of HTTP_LABELS for this traffic; empty values mean "no such label"."""
        found, left_out = self._labels(traffic), self._changes(traffic).labels
        return found | dict.fromkeys(left_out & found.keys(), "") if left_out else found

    def _changes(self, traffic: Traffic) -> Changes:
        return self.directory.changes.get((traffic.node_id, traffic.reporter), _UNCHANGED)

    def _labels(self, traffic: Traffic) -> dict[str, str]:
        own = self._own(traffic.node_id)
        if traffic.reporter == "destination":
            source, destination = self._source(traffic), own._replace(principal=traffic.local_principal)
            service = self._inbound_service(traffic, own)
            secure = "mutual_tls" if traffic.peer_principal and traffic.local_principal else "none"
        else:
            source = own._replace(principal=traffic.local_principal)
            found = self._endpoints.get(traffic.upstream_host, Workload())
            destination = found._replace(
                principal=traffic.upstream_principal,
                namespace=namespace_of(traffic.upstream_principal) or found.namespace,
            )
            service = self._outbound_service(traffic, destination)
            secure = UNKNOWN
        return {
            "reporter": traffic.reporter,
            **_side("source", source),
            **_side("destination", destination),
            "destination_service": service.host or UNKNOWN,
            "destination_service_name": service.name or UNKNOWN,
            "destination_service_namespace": service.namespace or UNKNOWN,
            "request_protocol": traffic.protocol,
            "response_code": str(traffic.response_code),
            "grpc_response_status": traffic.grpc_status,
            "response_flags": traffic.response_flags,
            "connection_security_policy": secure,
        }

    def _own(self, node_id: str) -> Workload:
        """The proxy's own workload; a node the directory does not know still says its name."""
        known = self._nodes.get(node_id)
        if known is not None:
            return known
        workload, _, namespace = _node_part(node_id, 2).rpartition(".")
        return Workload(workload=workload, namespace=namespace, canonical_service=workload)

    def _source(self, traffic: Traffic) -> Workload:
        """The client, as its server sees it."""
        principal, namespace = traffic.peer_principal, namespace_of(traffic.peer_principal)
        told = _peer(traffic.peer_metadata)
        if told is not None and namespace and told.namespace == namespace:
            return told._replace(principal=principal)
        found = self._by_principal.get(principal) if principal else None
        if found is None:
            found = self._by_ip.get(traffic.source_ip, Workload())
            if namespace and found.namespace != namespace:
                found = Workload(namespace=namespace)
        return found._replace(principal=principal)

    def _outbound_service(self, traffic: Traffic, destination: Workload) -> Service:
        cluster = _nameless(traffic)
        if cluster:
            return Service(host=traffic.authority, name=cluster)
        known = self._service(traffic)
        if known is None:
            known = _service_of_cluster(traffic.upstream_cluster) or Service(traffic.authority, traffic.authority)
        return known._replace(namespace=known.namespace or destination.namespace)

    def _inbound_service(self, traffic: Traffic, own: Workload) -> Service:
        cluster = _nameless(traffic)
        if cluster:
            return Service(name=cluster, namespace=own.namespace)
        return self._service(traffic) or Service(name=own.canonical_service, namespace=own.namespace)

    def _service(self, traffic: Traffic) -> Service | None:
        own = self._services.get((traffic.node_id, traffic.upstream_cluster))
        return own or self._services.get(("", traffic.upstream_cluster))


def namespace_of(principal: str) -> str:
    """The namespace in a SPIFFE id `spiffe://TRUST_DOMAIN/ns/NAMESPACE/sa/ACCOUNT`, else ''."""
    parts = principal.split("/")
    return parts[4] if len(parts) >= 5 and parts[0] == "spiffe:" and parts[3] == "ns" else ""


def _peer(metadata: str) -> Workload | None:
    """Read `workload;namespace;canonical_service;canonical_revision;app;version;cluster`."""
    parts = metadata.split(";")
    if len(parts) != 7:
        return None
    workload, namespace, service, revision, app, version, cluster = parts
    return Workload(workload, namespace, app, version, service, revision, cluster)


def _side(side: str, who: Workload) -> dict[str, str]:
    return {
        f"{side}_workload": who.workload or UNKNOWN,
        f"{side}_canonical_service": who.canonical_service or UNKNOWN,
        f"{side}_canonical_revision": who.canonical_revision or LATEST,
        f"{side}_workload_namespace": who.namespace or UNKNOWN,
        f"{side}_principal": who.principal or UNKNOWN,
        f"{side}_app": who.app or UNKNOWN,
        f"{side}_version": who.version or UNKNOWN,
        f"{side}_cluster": who.cluster if who.workload else who.cluster or UNKNOWN,
    }


def _nameless(traffic: Traffic) -> str:
    """The cluster's name where it stands in for a service's, else ''."""
    if traffic.route in _NAMELESS_ROUTES:
        return _NAMELESS_ROUTES[traffic.route]
    for name in _NAMELESS_CLUSTERS:
        if traffic.upstream_cluster.startswith(name):
            return traffic.upstream_cluster
    return ""


def _service_of_cluster(cluster: str) -> Service | None:
    """What a cluster name itself says: `outbound|9080|v1|reviews.shop.svc.cluster.local`."""
    parts = cluster.split("|")
    if len(parts) != 4 or not parts[3]:
        return None
    host = parts[3]
    name, _, rest = host.partition(".svc.")
    if not rest or name.count(".") != 1:
        return Service(host, host)
    short, _, namespace = name.partition(".")
    return Service(host, short, namespace)


def _node_part(node_id: str, index: int) -> str:
    """A part of Istio's node id, `type~ip~workload.namespace~domain`."""
    parts = node_id.split("~")
    return parts[index] if len(parts) == 4 else ""


def _workloads(frame: pd.DataFrame, key: str) -> Iterable[tuple[str, Workload]]:
    for row in frame.to_dict("records"):
        yield str(row[key]), Workload(*(_text(row.get(column)) for column in _WORKLOAD_COLUMNS))


def _text(value: Hashable) -> str:
    return value if isinstance(value, str) else ""


def _unambiguous(pairs: Iterable[tuple[str, Workload]]) -> dict[str, Workload]:
    """Keys that stand for exactly one workload."""
    found: dict[str, Workload] = {}
    clashing: set[str] = set()
    for key, who in pairs:
        known = found.setdefault(key, who)
        if (known.workload, known.namespace) != (who.workload, who.namespace):
            clashing.add(key)
    return {key: who for key, who in found.items() if key and key not in clashing}
