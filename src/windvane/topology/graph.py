"""The service graph of a time window, from one mesh-wide query a metric.

Rows (series) become edges by number: `Registry` names the ends of each distinct label set, the
rest is sums over integer columns. Kiali's rules are kept: which reporter counts, unknown ends,
injected service nodes, bytes that a TCP proxy received count as sent (istio/istio#32399), what is
outside, inaccessible or a root. Where Kiali's own way loses something this one differs: mutual
TLS is summed over principals, quantiles come from merged buckets, rates are not rounded.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from windvane.promql.value import VectorResult
from windvane.topology import latency, traffic
from windvane.topology.edges import EdgeTable
from windvane.topology.health import RequestHealth, more_seen
from windvane.topology.identity import EGRESS_CLUSTERS, LABELS, UNKNOWN, GraphType
from windvane.topology.model import AVERAGE, Edge, Graph, GraphQuery, Node
from windvane.topology.reduce import to_services
from windvane.topology.traffic import Ask, Floats, Ints, Mask, Registry, Traffic, grouped

_TCP = {"sent": "istio_tcp_received_bytes_total", "received": "istio_tcp_sent_bytes_total"}
_GRPC = {"sent": "istio_request_messages_total", "received": "istio_response_messages_total"}
_DURATION = "istio_request_duration_milliseconds"


def build_graph(ask: Ask, query: GraphQuery) -> Graph:
    """Ask the metrics and put the graph together; nodes and edges are in a stable order."""
    registry = Registry(query)
    requested = traffic.requests(ask, registry)
    shown = [_only(requested, registry)]
    shown += [traffic.grpc_messages(ask, registry, metric) for metric in _metrics(query.grpc, _GRPC)]
    shown += [traffic.tcp_bytes(ask, registry, metric) for metric in _metrics(query.tcp, _TCP)]
    table = EdgeTable(registry, _concatenate([traffic.of_graph(rows, registry) for rows in shown]))
    edges = table.edges()
    if query.security:
        table.add_security(edges)
    if query.response_time is not None:
        _add_response_times(ask, registry, table, edges)
    if query.throughput is not None:
        _add_throughput(ask, registry, table, edges)
    nodes = [Node(key) for key in registry.nodes]
    _add_services(registry, table, nodes)
    if query.health:
        _add_health(registry, requested, nodes)
    graph = Graph(query, nodes, edges)
    if query.graph_type is GraphType.SERVICE:
        _mark(graph)
        graph = to_services(graph)
    return _finished(graph)


def _metrics(rate: str, metrics: dict[str, str]) -> list[str]:
    return list(metrics.values()) if rate == "total" else [metrics[rate]] if rate in metrics else []


def _only(requested: Traffic, registry: Registry) -> Traffic:
    """The requests of the protocols whose requests were asked for."""
    query = registry.query
    protocols = [name for name, rate in (("http", query.http), ("grpc", query.grpc)) if rate == "requests"]
    return requested.take(np.isin(requested.protocol, [registry.texts.code(name) for name in protocols]))


def _concatenate(parts: list[Traffic]) -> Traffic:
    return Traffic(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Traffic)))


def _measured(
    ask: Ask, registry: Registry, table: EdgeTable, metric: str, extra: str = ""
) -> tuple[Floats, Ints, Ints, Mask, VectorResult]:
    """A request metric as rates on the table's edges: (values, row, edge, sent by the source, result)."""
    by = ", ".join(["reporter", *LABELS, "request_protocol", *([extra] if extra else [])])
    result = ask(f"sum by ({by}) (rate({metric}[{registry.query.window_s}s]))", registry.query.time_ms)
    pair = registry.pairs_of(result.labels)
    usable = np.flatnonzero(pair >= 0)
    protocol = registry.codes(result.labels, "request_protocol")
    row, edge = table.edge_of(registry, pair[usable], protocol[usable])
    row = usable[row]
    sent = registry.codes(result.labels, "reporter") == registry.texts.code("source")
    counted = latency.preferred(edge, len(table), sent[row])
    row, edge = row[counted], edge[counted]
    return np.nan_to_num(result.values)[row], row, edge, sent, result


def _add_response_times(ask: Ask, registry: Registry, table: EdgeTable, edges: list[Edge]) -> None:
    asked = registry.query.response_time
    if asked == AVERAGE:
        sums, _, edge, _, _ = _measured(ask, registry, table, f"{_DURATION}_sum")
        total = np.bincount(edge, weights=sums, minlength=len(edges))
        counts, _, edge, _, _ = _measured(ask, registry, table, f"{_DURATION}_count")
        number = np.bincount(edge, weights=counts, minlength=len(edges))
        times = np.divide(total, number, out=np.full(len(edges), np.nan), where=number > 0)
    else:
        values, row, edge, _, result = _measured(ask, registry, table, f"{_DURATION}_bucket", "le")
        place, bounds = latency.bounds_of(result.labels)
        if not len(bounds):
            return
        cumulative = latency.merged(edge, len(edges), place[row], len(bounds), values)
        times = latency.quantile(float(asked or 0), bounds, cumulative)
    for number_of_edge in np.flatnonzero(times > 0).tolist():
        edges[number_of_edge].response_time = float(times[number_of_edge])


def _add_throughput(ask: Ask, registry: Registry, table: EdgeTable, edges: list[Edge]) -> None:
    values, _, edge, _, _ = _measured(ask, registry, table, f"istio_{registry.query.throughput}_bytes_sum")
    rates = np.bincount(edge, weights=values, minlength=len(edges))
    for number in np.flatnonzero(rates > 0).tolist():
        edges[number].throughput = float(rates[number])


def _add_services(registry: Registry, table: EdgeTable, nodes: list[Node]) -> None:
    for pair, node in table.arrivals():
        service = registry.pairs[pair].service
        if service is not None:
            nodes[node].services.add(service)


def _add_health(registry: Registry, requested: Traffic, nodes: list[Node]) -> None:
    """Rates by code, of all namespaces: health is a node's own, whoever it talks to."""
    requested = requested.take(requested.values > 0)
    source, target, inject = (column[requested.pair] for column in registry.columns()[:3])
    injected = inject >= 0
    to_service = requested.take(injected)
    incoming = [
        _by_code(registry, traffic_, node, traffic_.received == from_destination)
        for from_destination in (False, True)
        for traffic_, node in [(_concatenate([requested, to_service]), np.concatenate([target, inject[injected]]))]
    ]
    outgoing = _by_code(registry, requested, source, ~requested.received)
    for number, node in enumerate(nodes):
        inbound = more_seen(incoming[0].get(number, {}), incoming[1].get(number, {}))
        node.health = RequestHealth(inbound, outgoing.get(number, {}))
        node.status = node.health.status()


def _by_code(registry: Registry, rows: Traffic, node: Ints, chosen: Mask) -> dict[int, dict[str, dict[str, float]]]:
    group, keys = grouped(node[chosen], rows.protocol[chosen], rows.code[chosen])
    sums = np.bincount(group, weights=rows.values[chosen])
    text = registry.texts
    found: dict[int, dict[str, dict[str, float]]] = {}
    for (number, protocol, code), value in zip(keys, sums.tolist(), strict=True):
        found.setdefault(number, {}).setdefault(text[protocol], {})[text[code]] = value
    return found


def _finished(graph: Graph) -> Graph:
    """Only nodes with edges, in a stable order; node rates and marks from the edges."""
    used = {number for edge in graph.edges for number in (edge.source, edge.target)}
    order = sorted(used, key=lambda number: graph.nodes[number].key.id)
    place = {number: index for index, number in enumerate(order)}
    for edge in graph.edges:
        edge.source, edge.target = place[edge.source], place[edge.target]
    edges = sorted(graph.edges, key=lambda edge: (edge.source, edge.target, edge.protocol))
    finished = Graph(graph.query, [graph.nodes[number] for number in order], edges)
    _add_node_rates(finished)
    _mark(finished)
    return finished


def _add_node_rates(graph: Graph) -> None:
    for edge in graph.edges:
        source, target = graph.nodes[edge.source].rates, graph.nodes[edge.target].rates
        for name, value in edge.rates.items():
            suffix = name.removeprefix(edge.protocol)
            incoming = f"{edge.protocol}In{suffix}"
            target[incoming] = target.get(incoming, 0.0) + value
            if not suffix:
                outgoing = f"{edge.protocol}Out"
                source[outgoing] = source.get(outgoing, 0.0) + value


def _mark(graph: Graph) -> None:
    spaces = graph.query.namespaces
    sources = {edge.source for edge in graph.edges}
    targets = {edge.target for edge in graph.edges}
    for number, node in enumerate(graph.nodes):
        key = node.key
        egress = key.type == "service" and (key.namespace == UNKNOWN or key.service in EGRESS_CLUSTERS)
        node.is_root = number in sources and number not in targets
        node.is_inaccessible = key.type == "unknown" or egress
        node.is_outside = (
            not node.is_inaccessible and spaces is not None and key.namespace != UNKNOWN and key.namespace not in spaces
        )
