/** Which access-log entry a span and its proxy wrote about the same hop. */

import type { AccessLog } from "../api/own";
import { isoMicros, tagOf } from "./summary";
import type { SpanNode } from "./tree";

export interface Hop {
  nodeId: string;
  reporter: "source" | "destination" | "";
}

export function hopOf(node: SpanNode): Hop {
  const kind = tagOf(node.span.tags, "span.kind");
  const reporter = kind === "client" ? "source" : kind === "server" ? "destination" : "";
  return { nodeId: String(tagOf(node.span.tags, "node_id") ?? ""), reporter };
}

/** The entry of the same proxy and side that began nearest to the span (microseconds since 1970). */
export function sameHop(entries: AccessLog[], hop: Hop, start: number): AccessLog | undefined {
  if (!hop.nodeId) return undefined;
  const candidates = entries.filter(
    (entry) => entry.node_id === hop.nodeId && (!hop.reporter || entry.reporter === hop.reporter),
  );
  // A gateway answers clients outside the mesh with a server span, but logs its one entry as source.
  const usable = candidates.length ? candidates : entries.filter((entry) => entry.node_id === hop.nodeId);
  const distance = (entry: AccessLog) => Math.abs(logTime(entry) - start);
  return usable.reduce<AccessLog | undefined>(
    (best, entry) => (best === undefined || distance(entry) < distance(best) ? entry : best),
    undefined,
  );
}

/** An entry's start in microseconds since 1970; NaN when it has none. */
export const logTime = (entry: AccessLog): number => isoMicros(String(entry.timestamp ?? ""));

/** `sidecar~ip~workload.namespace~domain` → `workload.namespace`. */
export const proxyName = (nodeId: string): string => nodeId.split("~")[2] ?? nodeId;
