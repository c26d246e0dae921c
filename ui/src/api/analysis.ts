/** Windvane's analyses of traces. Times are milliseconds, shares 0 to 1; see docs/reference/traces.md. */

import { getJson, postJson } from "./client";

const BASE = "/api/windvane/v1/traces";

export interface Named {
  service: string;
  operation: string;
}

export interface Quantiles {
  p50: number;
  p95: number;
  p99: number;
}

export interface TracePath extends Named {
  trace_id: string;
  start: string;
  duration_ms: number;
  spans: number;
  roots: number;
  sections: (Named & { span_id: string; start_ms: number; duration_ms: number })[];
}

export const fetchTracePath = (id: string, signal: AbortSignal): Promise<TracePath> =>
  getJson(`${BASE}/${encodeURIComponent(id)}/critical-path`, {}, signal);

export interface FlameNode extends Named {
  /** Index of the node above; -1 at the top. */
  parent: number;
  depth: number;
  spans: number;
  traces: number;
  errors: number;
  total_ms: number;
  self_ms: number;
  path_ms: number;
}

export interface FlameAnswer {
  traces: number;
  spans: number;
  truncated: boolean;
  total_ms: number;
  nodes: FlameNode[];
  left_out: number;
}

export const fetchTraceFlame = (id: string, signal: AbortSignal): Promise<FlameAnswer> =>
  getJson(`${BASE}/${encodeURIComponent(id)}/flame`, { min_share: 0 }, signal);

/** Which traces an analysis is about; seconds since 1970. */
export interface Choice {
  q: string;
  start: number;
  end: number;
  limit?: number;
  sort?: string;
}

export const fetchFlame = (choice: Choice, signal: AbortSignal): Promise<FlameAnswer> =>
  getJson(`${BASE}/flame`, { ...choice }, signal);

export interface Owner {
  service: string;
  operation?: string;
  caller?: string;
  traces: number;
  path_ms: number;
  self_ms: number;
  share: number;
  at: Record<keyof Quantiles, { mean_ms: number; share: number }>;
}

export interface WhatIf extends Named {
  faster: number;
  affected: number;
  before_ms: Quantiles;
  after_ms: Quantiles;
}

export interface PathsAnswer {
  traces: number;
  spans: number;
  truncated: boolean;
  duration_ms: Quantiles;
  services: Owner[];
  operations: Owner[];
  edges: Owner[];
  what_if: WhatIf[];
}

export const fetchPaths = (
  choice: Choice & { faster?: number; faster_service?: string; faster_operation?: string },
  signal: AbortSignal,
): Promise<PathsAnswer> => getJson(`${BASE}/critical-path`, { ...choice }, signal);

export interface ComparedSide {
  spans: number;
  errors: number;
  total_ms: number;
  self_ms: number;
  path_ms: number;
}

export type Change =
  "added" | "removed" | "slower" | "faster" | "more" | "fewer" | "failed" | "recovered" | "same";

export interface ComparedPlace extends Named {
  parent: number;
  depth: number;
  change: Change;
  a: ComparedSide;
  b: ComparedSide;
}

export interface ComparisonAnswer {
  a: { trace_id: string; duration_ms: number };
  b: { trace_id: string; duration_ms: number };
  places: ComparedPlace[];
}

export const fetchComparison = (a: string, b: string, signal: AbortSignal): Promise<ComparisonAnswer> =>
  getJson(`${BASE}/compare`, { a, b }, signal);

export interface CohortsQuestion {
  selection: Partial<Choice>;
  baseline: Partial<Choice>;
  support?: number;
}

export interface Estimate {
  value: number;
  low: number;
  high: number;
}

export interface CohortProperty {
  kind: "attribute" | "operation" | "failing" | "edge" | "duration";
  key: string;
  value: string;
}

export interface CohortDifference extends CohortProperty {
  also: CohortProperty[];
  selection: { traces: number; share: number };
  baseline: { traces: number; share: number };
  difference: Estimate;
  ratio: Estimate;
  p: number;
  adjusted: number;
  example: string;
}

export interface CohortLatency extends Named {
  selection: { traces: number; p50_ms: number; p95_ms: number };
  baseline: { traces: number; p50_ms: number; p95_ms: number };
  chance: Estimate;
  p: number;
  adjusted: number;
}

export interface CohortsAnswer {
  selection: { traces: number; truncated: boolean; overlap: number };
  baseline: { traces: number; truncated: boolean; overlap: number };
  comparisons: number;
  correction: string;
  rate: number;
  found: number;
  differences: CohortDifference[];
  latencies: CohortLatency[];
}

export const askCohorts = (question: CohortsQuestion, signal: AbortSignal): Promise<CohortsAnswer> =>
  postJson(`${BASE}/cohorts`, question, signal);

export interface ErrorRoot extends Named {
  spans: number;
  traces: number;
  reached: number;
  chain: Named[];
  trace_id: string;
  span_id: string;
}

export interface Repeat {
  caller: Named;
  called: Named;
  traces: number;
  parents: number;
  calls: number;
  most: number;
  time_ms: number;
  path_ms: number;
  trace_id: string;
  span_id: string;
}

export interface Storm {
  cluster: string;
  route: string;
  requests: number;
  retried: number;
  stormy: number;
  attempts: number;
  most: number;
  failed: number;
  request_id: string;
  trace_id: string;
  way: { cluster: string; entries: number; attempts: number; failed: number }[];
}

export interface Slow extends Named {
  spans: number;
  slow: number;
  above: number;
  p: number;
  adjusted: number;
  baseline_spans: number;
  baseline_p50_ms: number;
  baseline_p99_ms: number;
  p50_ms: number;
  times: number;
  example_ms: number;
  trace_id: string;
  span_id: string;
}

export interface FindingsAnswer {
  traces: number;
  spans: number;
  truncated: boolean;
  error_roots: ErrorRoot[];
  n_plus_one: Repeat[];
  retried: Repeat[];
  retry_storms: Storm[];
  slow: Slow[];
}

export const fetchFindings = (choice: Choice, signal: AbortSignal): Promise<FindingsAnswer> =>
  getJson(`${BASE}/findings`, { ...choice }, signal);
