/** From range-query answers to what charts draw: aligned columns, and requests told from errors. */

import type { Labels, Series } from "../api/prometheus";

/** Columns for a chart: shared times (seconds) and one column of values a line; null is a gap. */
export interface Columns {
  times: number[];
  lines: { name: string; values: (number | null)[] }[];
}

/** A request failed: HTTP 5xx, no response at all, or a gRPC status other than OK. */
export function isError(labels: Labels): boolean {
  const code = labels.response_code ?? "";
  if (/^5\d\d$/.test(code) || code === "0" || code === "") return true;
  const grpc = labels.grpc_response_status ?? "";
  return labels.request_protocol === "grpc" && grpc !== "" && grpc !== "0";
}

/** Adds up the series of each name over the union of their times; gaps stay gaps. */
export function sumBy(series: Series[], name: (labels: Labels) => string | null): Columns {
  const groups = new Map<string, Map<number, number>>();
  const times = new Set<number>();
  for (const one of series) {
    const key = name(one.labels);
    if (key === null) continue;
    const sums = groups.get(key) ?? new Map<number, number>();
    groups.set(key, sums);
    one.times.forEach((time, index) => {
      const value = one.values[index]!;
      if (Number.isNaN(value)) return;
      times.add(time);
      sums.set(time, (sums.get(time) ?? 0) + value);
    });
  }
  const sorted = [...times].sort((a, b) => a - b);
  const lines = [...groups].map(([key, sums]) => ({
    name: key,
    values: sorted.map((time) => sums.get(time) ?? null),
  }));
  return { times: sorted, lines: lines.sort((a, b) => total(b.values) - total(a.values)) };
}

/** The ratio of failed to all requests at each time; null where nothing was requested. */
export function errorRatio(series: Series[]): Columns {
  const all = sumBy(series, () => "all");
  const failed = sumBy(series, (labels) => (isError(labels) ? "failed" : null));
  const failures = new Map(failed.times.map((time, index) => [time, failed.lines[0]?.values[index] ?? 0]));
  const values = all.times.map((time, index) => {
    const requests = all.lines[0]?.values[index] ?? 0;
    return requests > 0 ? (failures.get(time) ?? 0) / requests : null;
  });
  return { times: all.times, lines: [{ name: "ratio", values }] };
}

/** Puts named answers beside each other over the union of their times. */
export function beside(answers: { name: string; series: Series | undefined }[]): Columns {
  const present = answers.flatMap(({ name, series }) => (series ? [{ name, series }] : []));
  const times = [...new Set(present.flatMap(({ series }) => series.times))].sort((a, b) => a - b);
  const lines = present.map(({ name, series }) => {
    const values = new Map(series.times.map((time, index) => [time, series.values[index]!]));
    return {
      name,
      values: times.map((time) => {
        const value = values.get(time);
        return value === undefined || Number.isNaN(value) ? null : value;
      }),
    };
  });
  return { times, lines };
}

/** Makes holes of the step visible as gaps and spans the whole interval, so that charts share an axis. */
export function onGrid(columns: Columns, from: number, to: number, step: number): Columns {
  const start = Math.floor(from / step) * step;
  const count = Math.max(1, Math.floor((to - start) / step) + 1);
  const times = Array.from({ length: count }, (_, index) => start + index * step);
  const index = new Map(columns.times.map((time, at) => [Math.round(time / step), at]));
  const lines = columns.lines.map(({ name, values }) => ({
    name,
    values: times.map((time) => {
      const at = index.get(Math.round(time / step));
      return at === undefined ? null : (values[at] ?? null);
    }),
  }));
  return { times, lines };
}

/** The newest value that is there. */
export function latest(values: (number | null)[] | undefined): number | null {
  if (!values) return null;
  for (let index = values.length - 1; index >= 0; index -= 1) {
    const value = values[index];
    if (value !== null && value !== undefined) return value;
  }
  return null;
}

const total = (values: (number | null)[]): number => values.reduce<number>((a, b) => a + (b ?? 0), 0);
