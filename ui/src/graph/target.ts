/** From nodes and edges of the graph to label matchers and trace queries. */

import type { TraceQuery } from "../api/jaeger";
import { inboundMatchers, type Matchers, outboundMatchers, type Reporter, type Target } from "../lib/promql";
import type { Graph, GraphEdge, GraphNode } from "./model";

export function targetOf(node: GraphNode): Target | null {
  if (node.type === "unknown") return null;
  const { type: kind, namespace, app, version, workload, service } = node;
  return { kind, namespace, app, version, workload, service };
}

export interface Traffic {
  matchers: Matchers;
  reporter: Reporter;
}

/** Clients see what servers cannot (time-outs, open circuits), so they are asked, unless unknown. */
export function nodeTraffic(node: GraphNode, graph: Graph, side: "inbound" | "outbound"): Traffic | null {
  const target = targetOf(node);
  if (!target) return null;
  if (side === "outbound") return { matchers: outboundMatchers(target), reporter: "source" };
  const callers = graph.edges.filter((edge) => edge.target === node.id);
  const known = callers.some(
    (edge) => graph.nodes.find((other) => other.id === edge.source)?.type !== "unknown",
  );
  return {
    matchers: inboundMatchers(target),
    reporter: known || callers.length === 0 ? "source" : "destination",
  };
}

export function edgeTraffic(edge: GraphEdge, graph: Graph): Traffic | null {
  const source = graph.nodes.find((node) => node.id === edge.source);
  const target = graph.nodes.find((node) => node.id === edge.target);
  const [from, to] = [source && targetOf(source), target && targetOf(target)];
  const called = to ? inboundMatchers(to) : {};
  if (!from)
    return to ? { matchers: { source_workload: "unknown", ...called }, reporter: "destination" } : null;
  const caller = from.kind === "service" ? inboundMatchers(from) : outboundMatchers(from);
  return { matchers: { ...caller, ...called }, reporter: "source" };
}

/** Windvane's and Istio's name of a node in traces: `app.namespace`. */
export function tracedService(node: GraphNode | undefined): string {
  if (!node || node.type === "unknown") return "";
  const app = node.app || node.service || node.workload;
  return app ? `${app}.${node.namespace}` : "";
}

export function traceQuery(service: string, from: number, to: number, limit: number): TraceQuery {
  return { service, operation: "", tags: {}, minDuration: "", maxDuration: "", from, to, limit };
}
