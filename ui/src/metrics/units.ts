/** Units: how a number of each is written, and which one a query's values most likely have. */

import {
  DASH,
  formatBytes,
  formatByteRate,
  formatCount,
  formatMs,
  formatNumber,
  formatRatio,
} from "../lib/format";

/** Grafana's identifiers, as far as our dashboards use them. */
export type Unit = "short" | "none" | "reqps" | "ops" | "cps" | "percentunit" | "ms" | "s" | "bytes" | "Bps";

/** Any size in a few characters: 0.00012, 12.3, 4.56k, 7.8e-9. */
export function formatShort(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size >= 1e12 || size < 1e-4) return value.toExponential(2).replace("+", "");
  if (size >= 10_000) return (value < 0 ? "-" : "") + formatCount(size);
  if (size < 1) return String(Number(value.toPrecision(3)));
  return Number(value.toFixed(size < 100 ? 2 : size < 1000 ? 1 : 0)).toLocaleString("en-US");
}

const perSecond = (value: number): string => `${formatShort(value)}/s`;
const signed =
  (format: (value: number) => string) =>
  (value: number): string =>
    !Number.isFinite(value) ? formatShort(value) : format(value);

const FORMATS: Record<Unit, (value: number) => string> = {
  short: formatShort,
  none: formatShort,
  reqps: perSecond,
  ops: perSecond,
  cps: perSecond,
  percentunit: signed((value) => (value < 0 ? `${formatNumber(value * 100)}%` : formatRatio(value, 2))),
  ms: signed(formatMs),
  s: signed((value) => formatMs(value * 1000)),
  bytes: signed(formatBytes),
  Bps: signed(formatByteRate),
};

/** How values of a unit are written; an unknown unit is written plainly. */
export function formatter(unit: string): (value: number | null | undefined) => string {
  const format = FORMATS[unit as Unit] ?? formatShort;
  return (value) => (value === null || value === undefined ? DASH : format(value));
}

const COUNTING =
  /^\s*(count|count_values|group|sgn|absent|absent_over_time|present_over_time|changes|resets)\b/;
const RATE = /\b(rate|irate|deriv)\s*\(/;
const METRIC = /[a-zA-Z_:][a-zA-Z0-9_:]*(?=\s*[{[),]|\s*$|\s+(?:by|without|offset|or|and|unless)\b)/g;
const WORDS = new Set([
  "by",
  "without",
  "on",
  "ignoring",
  "bool",
  "offset",
  "and",
  "or",
  "unless",
  "inf",
  "nan",
]);

/** The unit that the names in a query promise; "short" where they promise none. */
export function guessUnit(query: string): Unit {
  const bare = query.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""').replace(/\{[^}]*\}/g, "{}");
  if (COUNTING.test(bare)) return "none";
  const names = (bare.match(METRIC) ?? []).filter((name) => !WORDS.has(name.toLowerCase()));
  const metric = names.find((name) => name.includes("_")) ?? "";
  if (/\)\s*\/\s*(?:\(|sum|avg|count|rate|irate|increase|\w+\()/.test(bare) && sameUnit(names))
    return "percentunit";
  const base = metric.replace(/_(bucket|sum|count|total)$/, "");
  const quantile = /\bhistogram_(quantile|avg|sum|stddev)\b/.test(bare);
  const counted = /_count$/.test(metric);
  const rate = RATE.test(bare) && !quantile;
  if (counted) return rate ? "cps" : "short";
  if (/(_ratio|_percent_ratio)$/.test(base)) return "percentunit";
  if (/_bytes$/.test(base)) return rate ? "Bps" : "bytes";
  if (/_milliseconds$/.test(base)) return rate && !quantile ? "short" : "ms";
  if (/_seconds$/.test(base)) return rate ? "short" : "s";
  return rate ? "cps" : "short";
}

/** A quotient of the same metric is a share. */
function sameUnit(names: string[]): boolean {
  const metrics = names.filter((name) => name.includes("_") && /_(total|count|bucket|bytes)$/.test(name));
  return metrics.length >= 2 && new Set(metrics.map((name) => name.replace(/_[a-z]+_total$/, ""))).size === 1;
}
