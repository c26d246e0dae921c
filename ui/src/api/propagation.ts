/** Where trace context is lost; see docs/reference/traces.md. Times in ISO 8601, shares 0 to 1. */

import { getJson } from "./client";

export type Certainty = "seen" | "likely" | "unknown";
export type LossStatus = "loses" | "keeps" | "unclear" | "own";

export interface CallCounts {
  calls: number;
  continued: number;
  lost: number;
  seen: number;
  likely: number;
  unknown: number;
  own: number;
  shortened: number;
  renamed: number;
  share: { value: number; low: number; high: number };
}

export interface TraceFormat {
  name: string;
  headers: string[];
  certainty: Certainty;
  evidence: string;
}

export interface LostCall {
  inbound_trace: string;
  inbound_span: string;
  outbound_trace: string;
  outbound_span: string;
  destination: string;
  start: string;
  by: "request id" | "timing";
  candidates: number;
}

export interface WorkloadPropagation {
  workload: string;
  namespace: string;
  proxies: number;
  served: number;
  status: LossStatus;
  certainty: Certainty;
  counts: CallCounts;
  edges: { destination: string; counts: CallCounts }[];
  request_id_kept: number;
  own_traces: boolean;
  dropped: { header: string; certainty: Certainty }[];
  formats: TraceFormat[];
  language: { name: string; certainty: Certainty; evidence: string };
  advice: { text: string; headers: string[]; language: string; snippet: string } | null;
  examples: LostCall[];
}

export interface PropagationAnswer {
  start: string;
  end: string;
  truncated: boolean;
  served: number;
  calls: number;
  formats: TraceFormat[];
  workloads: WorkloadPropagation[];
}

export const fetchPropagation = (
  query: { start: number; end: number },
  signal: AbortSignal,
): Promise<PropagationAnswer> => getJson("/api/windvane/v1/traces/propagation", query, signal);
