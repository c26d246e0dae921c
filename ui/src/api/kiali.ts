/** Kiali's graph JSON, as far as the console reads it. Numbers may arrive as strings. */

import { getJson } from "./client";

export type GraphType = "app" | "versionedApp" | "workload" | "service";

export interface TrafficEntry {
  protocol?: string;
  rates?: Record<string, string | number>;
  responses?: Record<
    string,
    { flags?: Record<string, string | number>; hosts?: Record<string, string | number> }
  >;
}

export interface RawNode {
  id: string;
  nodeType: string;
  cluster?: string;
  namespace: string;
  workload?: string;
  app?: string;
  version?: string;
  service?: string;
  isBox?: string;
  isRoot?: boolean;
  isIdle?: boolean;
  isServiceEntry?: unknown;
  isGateway?: unknown;
  hasVS?: unknown;
  hasCB?: boolean;
  hasFaultInjection?: boolean;
  traffic?: TrafficEntry[];
}

export interface RawEdge {
  id: string;
  source: string;
  target: string;
  traffic?: TrafficEntry;
  isMTLS?: string | number;
  responseTime?: string | number;
  throughput?: string | number;
  healthStatus?: string;
  sourcePrincipal?: string;
  destPrincipal?: string;
}

export interface RawGraph {
  timestamp: number;
  duration: number;
  graphType: GraphType;
  elements: { nodes?: { data: RawNode }[] | null; edges?: { data: RawEdge }[] | null };
}

export interface GraphQuery {
  namespaces: string[];
  graphType: GraphType;
  seconds: number;
  to: number | null;
  serviceNodes: boolean;
  idle: boolean;
}

export function fetchGraph(query: GraphQuery, signal: AbortSignal): Promise<RawGraph> {
  return getJson<RawGraph>(
    "/api/namespaces/graph",
    {
      namespaces: query.namespaces.join(","),
      graphType: query.graphType,
      duration: `${Math.max(1, Math.round(query.seconds))}s`,
      queryTime: query.to === null ? null : Math.round(query.to),
      injectServiceNodes: query.serviceNodes,
      includeIdleEdges: query.idle,
      appenders: "responseTime,throughput,securityPolicy,idleNode,istio,serviceEntry,workloadEntry,health",
      responseTime: "95",
      throughputType: "response",
    },
    signal,
  );
}

export async function fetchNamespaces(signal: AbortSignal): Promise<string[]> {
  const rows = await getJson<({ name: string } | string)[]>("/api/namespaces", {}, signal);
  return rows.map((row) => (typeof row === "string" ? row : row.name)).sort();
}
