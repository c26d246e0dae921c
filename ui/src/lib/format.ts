/** Numbers as people read them: three significant digits, a thin unit, the same width for the same size. */

const NBSP = "\u00a0";
export const DASH = "–";

/** Three significant digits without exponent: 0.0123 → "0.012", 12.34 → "12.3", 1234 → "1,234". */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return DASH;
  const size = Math.abs(value);
  if (size === 0) return "0";
  if (size < 0.001) return "<0.001";
  if (size < 0.1) return value.toFixed(3);
  if (size < 10) return value.toFixed(2);
  if (size < 100) return value.toFixed(1);
  return Math.round(value).toLocaleString("en-US");
}

/** Large counts shortened: 12,345 → "12.3k". */
export function formatCount(value: number): string {
  if (!Number.isFinite(value)) return DASH;
  const size = Math.abs(value);
  if (size < 10_000) return Math.round(value).toLocaleString("en-US");
  const units: [number, string][] = [
    [1e9, "G"],
    [1e6, "M"],
    [1e3, "k"],
  ];
  for (const [factor, unit] of units) {
    if (size >= factor) return `${trimmed(value / factor)}${unit}`;
  }
  return String(value);
}

/** Requests each second. */
export function formatRate(perSecond: number): string {
  if (!Number.isFinite(perSecond)) return DASH;
  return perSecond >= 10_000 ? `${formatCount(perSecond)}/s` : `${formatNumber(perSecond)}/s`;
}

/** A ratio (0…1) as per cent. Small but present values never read as 0 %. */
export function formatRatio(ratio: number, digits = 1): string {
  if (!Number.isFinite(ratio)) return DASH;
  const percent = ratio * 100;
  const smallest = 10 ** -digits;
  if (percent > 0 && percent < smallest) return `<${smallest}%`;
  if (percent === 0 || percent === 100) return `${Math.round(percent)}%`;
  if (percent < 100 && percent > 100 - smallest) return `>${100 - smallest}%`;
  return `${percent.toFixed(digits)}%`;
}

/** A duration given in milliseconds. */
export function formatMs(ms: number): string {
  if (!Number.isFinite(ms)) return DASH;
  const size = Math.abs(ms);
  if (size === 0) return `0${NBSP}ms`;
  if (size < 1) return `${trimmed(ms * 1000)}${NBSP}µs`;
  if (size < 1000) return `${trimmed(ms)}${NBSP}ms`;
  if (size < 60_000) return `${trimmed(ms / 1000)}${NBSP}s`;
  const minutes = Math.floor(size / 60_000);
  const seconds = Math.round((size % 60_000) / 1000);
  return `${minutes}${NBSP}min${seconds ? `${NBSP}${seconds}${NBSP}s` : ""}`;
}

/** A duration given in microseconds (Jaeger's unit). */
export const formatMicros = (micros: number): string => formatMs(micros / 1000);

/** Bytes with binary steps. */
export function formatBytes(bytes: number): string {
  if (!Number.isFinite(bytes)) return DASH;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let size = Math.abs(bytes);
  let unit = 0;
  while (size >= 1024 && unit < units.length - 1) {
    size /= 1024;
    unit += 1;
  }
  const value = bytes < 0 ? -size : size;
  return `${unit === 0 ? formatNumber(Math.round(value)) : trimmed(value)}${NBSP}${units[unit]}`;
}

export const formatByteRate = (perSecond: number): string => `${formatBytes(perSecond)}/s`;

export type TimeUnit = "d" | "h" | "m" | "s";

/** How long something has run, in its two largest units. */
export function uptimeParts(seconds: number): { n: number; unit: TimeUnit }[] {
  const units: [number, TimeUnit][] = [
    [86_400, "d"],
    [3600, "h"],
    [60, "m"],
    [1, "s"],
  ];
  const found = units.findIndex(([size]) => seconds >= size);
  if (found < 0) return [{ n: 0, unit: "s" }];
  const [[size, unit], next] = [units[found]!, units[found + 1]];
  const rest = next ? Math.floor((seconds % size) / next[0]) : 0;
  return [{ n: Math.floor(seconds / size), unit }, ...(next && rest ? [{ n: rest, unit: next[1] }] : [])];
}

function trimmed(value: number): string {
  const size = Math.abs(value);
  if (size >= 100) return Math.round(value).toLocaleString("en-US");
  return Number(value.toFixed(size >= 10 ? 1 : 2)).toString();
}
