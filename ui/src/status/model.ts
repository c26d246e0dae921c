/** The status routes' JSON, and what the page derives from it. */

import type { ProxyRow, Status } from "../api/own";
import { proxyName } from "../traces/hop";

export type ProxyState = "synced" | "pending" | "rejected" | "gone";

/** The worst that is true of a proxy. */
export function proxyState(proxy: ProxyRow): ProxyState {
  if (!proxy.connected) return "gone";
  if (proxy.types.some((type) => type.nack_reason)) return "rejected";
  return proxy.synced ? "synced" : "pending";
}

export const STATES: ProxyState[] = ["rejected", "gone", "pending", "synced"];

export function proxyTitle(proxy: ProxyRow): string {
  return proxy.workload ? `${proxy.workload}.${proxy.namespace}` : proxyName(proxy.node_id);
}

/** The share of received records that are in the store, 0…1; null when nothing came. */
export function storedShare(counts: Status["ingest"][string]): number | null {
  const settled = counts.stored + counts.refused;
  return settled > 0 ? counts.stored / settled : null;
}

/** Seconds as people set them: "15 d"; null is for ever. */
export function retentionParts(seconds: number | null): { days: number } | { hours: number } | null {
  if (seconds === null) return null;
  return seconds >= 86_400 ? { days: Math.round(seconds / 86_400) } : { hours: Math.round(seconds / 3600) };
}
