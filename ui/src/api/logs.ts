/** Windvane's own log routes; see docs/reference/logs.md. Times in ISO 8601 with nanoseconds. */

import { getJson, url } from "./client";

const BASE = "/api/windvane/v1";

export type Severity = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "";
export type EntryValue = string | number | null | Record<string, string>;

export interface LogLine {
  id: string;
  kind: "log" | "access";
  time: string;
  severity: Severity;
  severity_number: number;
  severity_text: string;
  service: string;
  body: string;
  trace_id: string;
  trace_by: "own" | "request_id" | "";
  span_id: string;
  request_id: string;
  event: string;
  scope: string;
  attributes: Record<string, string>;
  resource: Record<string, string>;
  /** Columns of an access-log entry; null for OTLP logs. */
  entry: Record<string, EntryValue> | null;
}

/** Which lines: times are seconds since 1970. */
export interface LogQuery {
  q: string;
  kind: string;
  start: number;
  end: number;
}

export interface LogLines {
  lines: LogLine[];
  next: string | null;
}

export const searchLogs = (
  query: Partial<LogQuery> & { sort: string; limit: number; cursor?: string },
  signal: AbortSignal,
): Promise<LogLines> => getJson(`${BASE}/logs`, { ...query }, signal);

export interface LogSeries {
  name: string;
  counts: number[];
}

export interface LogHistogram {
  start: string;
  step_ms: number;
  total: number;
  by: string;
  series: LogSeries[];
}

export const fetchLogHistogram = (
  query: LogQuery & { by: string; buckets: number },
  signal: AbortSignal,
): Promise<LogHistogram> => getJson(`${BASE}/logs/histogram`, { ...query }, signal);

export interface LogField {
  name: string;
  scope: string;
  lines: number;
  different: number;
  values: { value: string; lines: number }[];
}

export const fetchLogFields = (
  query: { name: string; limit: number },
  signal: AbortSignal,
): Promise<{ lines: number; fields: LogField[] }> => getJson(`${BASE}/logs/fields`, query, signal);

export interface LogPattern {
  kind: "log" | "access";
  template: string;
  status: string;
  count: number;
  share: number;
  before: number | null;
  change: "new" | "gone" | "";
  severity: Severity;
  services: string[];
  first: string;
  last: string;
  example: string;
  query: string;
}

export interface LogPatterns {
  lines: number;
  read: number;
  patterns: LogPattern[];
}

export const fetchLogPatterns = (
  query: LogQuery & { baseline_start?: number; limit: number },
  signal: AbortSignal,
): Promise<LogPatterns> => getJson(`${BASE}/logs/patterns`, { ...query }, signal);

export interface TraceLines {
  trace_id: string;
  request_ids: string[];
  lines: LogLine[];
  more: boolean;
}

export const fetchTraceLogs = (id: string, signal: AbortSignal): Promise<TraceLines> =>
  getJson(`${BASE}/traces/${encodeURIComponent(id)}/logs`, {}, signal);

/** Where lines come from as they are stored; `after` is the id of the last event seen. */
export const tailAddress = (query: { q: string; kind: string; after: string }): string =>
  url(`${BASE}/logs/tail`, query);
