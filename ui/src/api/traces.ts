/** Windvane's own trace routes: search, completion, heat map. Times in ISO 8601, durations in milliseconds. */

import { getJson } from "./client";

const BASE = "/api/windvane/v1/traces";

export interface SpanMatch {
  span_id: string;
  service: string;
  name: string;
  kind: string;
  status: string;
  start: string;
  duration_ms: number;
}

export interface FoundTrace {
  trace_id: string;
  root_service: string;
  root_name: string;
  start: string;
  duration_ms: number;
  spans: number;
  errors: number;
  orphans: number;
  services: { name: string; spans: number; errors: number }[];
  matched: number;
  matches: SpanMatch[];
}

export interface FoundTraces {
  traces: FoundTrace[];
  next: string | null;
}

/** What a search asks; times are seconds since 1970. */
export interface SearchQuery {
  q: string;
  sort: string;
  start?: number;
  end?: number;
  limit: number;
  cursor?: string;
}

export const searchTraces = (query: SearchQuery, signal: AbortSignal): Promise<FoundTraces> =>
  getJson<FoundTraces>(BASE, { ...query }, signal);

export interface FieldName {
  name: string;
  scope: "" | "span" | "resource" | "scope" | "event" | "link";
  spans: number;
  different: number;
  values: { value: string; spans: number }[];
}

export const fetchFields = (
  name: string,
  limit: number,
  signal: AbortSignal,
): Promise<{ spans: number; fields: FieldName[] }> => getJson(`${BASE}/fields`, { name, limit }, signal);

export interface HeatCell {
  column: number;
  band: number;
  spans: number;
  errors: number;
}

/** Column c starts at `start` + c × `step_seconds`; band b at 10^(b / bands_per_decade) nanoseconds. */
export interface TracesHeatmap {
  start: number;
  step_seconds: number;
  columns: number;
  bands_per_decade: number;
  cells: HeatCell[];
}

export const fetchHeatmap = (
  query: { q: string; start: number; end: number; columns: number },
  signal: AbortSignal,
): Promise<TracesHeatmap> => getJson(`${BASE}/heatmap`, { ...query }, signal);
