/** Prometheus HTTP API: queries and label values. Times are seconds since 1970. */

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

/** A native histogram as Prometheus writes it: buckets are [boundary rule, lower, upper, count]. */
export interface HistogramSample {
  count: string;
  sum: string;
  buckets?: [number, string, string, string][];
}

/** One node of the evaluated tree, in pre-order: `depth` tells the parent. */
export interface NodeCost {
  node: string;
  depth: number;
  series: number;
  steps?: number;
  milliseconds: number;
}

/** One read of the store. `source` tells where from: hit, refreshed, miss, direct, answer, or a rollup by name. */
export interface ReadCost {
  matchers: string;
  series: number;
  samples: number;
  source: string;
  milliseconds: number;
}

export interface QueryStats {
  timings?: { evalTotalTime?: number; queryPreparationTime?: number; execTotalTime?: number };
  samples?: { totalQueryableSamples?: number; peakSamples?: number };
  reads?: ReadCost[];
  nodes?: NodeCost[];
}

/** What any query answers: series for a range, samples for one time, or a bare value. */
export interface Answer {
  type: "matrix" | "vector" | "scalar" | "string";
  series: (Series & { histograms?: [number, HistogramSample][] })[];
  samples: (Sample & { text: string; time: number; histogram?: HistogramSample })[];
  warnings: string[];
  infos: string[];
  stats: QueryStats | undefined;
  /** How long the answer took, seen from here. */
  milliseconds: number;
}

interface RawAnswer {
  warnings?: string[];
  infos?: string[];
  data: {
    resultType: Answer["type"];
    result: unknown;
    stats?: QueryStats;
  };
}

type RawRow = { metric: Labels } & {
  values?: [number, string][];
  value?: [number, string];
  histogram?: [number, HistogramSample];
  histograms?: [number, HistogramSample][];
};

interface Asked {
  query: string;
  from: number;
  to: number;
  /** Seconds; none asks for the values at `to`. */
  step?: number;
  explain?: boolean;
}

/** A range or instant query with everything the answer says about itself. */
export async function ask(asked: Asked, signal: AbortSignal): Promise<Answer> {
  const { query, from, to, step } = asked;
  const stats = asked.explain ? "all" : "true";
  const started = performance.now();
  const body = step
    ? await getJson<RawAnswer>(
        "/api/v1/query_range",
        {
          query,
          start: Math.floor(from / step) * step,
          end: Math.floor(to / step) * step,
          step,
          stats,
        },
        signal,
      )
    : await getJson<RawAnswer>("/api/v1/query", { query, time: to, stats }, signal);
  return readAnswer(body, performance.now() - started);
}

/** An answer's JSON as values; text of a sample is kept, for a table shows it unrounded. */
export function readAnswer(body: RawAnswer, milliseconds: number): Answer {
  const { resultType: type, result, stats } = body.data;
  const common = { type, warnings: body.warnings ?? [], infos: body.infos ?? [], stats, milliseconds };
  if (type === "scalar" || type === "string") {
    const [time, text] = result as [number, string];
    return { ...common, series: [], samples: [{ labels: {}, time, text, value: Number(text) }] };
  }
  const rows = result as RawRow[];
  if (type === "matrix") return { ...common, series: rows.map(readSeries), samples: [] };
  return {
    ...common,
    series: [],
    samples: rows.map((row) => {
      const [time, value] = row.histogram ?? row.value ?? [0, "NaN"];
      return typeof value === "string"
        ? { labels: row.metric, time, text: value, value: Number(value) }
        : { labels: row.metric, time, text: "", value: Number(value.count), histogram: value };
    }),
  };
}

function readSeries(row: RawRow): Answer["series"][number] {
  const values = row.values ?? [];
  return {
    labels: row.metric,
    times: values.map(([time]) => time),
    values: values.map(([, value]) => Number(value)),
    ...(row.histograms ? { histograms: row.histograms } : {}),
  };
}

/** The values of a label on the series that a selector matches, seen within an interval. */
export async function labelValues(
  label: string,
  match: string,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<string[]> {
  const body = await getJson<{ data: string[] }>(
    `/api/v1/label/${encodeURIComponent(label)}/values`,
    { "match[]": match, start: from, end: to },
    signal,
  );
  return body.data;
}

export interface Exemplar {
  labels: Labels;
  value: number;
  time: number;
}

interface RawExemplars {
  data: { seriesLabels: Labels; exemplars: { labels: Labels; value: string; timestamp: number }[] }[];
}

/** Exemplars of the series that a query reads. */
export async function exemplars(
  query: string,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<Exemplar[]> {
  const body = await getJson<RawExemplars>(
    "/api/v1/query_exemplars",
    { query, start: from, end: to },
    signal,
  );
  return body.data.flatMap((row) =>
    row.exemplars.map(({ labels, value, timestamp }) => ({ labels, value: Number(value), time: timestamp })),
  );
}
