/** Jaeger's JSON API. Times and durations are microseconds. */

import { getJson } from "./client";

export interface KeyValue {
  key: string;
  type?: string;
  value: string | number | boolean;
}

export interface RawSpan {
  traceID: string;
  spanID: string;
  operationName: string;
  references?: { refType: string; traceID: string; spanID: string }[];
  startTime: number;
  duration: number;
  tags?: KeyValue[];
  logs?: { timestamp: number; fields: KeyValue[] }[];
  processID: string;
  warnings?: string[] | null;
}

export interface RawTrace {
  traceID: string;
  spans: RawSpan[];
  processes: Record<string, { serviceName: string; tags?: KeyValue[] }>;
  warnings?: string[] | null;
}

interface Envelope<T> {
  data: T | null;
}

export interface TraceQuery {
  service: string;
  operation: string;
  tags: Record<string, string>;
  minDuration: string;
  maxDuration: string;
  /** Seconds since 1970. */
  from: number;
  to: number;
  limit: number;
}

export async function findTraces(query: TraceQuery, signal: AbortSignal): Promise<RawTrace[]> {
  const body = await getJson<Envelope<RawTrace[]>>(
    "/api/traces",
    {
      service: query.service,
      operation: query.operation,
      tags: Object.keys(query.tags).length ? JSON.stringify(query.tags) : "",
      minDuration: query.minDuration,
      maxDuration: query.maxDuration,
      start: Math.round(query.from * 1e6),
      end: Math.round(query.to * 1e6),
      limit: query.limit,
    },
    signal,
  );
  return body.data ?? [];
}

export async function fetchTrace(id: string, signal: AbortSignal): Promise<RawTrace | null> {
  const body = await getJson<Envelope<RawTrace[]>>(`/api/traces/${encodeURIComponent(id)}`, {}, signal);
  return body.data?.[0] ?? null;
}

export async function fetchTracedServices(signal: AbortSignal): Promise<string[]> {
  const body = await getJson<Envelope<string[]>>("/api/services", {}, signal);
  return [...(body.data ?? [])].sort();
}

export async function fetchOperations(service: string, signal: AbortSignal): Promise<string[]> {
  if (!service) return [];
  const body = await getJson<Envelope<{ name: string }[]>>("/api/operations", { service }, signal);
  return [...new Set((body.data ?? []).map((operation) => operation.name))].sort();
}

type Measure = "calls" | "errors" | "latencies";

/** Points by operation of a service's server spans: calls a second, failed share, or a quantile in milliseconds.
 *
 * The last point of each is of the `seconds` before `to`; `points` of them lie evenly in that time.
 */
export async function fetchOperationRates(
  measure: Measure,
  query: { service: string; to: number; seconds: number; points: number; quantile?: number },
  signal: AbortSignal,
): Promise<Map<string, number[]>> {
  const step = Math.max(1000, Math.round((query.seconds * 1000) / query.points));
  const body = await getJson<{ metrics?: RawMetric[] }>(
    `/api/metrics/${measure}`,
    {
      service: query.service,
      groupByOperation: true,
      endTs: Math.round(query.to * 1000),
      lookback: step * (query.points - 1),
      step,
      ratePer: step,
      quantile: query.quantile,
    },
    signal,
  );
  return new Map(
    (body.metrics ?? []).map((metric) => [
      metric.labels.find((label) => label.name === "operation")?.value ?? "",
      metric.metricPoints.map((point) => Number(point.gaugeValue.doubleValue)),
    ]),
  );
}

interface RawMetric {
  labels: { name: string; value: string }[];
  metricPoints: { gaugeValue: { doubleValue: number | string } }[];
}
