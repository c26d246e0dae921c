/** Why a service shows what it shows: causes with evidence, and a paragraph whose claims can be followed. */

import { getJson } from "./client";

/** Where a claim can be checked. */
export type Ref =
  | { kind: "query"; query: string; start: number; end: number }
  | { kind: "trace"; id: string }
  | { kind: "version"; number: number }
  | { kind: "service"; namespace: string; name: string };

export interface Segment {
  text: string;
  ref: Ref | null;
}

export interface Evidence {
  kind: string;
  text: string;
  at: number | null;
  ref: Ref | null;
}

export interface Cause {
  service: string;
  namespace: string;
  /** Set where the cause is the way from this caller to the service. */
  caller: string | null;
  kind?: string;
  /** What of the service is concerned, where the rest of it is fine: one version, workload or pod. */
  only?: { by: string; value: string } | null;
  text: string;
  /** Shares, 0 to 1. */
  explains: number;
  confidence: number;
  departure: number;
  usual: number;
  now: number;
  calls_per_minute: number;
  /** Services, and ways between them as `caller → callee`, from the one that shows it to the cause. */
  path: string[];
  flags: Record<string, number>;
  evidence?: Evidence[];
}

export interface Why {
  service: string;
  namespace: string;
  signal: string | null;
  since: number | null;
  /** When it began, as exactly as is known. */
  onset?: number | null;
  at: number;
  causes: Cause[];
  notes: string[];
  explanation?: Segment[];
  abstained?: boolean;
  changes?: { at: number; kind: string; text: string; ref?: Ref | null }[];
}

export const SIGNALS = ["errors", "latency"] as const;

export const fetchWhy = (
  query: { service: string; signal?: string | null; time?: number | null; lang?: string },
  signal: AbortSignal,
): Promise<Why> => getJson("/api/windvane/v1/analytics/why", { ...query }, signal);
