/** Prometheus HTTP API: types and two calls. Times are seconds since 1970. */

import { getJson } from "./client";

export type Labels = Record<string, string>;

export interface Series {
  labels: Labels;
  times: number[];
  values: number[];
}

export interface Sample {
  labels: Labels;
  value: number;
}

interface Envelope<T> {
  status: "success" | "error";
  data: { resultType: string; result: T[] };
}

interface RawMatrix {
  metric: Labels;
  values: [number, string][];
}

interface RawVector {
  metric: Labels;
  value: [number, string];
}

export async function queryRange(
  query: string,
  from: number,
  to: number,
  step: number,
  signal: AbortSignal,
): Promise<Series[]> {
  const start = Math.floor(from / step) * step;
  const end = Math.floor(to / step) * step;
  const body = await getJson<Envelope<RawMatrix>>("/api/v1/query_range", { query, start, end, step }, signal);
  return body.data.result.map((row) => ({
    labels: row.metric,
    times: row.values.map(([time]) => time),
    values: row.values.map(([, value]) => Number(value)),
  }));
}

export async function queryInstant(
  query: string,
  time: number | null,
  signal: AbortSignal,
): Promise<Sample[]> {
  const body = await getJson<Envelope<RawVector>>("/api/v1/query", { query, time }, signal);
  return body.data.result.map((row) => ({ labels: row.metric, value: Number(row.value[1]) }));
}
