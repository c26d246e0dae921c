/** From a query's answer to lines on a chart: names, common labels, columns over one grid of times. */

import type { Answer, Labels } from "../api/prometheus";
import { PALETTE_SIZE } from "../lib/palette";
import { quote } from "../lib/promql";

export interface PlotLine {
  key: string;
  label: string;
  /** Every label, for a tooltip. */
  title: string;
  colour: string;
  dash: boolean;
  values: (number | null)[];
  /** Which query it comes from. */
  query: number;
}

const PLAIN = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

/** `name{a="b"}` as PromQL writes it, names quoted where they must be. */
export function seriesText(labels: Labels, without: readonly string[] = []): string {
  const { __name__: name = "", ...rest } = labels;
  const pairs = Object.entries(rest)
    .filter(([key]) => !without.includes(key))
    .map(([key, value]) => `${PLAIN.test(key) ? key : quote(key)}=${quote(value)}`);
  const shown = without.includes("__name__") ? "" : name;
  if (shown && !PLAIN.test(shown)) return `{${[quote(shown), ...pairs].join(", ")}}`;
  return pairs.length || !shown ? `${shown}{${pairs.join(", ")}}` : shown;
}

/** Labels that all series share with one value: said once instead of on every line. */
export function commonLabels(all: readonly Labels[]): Labels {
  const [first, ...rest] = all;
  if (!first || rest.length === 0) return {};
  return Object.fromEntries(
    Object.entries(first).filter(([key, value]) => rest.every((labels) => labels[key] === value)),
  );
}

/** Fills `{{label}}` of a legend; without one the series' own text. */
export function legendText(template: string, labels: Labels): string {
  if (!template) return Object.keys(labels).length ? seriesText(labels) : "";
  return template.replace(/\{\{\s*([^}\s]+)\s*\}\}/g, (_, name: string) => labels[name] ?? "");
}

/** The times of a range query: multiples of the step within the interval. */
export function grid(from: number, to: number, step: number): number[] {
  const start = Math.floor(from / step) * step;
  const count = Math.max(1, Math.floor((Math.floor(to / step) * step - start) / step) + 1);
  return Array.from({ length: count }, (_, index) => start + index * step);
}

/** A series' values on the grid: null where it has none, NaN or an infinity (a line cannot show those). */
export function onTimes(series: { times: number[]; values: number[] }, times: number[], step: number) {
  const values = new Array<number | null>(times.length).fill(null);
  const start = times[0] ?? 0;
  series.times.forEach((time, index) => {
    const at = Math.round((time - start) / step);
    const value = series.values[index]!;
    if (at >= 0 && at < values.length && Number.isFinite(value)) values[at] = value;
  });
  return values;
}

/** Lines of one answer; `first` is how many lines earlier queries have drawn. */
export function linesOf(
  answer: Answer,
  options: { times: number[]; step: number; query: number; first: number; legend?: string },
): PlotLine[] {
  const { times, step, query, first, legend } = options;
  const common = Object.keys(commonLabels(answer.series.map((one) => one.labels)));
  const hidden = common.filter((name) => name !== "__name__");
  return answer.series.map((one, index) => {
    const at = first + index;
    const full = seriesText(one.labels);
    const label = legend === undefined ? seriesText(one.labels, hidden) : legendText(legend, one.labels);
    return {
      key: `${query}|${full}`,
      label: label === "{}" ? full : label,
      title: full,
      colour: `--c${(at % PALETTE_SIZE) + 1}`,
      dash: Math.floor(at / PALETTE_SIZE) % 2 === 1,
      values: onTimes(one, times, step),
      query,
    };
  });
}

export interface Summary {
  last: number | null;
  min: number | null;
  max: number | null;
  mean: number | null;
}

/** What a legend tells of a line. */
export function summary(values: readonly (number | null)[]): Summary {
  let [min, max, sum, count, last] = [Infinity, -Infinity, 0, 0, null as number | null];
  for (const value of values) {
    if (value === null) continue;
    min = Math.min(min, value);
    max = Math.max(max, value);
    sum += value;
    count += 1;
    last = value;
  }
  return count ? { last, min, max, mean: sum / count } : { last: null, min: null, max: null, mean: null };
}

/**
 * Each line on top of those before it; a gap counts as nothing. Where any line has a value all have one: a band
 * is filled between two lines, so that a line which begins later would leave those above it unfilled before.
 */
export function stack(lines: readonly (number | null)[][]): (number | null)[][] {
  const sums: number[] = [];
  const known = new Set<number>();
  for (const values of lines) values.forEach((value, at) => value !== null && known.add(at));
  return lines.map((values) =>
    values.map((value, at) => {
      sums[at] = (sums[at] ?? 0) + (value ?? 0);
      return known.has(at) ? sums[at]! : null;
    }),
  );
}

/** Rates, sizes and durations are compared by their height; other numbers may be far from zero. */
const FROM_ZERO = new Set(["reqps", "ops", "cps", "Bps", "bytes", "ms", "s"]);

/** The value axis: from zero, unless everything is far away from it. */
export function valueRange(low: number | null, high: number | null, unit: string): [number, number] {
  if (low === null || high === null || !Number.isFinite(low) || !Number.isFinite(high)) return [0, 1];
  if (unit === "percentunit" && low >= 0 && high <= 1 && high > 0.9) {
    return [low > 0.5 ? Math.max(0, low - Math.max(0.002, (1 - low) * 0.2)) : 0, 1.0001];
  }
  if (low === high) {
    const around = Math.abs(low) || 1;
    return low > 0 ? [0, low * 1.2] : low < 0 ? [low * 1.2, 0] : [0, around];
  }
  const room = (high - low) * 0.1;
  if (low >= 0) return [low < high * 0.6 || FROM_ZERO.has(unit) ? 0 : low - room, high + room];
  if (high <= 0) return [low - room, high > low * 0.6 ? 0 : high + room];
  return [low - room, high + room];
}
