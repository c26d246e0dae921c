/** The histogram's bars: stacked counts, where a pointer is, and what a brush covers. */

import type { LogHistogram } from "../api/logs";
import { assignColours } from "../lib/palette";
import { isoMicros } from "../traces/summary";

export interface BarSeries {
  name: string;
  colour: string;
  total: number;
  counts: number[];
}

export interface Bars {
  by: string;
  /** Seconds since 1970 and seconds. */
  start: number;
  step: number;
  buckets: number;
  total: number;
  most: number;
  /** From the bottom up. */
  series: BarSeries[];
}

const SEVERITIES = ["", "trace", "debug", "info", "warn", "error", "fatal"];
const COLOURS: Record<string, Record<string, string>> = {
  severity: {
    "": "--idle",
    trace: "--idle",
    debug: "--tcp",
    info: "--log-info",
    warn: "--warn",
    error: "--bad",
    fatal: "--c4",
  },
  status: { "": "--idle", "1xx": "--c4", "2xx": "--ok", "3xx": "--c5", "4xx": "--warn", "5xx": "--bad" },
  kind: { access: "--log-info", log: "--c2" },
};

/** The variable of a severity's colour. */
export const severityColour = (severity: string): string => COLOURS.severity![severity] ?? "--idle";

/** `end` of what was asked (seconds since 1970): a time without lines has bars, too. */
export function barsOf(found: LogHistogram, end: number): Bars {
  const fixed = COLOURS[found.by];
  const palette = assignColours(found.series.map((one) => one.name));
  const series = found.series
    .map((one) => ({
      name: one.name,
      counts: one.counts,
      total: one.counts.reduce((sum, n) => sum + n, 0),
      colour: fixed?.[one.name] ?? (one.name === "*" || !one.name ? "--idle" : `--c${palette.get(one.name)}`),
    }))
    .filter((one) => one.total > 0)
    .sort((a, b) => order(found.by, a) - order(found.by, b) || a.name.localeCompare(b.name));
  const [start, step] = [isoMicros(found.start) / 1e6, found.step_ms / 1000];
  const buckets = found.series[0]?.counts.length ?? Math.max(1, Math.ceil((end - start) / step));
  const sums = Array.from({ length: buckets }, (_, i) =>
    series.reduce((sum, one) => sum + one.counts[i]!, 0),
  );
  return {
    by: found.by,
    start,
    step,
    buckets,
    total: found.total,
    most: Math.max(1, ...sums),
    series,
  };
}

/** What is grave stands on the axis, where its height can be compared; services by their size. */
function order(by: string, series: { name: string; total: number }): number {
  if (by === "severity") return -SEVERITIES.indexOf(series.name);
  if (by === "status") return series.name ? -Number(series.name[0]) : 0;
  return -series.total;
}

/** The bucket at a part of the width, from 0 to 1. */
export const bucketAt = (bars: Bars, part: number): number =>
  Math.max(0, Math.min(bars.buckets - 1, Math.floor(part * bars.buckets)));

/** The seconds that two buckets and all between them cover. */
export function brushedTime(bars: Bars, a: number, b: number): { from: number; to: number } {
  const [first, last] = [Math.min(a, b), Math.max(a, b)];
  return { from: bars.start + first * bars.step, to: bars.start + (last + 1) * bars.step };
}

/** A round number at least as large, for the top of the axis. */
export function roundTop(most: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, most)));
  return [1, 2, 5, 10].map((step) => step * power).find((top) => top >= most) ?? most;
}
