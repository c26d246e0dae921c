/** Kiali's graph JSON turned into what the console draws: boxes, nodes and edges with numbers. */

import type { RawEdge, RawGraph, RawNode, TrafficEntry } from "../api/kiali";

export type NodeKind = "workload" | "app" | "service" | "serviceEntry" | "gateway" | "unknown";
export type NodeType = "workload" | "app" | "service" | "unknown";
export type Health = "healthy" | "degraded" | "failing" | "idle" | "tcp";
export type Protocol = "http" | "grpc" | "tcp";

const UNKNOWN = "unknown";

export interface GraphBox {
  id: string;
  kind: "namespace" | "app";
  title: string;
  parent: string | null;
}

export interface GraphNode {
  id: string;
  /** What names it in metrics. */
  type: NodeType;
  /** What it is drawn as. */
  kind: NodeKind;
  parent: string | null;
  title: string;
  namespace: string;
  app: string;
  version: string;
  workload: string;
  service: string;
  root: boolean;
  /** Requests each second that arrive; for a root, that leave. TCP bytes do not count. */
  rate: number;
  errorRatio: number;
  health: Health;
  /** Part of its app's traffic (0…1), where the app has several versions. */
  share: number | null;
  routing: boolean;
  breaker: boolean;
  fault: boolean;
}

export interface Response {
  code: string;
  flags: Record<string, number>;
  hosts: Record<string, number>;
  /** Per cent of the edge's requests. */
  percent: number;
}

export interface GraphEdge {
  id: string;
  source: string;
  target: string;
  protocol: Protocol;
  /** Requests each second; bytes each second for TCP. */
  rate: number;
  errorRatio: number;
  /** Milliseconds; null where not known. */
  p95: number | null;
  /** Bytes each second of responses (or of TCP payload). */
  throughput: number | null;
  /** Part of the source's requests (0…1). */
  share: number | null;
  /** Part of the traffic under mutual TLS (0…1); null where not reported. */
  mtls: number | null;
  health: Health;
  responses: Response[];
  sourcePrincipal: string;
  destPrincipal: string;
}

export interface Graph {
  timestamp: number;
  duration: number;
  boxes: GraphBox[];
  nodes: GraphNode[];
  edges: GraphEdge[];
}

export function parseGraph(raw: RawGraph): Graph {
  const rawNodes = (raw.elements.nodes ?? []).map((element) => element.data).filter((node) => !node.isBox);
  const edges = (raw.elements.edges ?? []).map((element) => parseEdge(element.data));
  const nodes = rawNodes.map((node) => parseNode(node, edges));
  addShares(nodes);
  return { timestamp: raw.timestamp, duration: raw.duration, boxes: boxUp(nodes), nodes, edges };
}

/**
 * A box around each namespace, and in it one around each app that has several nodes. The server's
 * boxes leave out single nodes; here every node is in its namespace's box, so that a node that
 * appears later never moves its neighbours into a new one.
 */
function boxUp(nodes: GraphNode[]): GraphBox[] {
  const boxes = new Map<string, GraphBox>();
  const apps = new Map<string, number>();
  const appKey = (node: GraphNode) => `app ${node.namespace} ${node.app}`;
  for (const node of nodes) if (node.app) apps.set(appKey(node), (apps.get(appKey(node)) ?? 0) + 1);
  for (const node of nodes) {
    if (!node.namespace || node.namespace === UNKNOWN) continue;
    const outer = `namespace ${node.namespace}`;
    boxes.set(outer, { id: outer, kind: "namespace", title: node.namespace, parent: null });
    node.parent = outer;
    if (!node.app || (apps.get(appKey(node)) ?? 0) < 2) continue;
    boxes.set(appKey(node), { id: appKey(node), kind: "app", title: node.app, parent: outer });
    node.parent = appKey(node);
  }
  return [...boxes.values()];
}

function parseNode(node: RawNode, edges: GraphEdge[]): GraphNode {
  const incoming = edges.filter((edge) => edge.target === node.id);
  const outgoing = edges.filter((edge) => edge.source === node.id);
  const requests = (incoming.length ? incoming : outgoing).filter((edge) => edge.protocol !== "tcp");
  const rate = sum(requests.map((edge) => edge.rate));
  const errors = sum(requests.map((edge) => edge.rate * edge.errorRatio));
  return {
    id: node.id,
    type: typeOf(node),
    kind: kindOf(node),
    parent: null,
    title: titleOf(node),
    namespace: node.namespace ?? "",
    app: node.app ?? "",
    version: node.version ?? "",
    workload: node.workload ?? "",
    service: node.service ?? "",
    root: node.isRoot === true || incoming.length === 0,
    rate,
    errorRatio: rate > 0 ? errors / rate : 0,
    health: worst((incoming.length ? incoming : outgoing).map((edge) => edge.health)),
    share: null,
    routing: Boolean(node.hasVS),
    breaker: node.hasCB === true,
    fault: node.hasFaultInjection === true,
  };
}

function typeOf(node: RawNode): NodeType {
  const types: NodeType[] = ["workload", "app", "service"];
  return types.find((type) => type === node.nodeType) ?? "unknown";
}

function kindOf(node: RawNode): NodeKind {
  if (node.isServiceEntry) return "serviceEntry";
  if (node.isGateway || (node.nodeType !== "service" && /gateway/.test(node.workload ?? node.app ?? "")))
    return "gateway";
  return typeOf(node);
}

function titleOf(node: RawNode): string {
  if (node.nodeType === "service") return node.service ?? "";
  if (node.nodeType === "workload") return node.workload ?? "";
  return node.app || node.workload || node.service || "unknown";
}

function parseEdge(edge: RawEdge): GraphEdge {
  const traffic = edge.traffic ?? {};
  const protocol: Protocol =
    traffic.protocol === "tcp" ? "tcp" : traffic.protocol === "grpc" ? "grpc" : "http";
  const rates = traffic.rates ?? {};
  const rate = number(rates[protocol]) ?? 0;
  const percentErrors = number(rates[`${protocol}PercentErr`]) ?? 0;
  const percentShare = number(rates[`${protocol}PercentReq`]);
  const mtls = number(edge.isMTLS);
  return {
    id: edge.id,
    source: edge.source,
    target: edge.target,
    protocol,
    rate,
    errorRatio: percentErrors / 100,
    p95: number(edge.responseTime),
    throughput: number(edge.throughput) ?? (protocol === "tcp" ? rate : null),
    share: percentShare === null ? null : percentShare / 100,
    mtls: mtls === null ? null : mtls / 100,
    health: edgeHealth(protocol, rate, rates, edge.healthStatus),
    responses: parseResponses(traffic),
    sourcePrincipal: edge.sourcePrincipal ?? "",
    destPrincipal: edge.destPrincipal ?? "",
  };
}

const SERVER_HEALTH: Record<string, Health> = {
  Healthy: "healthy",
  Degraded: "degraded",
  Failure: "failing",
};

/**
 * The server's verdict; without one, Kiali's default tolerances: 5xx, gRPC errors and no response
 * > 0 / ≥ 10 %, 4xx ≥ 10 / ≥ 20 %.
 */
function edgeHealth(
  protocol: Protocol,
  rate: number,
  rates: Record<string, string | number>,
  verdict: string | undefined,
): Health {
  if (rate <= 0) return "idle";
  if (protocol === "tcp") return "tcp";
  if (verdict && verdict in SERVER_HEALTH) return SERVER_HEALTH[verdict]!;
  const percent = (name: string) => ((number(rates[name]) ?? 0) / rate) * 100;
  const hard = Math.max(
    percent(`${protocol}5xx`),
    percent(`${protocol}NoResponse`),
    percent(`${protocol}Err`),
  );
  const soft = percent(`${protocol}4xx`);
  if (hard >= 10 || soft >= 20) return "failing";
  return hard > 0 || soft >= 10 ? "degraded" : "healthy";
}

function parseResponses(traffic: TrafficEntry): Response[] {
  const list = Object.entries(traffic.responses ?? {}).map(([code, detail]) => {
    const flags = numbers(detail.flags);
    return { code, flags, hosts: numbers(detail.hosts), percent: sum(Object.values(flags)) };
  });
  return list.sort((a, b) => b.percent - a.percent);
}

/** Versions side by side in one app box: how the traffic splits between them. */
function addShares(nodes: GraphNode[]): void {
  const groups = new Map<string, GraphNode[]>();
  for (const node of nodes) {
    if (!node.version || !node.app || node.kind === "service" || node.kind === "gateway") continue;
    const key = `${node.namespace}/${node.app}`;
    groups.set(key, [...(groups.get(key) ?? []), node]);
  }
  for (const group of groups.values()) {
    const total = sum(group.map((node) => node.rate));
    if (group.length < 2 || total <= 0) continue;
    for (const node of group) node.share = node.rate / total;
  }
}

const ORDER: Health[] = ["idle", "tcp", "healthy", "degraded", "failing"];

function worst(all: Health[]): Health {
  return all.reduce<Health>((a, b) => (ORDER.indexOf(b) > ORDER.indexOf(a) ? b : a), "idle");
}

function number(value: string | number | undefined): number | null {
  if (value === undefined || value === "") return null;
  const result = Number(value);
  return Number.isFinite(result) ? result : null;
}

function numbers(values: Record<string, string | number> | undefined): Record<string, number> {
  return Object.fromEntries(Object.entries(values ?? {}).map(([key, value]) => [key, number(value) ?? 0]));
}

const sum = (values: number[]): number => values.reduce((a, b) => a + b, 0);
