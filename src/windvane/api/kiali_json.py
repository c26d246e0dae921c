"""A service graph in the JSON of Kiali's graph (`elements.nodes[].data`, `elements.edges[].data`).

Rates and percentages are strings, rounded as Kiali prints them; what does not apply is absent.
Ids are hashes of a node's identity, so they stay the same from one refresh to the next. Boxes are
nodes of type `box` that others name as `parent`; parents come before what is in them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from windvane.topology.health import RequestHealth, Status, edge_status
from windvane.topology.identity import UNKNOWN, GraphType
from windvane.topology.model import Edge, Graph, MeshInfo, Node, ServiceBadges, WorkloadBadges

_PROTOCOLS = ("grpc", "http", "tcp")
_NODE_RATES = {
    "grpc": ("grpcIn", "grpcInErr", "grpcOut"),
    "http": ("httpIn", "httpIn3xx", "httpIn4xx", "httpIn5xx", "httpOut"),
    "tcp": ("tcpIn", "tcpOut"),
}
_ERRORS = {"grpc": ("grpcErr",), "http": ("http4xx", "http5xx"), "tcp": ()}
_BOX_RANK = {"cluster": 0, "namespace": 1, "app": 2, None: 3}

Data = dict[str, Any]


def graph_json(graph: Graph, boxes: Iterable[str] = (), mesh: MeshInfo | None = None) -> Data:
    """The answer of `/api/namespaces/graph`."""
    ids = [_hash(node.key.id) for node in graph.nodes]
    nodes = [_node(node, id_, mesh) for node, id_ in zip(graph.nodes, ids, strict=True)]
    edges = [_edge(graph, edge, ids) for edge in graph.edges]
    _add_boxes(nodes, graph, tuple(boxes))
    nodes.sort(key=_order)
    edges.sort(key=lambda data: (data["source"], data["target"], data["traffic"].get("protocol", "")))
    return {
        "timestamp": graph.query.time_ms // 1_000,
        "duration": graph.query.window_s,
        "graphType": str(graph.query.graph_type),
        "elements": {"nodes": [{"data": data} for data in nodes], "edges": [{"data": data} for data in edges]},
    }


def rate_text(value: float, precision: int = 2) -> str:
    """A rate with at least `precision` decimals, more (up to five) where it would read as zero."""
    needed, scaled = 0, value
    while 0 < scaled < 1 and needed < 5:
        scaled *= 10
        needed += 1
    return f"{value:.{max(precision, needed)}f}"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _order(data: Data) -> tuple[Any, ...]:
    names = ("cluster", "namespace", "app", "version", "service", "workload")
    return (_BOX_RANK[data.get("isBox")], *(data.get(name, "") for name in names))


def _node(node: Node, id_: str, mesh: MeshInfo | None) -> Data:
    key = node.key
    data: Data = {"id": id_, "nodeType": key.type, "cluster": key.cluster, "namespace": key.namespace}
    data |= {name: value for name in ("workload", "app", "version", "service") if (value := getattr(key, name))}
    if node.services:
        services = sorted(node.services, key=lambda s: (s.cluster, s.namespace, s.name))
        data["destServices"] = [{"cluster": s.cluster, "namespace": s.namespace, "name": s.name} for s in services]
    traffic = [_node_traffic(node, protocol) for protocol in _PROTOCOLS]
    if any(traffic):
        data["traffic"] = [entry for entry in traffic if entry]
    data["healthData"] = _health(node.health, node.status)
    flags = {"isRoot": node.is_root, "isOutside": node.is_outside, "isInaccessible": node.is_inaccessible,
             "isIdle": node.is_idle}  # fmt: skip
    data |= {name: True for name, value in flags.items() if value}
    if mesh is not None:
        data |= _configured(node, mesh)
    return data


def _node_traffic(node: Node, protocol: str) -> Data:
    rates = {name: rate_text(node.rates[name]) for name in _NODE_RATES[protocol] if node.rates.get(name, 0) > 0}
    return {"protocol": protocol, "rates": rates} if rates else {}


def _health(health: RequestHealth | None, status: Status) -> Data | None:
    if health is None:
        return None
    requests = {"inbound": health.inbound, "outbound": health.outbound, "healthAnnotations": {}}
    return {"requests": requests, "status": {"status": status.name}}


def _edge(graph: Graph, edge: Edge, ids: list[str]) -> Data:
    source, target = ids[edge.source], ids[edge.target]
    data: Data = {"id": _hash(f"{source}.{target}.{edge.protocol}"), "source": source, "target": target}
    optional = {
        "destPrincipal": edge.destination_principal or None,
        "isMTLS": None if edge.mtls is None else f"{edge.mtls:.0f}",
        "responseTime": None if edge.response_time is None else f"{edge.response_time:.0f}",
        "sourcePrincipal": edge.source_principal or None,
        "throughput": None if edge.throughput is None else f"{edge.throughput:.0f}",
    }
    data |= {name: value for name, value in optional.items() if value is not None}
    data["traffic"] = _edge_traffic(edge, graph.nodes[edge.source].rates.get(f"{edge.protocol}Out", 0.0))
    if graph.query.health:
        data["healthStatus"] = _edge_status(edge).name
    return data


def _edge_traffic(edge: Edge, sent: float) -> Data:
    traffic: Data = {"protocol": edge.protocol}
    total = edge.total
    if total <= 0:
        return traffic
    rates = {name: rate_text(value) for name, value in edge.rates.items()}
    failed = sum(edge.rates.get(name, 0.0) for name in _ERRORS[edge.protocol])
    if failed > 0:
        rates[f"{edge.protocol}PercentErr"] = f"{failed / total * 100:.1f}"
    if edge.protocol != "tcp" and sent > 0:
        rates[f"{edge.protocol}PercentReq"] = f"{total / sent * 100:.1f}"
    traffic["rates"] = rates
    responses = {
        code: {
            "flags": {flags: f"{value / total * 100:.1f}" for flags, value in detail.flags.items()},
            "hosts": {host: f"{value / total * 100:.1f}" for host, value in detail.hosts.items()},
        }
        for code, detail in sorted(edge.responses.items())
    }
    if responses:
        traffic["responses"] = responses
    return traffic


def _edge_status(edge: Edge) -> Status:
    rates = {edge.protocol: {code: sum(detail.flags.values()) for code, detail in edge.responses.items()}}
    return edge_status(rates)


def _configured(node: Node, mesh: MeshInfo) -> Data:
    key = node.key
    data: Data = {}
    names = [(key.namespace, key.service)] if key.type == "service" else []
    names += [(service.namespace, service.name) for service in node.services if key.type != "service"]
    for name in names:
        if name in mesh.services:
            data |= _service_badges(mesh.services[name], name[0])
    workload = mesh.workloads.get((key.namespace, key.workload)) if key.workload else None
    if workload is not None:
        data |= _workload_badges(workload, key.namespace, key.workload)
    return data


def _service_badges(badges: ServiceBadges, namespace: str) -> Data:
    flags = {
        "hasCB": badges.circuit_breaker,
        "hasFaultInjection": badges.fault_injection,
        "hasMirroring": badges.mirroring,
        "hasRequestRouting": badges.request_routing,
        "hasRequestTimeout": badges.request_timeout,
        "hasTCPTrafficShifting": badges.tcp_traffic_shifting,
        "hasTrafficShifting": badges.traffic_shifting,
    }
    data: Data = {name: True for name, value in flags.items() if value}
    if badges.hosts is not None:
        data["hasVS"] = {"hostnames": list(badges.hosts)} if badges.hosts else {}
    if badges.service_entry_hosts:
        data["isServiceEntry"] = {
            "hosts": list(badges.service_entry_hosts), "location": badges.location, "namespace": namespace,
        }  # fmt: skip
    return data


def _workload_badges(badges: WorkloadBadges, namespace: str, name: str) -> Data:
    data: Data = {}
    if badges.labels:
        data["labels"] = dict(badges.labels)
    if badges.workload_entry:
        data["hasWorkloadEntry"] = [{"name": name, "namespace": namespace}]
    if badges.gateway_hosts is not None:
        served = {"hostnames": list(badges.gateway_hosts)} if badges.gateway_hosts else {}
        data["isGateway"] = {"ingressInfo": served, "egressInfo": {}, "gatewayAPIInfo": {}}
    return data


def _add_boxes(nodes: list[Data], graph: Graph, boxes: tuple[str, ...]) -> None:
    """Inner boxes first: a node is in one box, an app box is in its namespace's."""
    if "app" in boxes or graph.query.graph_type in (GraphType.APP, GraphType.VERSIONED_APP):
        _box(nodes, "app", ("cluster", "namespace", "app"), lambda data: data.get("app", "") not in ("", UNKNOWN))
    if "namespace" in boxes:
        _box(nodes, "namespace", ("cluster", "namespace"), lambda data: data["namespace"] != UNKNOWN, several=True)
    if "cluster" in boxes:
        _box(nodes, "cluster", ("cluster",), lambda data: data["cluster"] != UNKNOWN, several=True)


def _box(
    nodes: list[Data], kind: str, names: tuple[str, ...], belongs: Callable[[Data], bool], several: bool = False
) -> None:
    """Draw a box around each group of two or more; `several`: only where there is more than one group."""
    groups: dict[tuple[str, ...], list[Data]] = {}
    for data in nodes:
        if belongs(data) and "parent" not in data:
            groups.setdefault(tuple(data[name] for name in names), []).append(data)
    if several and len(groups) < 2:
        return
    for group, members in groups.items():
        if len(members) > 1:
            nodes.append(_box_node(kind, dict(zip(names, group, strict=True)), members))


def _box_node(kind: str, names: dict[str, str], members: list[Data]) -> Data:
    data: Data = {"id": _hash("_".join(("box", *names.values()))), "nodeType": "box", "namespace": "", **names}
    data |= {"healthData": None, "isBox": kind}
    for member in members:
        member["parent"] = data["id"]
        if kind == "app":
            data |= {name: True for name in ("isOutside", "isInaccessible") if member.get(name)}
    if kind == "app":
        data["healthData"] = _joined_health([member["healthData"] for member in members])
    return data


def _joined_health(parts: list[Data | None]) -> Data | None:
    """Health of an app from the rates of its versions added up."""
    present = [part["requests"] for part in parts if part is not None]
    if not present:
        return None
    joined: dict[str, dict[str, dict[str, float]]] = {"inbound": {}, "outbound": {}}
    for requests in present:
        for direction, protocols in joined.items():
            for protocol, codes in requests[direction].items():
                into = protocols.setdefault(protocol, {})
                for code, rate in codes.items():
                    into[code] = into.get(code, 0.0) + rate
    health = RequestHealth(joined["inbound"], joined["outbound"])
    return _health(health, health.status())
