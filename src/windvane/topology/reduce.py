"""From a workload graph with its service nodes in it to a graph of services.

Workloads go; what a service's workloads send to other services becomes the service's own edge.
A workload behind two services counts for both: telemetry does not say which call caused which.
Other nodes stay where they are roots, because then they show where traffic comes from.
"""

from __future__ import annotations

from windvane.topology.model import Edge, Graph, ResponseDetail


def to_services(graph: Graph) -> Graph:
    """The reduced graph; response times stay only where a single edge became one."""
    nodes = graph.nodes
    sent: dict[int, list[Edge]] = {}
    for edge in graph.edges:
        if nodes[edge.target].key.type == "service":
            sent.setdefault(edge.source, []).append(edge)
    reduced: dict[tuple[int, int, str], Edge] = {}
    for source, outgoing in sent.items():
        if nodes[source].key.type != "service" and nodes[source].is_root:
            for edge in outgoing:
                _add(reduced, source, edge)
    seen: set[tuple[int, int]] = set()
    for edge in graph.edges:
        if nodes[edge.source].key.type == "service" and (edge.source, edge.target) not in seen:
            seen.add((edge.source, edge.target))
            for further in sent.get(edge.target, ()):
                _add(reduced, edge.source, further)
    return Graph(graph.query, nodes, list(reduced.values()))


def _add(reduced: dict[tuple[int, int, str], Edge], source: int, edge: Edge) -> None:
    key = (source, edge.target, edge.protocol)
    into = reduced.get(key)
    if into is None:
        reduced[key] = _copy(source, edge)
        return
    before = into.total
    for name, value in edge.rates.items():
        into.rates[name] = into.rates.get(name, 0.0) + value
    for code, detail in edge.responses.items():
        _merge(into.responses.setdefault(code, ResponseDetail()), detail)
    into.response_time = None
    if edge.throughput is not None:
        into.throughput = (into.throughput or 0.0) + edge.throughput
    if into.mtls is not None and edge.mtls is not None and into.total > 0:
        into.mtls = (into.mtls * before + edge.mtls * edge.total) / into.total


def _copy(source: int, edge: Edge) -> Edge:
    return Edge(
        source=source,
        target=edge.target,
        protocol=edge.protocol,
        rates=dict(edge.rates),
        responses={
            code: ResponseDetail(dict(detail.flags), dict(detail.hosts)) for code, detail in edge.responses.items()
        },
        response_time=edge.response_time,
        throughput=edge.throughput,
        mtls=edge.mtls,
        source_principal=edge.source_principal,
        destination_principal=edge.destination_principal,
    )


def _merge(into: ResponseDetail, detail: ResponseDetail) -> None:
    for mine, theirs in ((into.flags, detail.flags), (into.hosts, detail.hosts)):
        for key, value in theirs.items():
            mine[key] = mine.get(key, 0.0) + value
