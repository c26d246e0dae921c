/** Histogram buckets over time as cells of a heatmap. */

import type { Answer } from "../api/prometheus";
import { onTimes } from "./series";

export interface HeatRow {
  lower: number;
  upper: number;
  values: (number | null)[];
}

const bound = (text: string): number => (text === "+Inf" ? Infinity : Number(text));

/** Whether these series are cumulative buckets: several, told apart by `le` alone or more. */
export function isBuckets(answer: Answer): boolean {
  return answer.series.length > 1 && answer.series.every((one) => one.labels.le !== undefined);
}

/** Cumulative `le` series as one row a bucket, lowest first; series of the same bound are added up.
 *
 * Counts that fall from one bound to the next (they are read at slightly different moments) count as none.
 */
export function heatRows(answer: Answer, times: number[], step: number): HeatRow[] {
  const sums = new Map<number, (number | null)[]>();
  for (const one of answer.series) {
    const upper = bound(one.labels.le ?? "");
    if (Number.isNaN(upper)) continue;
    const values = onTimes(one, times, step);
    const before = sums.get(upper);
    sums.set(upper, before ? before.map((value, at) => add(value, values[at] ?? null)) : values);
  }
  const bounds = [...sums.keys()].sort((a, b) => a - b);
  return bounds.map((upper, index) => {
    const below = index ? sums.get(bounds[index - 1]!)! : [];
    const values = sums
      .get(upper)!
      .map((value, at) => (value === null ? null : Math.max(0, value - (below[at] ?? 0))));
    return { lower: index ? bounds[index - 1]! : 0, upper, values };
  });
}

const add = (a: number | null, b: number | null): number | null => (a === null ? b : b === null ? a : a + b);

/** Rows without the empty ones at both ends. */
export function trimmed(rows: HeatRow[]): HeatRow[] {
  const used = rows.map((row) => row.values.some((value) => (value ?? 0) > 0));
  const first = used.indexOf(true);
  return first < 0 ? [] : rows.slice(Math.max(0, first - 1), used.lastIndexOf(true) + 1);
}

/** Native histograms as rows: their own bucket bounds, whichever occur; counts of equal buckets add up. */
export function nativeRows(answer: Answer, times: number[], step: number): HeatRow[] {
  const rows = new Map<string, HeatRow>();
  const start = times[0] ?? 0;
  for (const one of answer.series) {
    for (const [time, histogram] of one.histograms ?? []) {
      const at = Math.round((time - start) / step);
      if (at < 0 || at >= times.length) continue;
      for (const [, lower, upper, count] of histogram.buckets ?? []) {
        const key = `${lower}|${upper}`;
        const row = rows.get(key) ?? {
          lower: Number(lower),
          upper: bound(upper),
          values: new Array<number | null>(times.length).fill(null),
        };
        rows.set(key, row);
        row.values[at] = (row.values[at] ?? 0) + Number(count);
      }
    }
  }
  return [...rows.values()].sort((a, b) => a.upper - b.upper);
}
