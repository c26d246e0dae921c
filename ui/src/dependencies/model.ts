/** Who calls whom, as a graph to draw and as queries that find the traces of an edge. */

import type { CallFigures, DependencyEdge } from "../api/analysis";
import type { Graph, GraphEdge, GraphNode, Health } from "../graph/model";
import { writeValue } from "../traces/querySyntax";

export const SOURCES = ["any", "spans", "access_logs"] as const;
export type Source = (typeof SOURCES)[number];

/** An edge with the figures that are shown. */
export interface Edge extends DependencyEdge {
  figures: CallFigures;
}

/** Edges that a source tells of; `any` takes the spans' figures where there are some. */
export function edgesOf(found: DependencyEdge[], source: Source, within: boolean): Edge[] {
  return found.flatMap((edge) => {
    const figures = source === "any" ? (edge.spans ?? edge.access_logs) : edge[source];
    return figures && (within || edge.parent !== edge.child) ? [{ ...edge, figures }] : [];
  });
}

/** Edges from and to a service; all of them without one. */
export const touching = <E extends DependencyEdge>(edges: E[], service: string): E[] =>
  service ? edges.filter((edge) => edge.parent === service || edge.child === service) : edges;

export const edgeId = (edge: { parent: string; child: string; connection: string }): string =>
  `${edge.parent} → ${edge.child} ${edge.connection}`;

/** Finds traces with such a call: one span must say it.
 *
 * Where a proxy logged the call there is its client's span, which names whom it asked; a database sends no spans.
 */
export function traceQueryOf(edge: DependencyEdge, failed: boolean): string {
  const [parent, child] = [writeValue(edge.parent), writeValue(edge.child)];
  const query =
    edge.connection === "database"
      ? `service:${parent} kind:client`
      : edge.access_logs && edge.spans
        ? `service:${parent} kind:client ${writeValue(nameOf(edge.child))}`
        : `service:${child}`;
  return failed ? `${query} status:error` : query;
}

/** `reviews.shop` is in the namespace `shop`; a name without a dot is in none. */
const nameOf = (service: string): string => service.split(".")[0]!;
const namespaceOf = (service: string): string => service.split(".").slice(1).join(".");

/** The edges as the graph page draws its own; rates are over the `seconds` of the window. */
export function graphOf(edges: Edge[], seconds: number): Graph {
  const between = edges.filter((edge) => edge.parent !== edge.child);
  const services = [...new Set(between.flatMap((edge) => [edge.parent, edge.child]))].sort();
  const namespaces = [...new Set(services.map(namespaceOf))].filter(Boolean);
  return {
    timestamp: 0,
    duration: seconds,
    boxes: namespaces.map((name) => ({ id: `box ${name}`, kind: "namespace", title: name, parent: null })),
    nodes: services.map((service) => nodeOf(service, between, seconds)),
    edges: between.map((edge) => drawnEdge(edge, seconds)),
  };
}

function nodeOf(service: string, edges: Edge[], seconds: number): GraphNode {
  const incoming = edges.filter((edge) => edge.child === service);
  const counted = incoming.length ? incoming : edges.filter((edge) => edge.parent === service);
  const calls = counted.reduce((sum, edge) => sum + edge.figures.estimated_calls, 0);
  const errors = counted.reduce((sum, { figures }) => sum + figures.estimated_calls * figures.error_share, 0);
  const namespace = namespaceOf(service);
  return {
    id: service,
    type: "service",
    kind: kindOf(service, incoming),
    parent: namespace ? `box ${namespace}` : null,
    title: nameOf(service),
    namespace,
    app: "",
    version: "",
    workload: "",
    service,
    root: incoming.length === 0,
    rate: calls / seconds,
    errorRatio: calls > 0 ? errors / calls : 0,
    health: healthOf(calls > 0 ? errors / calls : 0),
    share: null,
    routing: false,
    breaker: false,
    fault: false,
  };
}

function kindOf(service: string, incoming: Edge[]): GraphNode["kind"] {
  if (incoming.some((edge) => edge.connection === "database")) return "serviceEntry";
  return /gateway/.test(service) ? "gateway" : "service";
}

function drawnEdge(edge: Edge, seconds: number): GraphEdge {
  const { figures } = edge;
  return {
    id: edgeId(edge),
    source: edge.parent,
    target: edge.child,
    protocol: "http",
    rate: figures.estimated_calls / seconds,
    errorRatio: figures.error_share,
    p95: figures.duration_ms.p95,
    throughput: null,
    share: null,
    mtls: null,
    health: healthOf(figures.error_share),
    responses: [],
    sourcePrincipal: "",
    destPrincipal: "",
  };
}

/** As on the graph page: some failed, or a tenth and more. */
const healthOf = (errors: number): Health =>
  errors >= 0.1 ? "failing" : errors > 0 ? "degraded" : "healthy";
