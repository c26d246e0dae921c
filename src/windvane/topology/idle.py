"""What configuration knows and telemetry does not: nodes without traffic in the window."""

from __future__ import annotations

from collections.abc import Iterator

from windvane.topology.identity import NO_WORKLOAD, UNKNOWN, GraphType, NodeKey, ServiceName, Workload, node_key
from windvane.topology.model import Graph, GraphQuery, MeshInfo, Node


def with_idle_nodes(graph: Graph, mesh: MeshInfo) -> Graph:
    """The graph and, marked idle, the configured workloads and services of its namespaces that it lacks.

    Services are nodes where the graph has service nodes, workloads where it has others.
    """
    present = {node.key.id for node in graph.nodes}
    missing = {key.id: key for key in _configured(graph.query, mesh) if key.id not in present}
    idle = [Node(missing[id_], is_idle=True) for id_ in sorted(missing)]
    return Graph(graph.query, graph.nodes + idle, graph.edges)


def _configured(query: GraphQuery, mesh: MeshInfo) -> Iterator[NodeKey]:
    if query.injects:
        for space, name in mesh.services:
            if query.namespaces is None or space in query.namespaces:
                yield node_key(query.graph_type, ServiceName(mesh.cluster, space, name), NO_WORKLOAD)
    if query.graph_type is GraphType.SERVICE:
        return
    for (space, name), badges in mesh.workloads.items():
        if query.namespaces is None or space in query.namespaces:
            app = badges.labels.get("app", UNKNOWN)
            workload = Workload(space, name, app, badges.labels.get("version", UNKNOWN))
            yield node_key(query.graph_type, ServiceName(mesh.cluster, space, ""), workload)
