/** Time ranges as the URL carries them, and times as people read them. */

export interface RelativeRange {
  kind: "relative";
  seconds: number;
}
export interface AbsoluteRange {
  kind: "absolute";
  from: number;
  to: number;
}
/** Seconds since 1970 for absolute ends. */
export type TimeRange = RelativeRange | AbsoluteRange;

export interface Interval {
  from: number;
  to: number;
}

const UNITS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** "5m" → 300; null when it is not a duration. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+)([smhd])$/.exec(text.trim());
  if (!match) return null;
  const seconds = Number(match[1]) * UNITS[match[2]!]!;
  return seconds > 0 ? seconds : null;
}

/** 300 → "5m": the shortest exact form. */
export function durationText(seconds: number): string {
  for (const unit of ["d", "h", "m"]) {
    const size = UNITS[unit]!;
    if (seconds >= size && seconds % size === 0) return `${seconds / size}${unit}`;
  }
  return `${Math.round(seconds)}s`;
}

/** Reads `range`, or `from` and `to`, of a query string; anything unreadable falls back. */
export function readRange(params: URLSearchParams, fallbackSeconds: number): TimeRange {
  const from = Number(params.get("from"));
  const to = Number(params.get("to"));
  if (from > 0 && to > from) return { kind: "absolute", from, to };
  const seconds = parseDuration(params.get("range") ?? "");
  return { kind: "relative", seconds: seconds ?? fallbackSeconds };
}

export function rangeParams(range: TimeRange): Record<string, string | null> {
  return range.kind === "relative"
    ? { range: durationText(range.seconds), from: null, to: null }
    : { range: null, from: String(Math.round(range.from)), to: String(Math.round(range.to)) };
}

export function resolve(range: TimeRange, now: number): Interval {
  return range.kind === "absolute"
    ? { from: range.from, to: range.to }
    : { from: now - range.seconds, to: now };
}

export const rangeSeconds = (range: TimeRange): number =>
  range.kind === "absolute" ? range.to - range.from : range.seconds;

/** The step of a range query: about `points` points, never finer than the metrics' own interval. */
export function stepFor(seconds: number, points = 120, finest = 5): number {
  const raw = Math.max(finest, seconds / points);
  const nice = [5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400];
  return nice.find((step) => step >= raw) ?? nice[nice.length - 1]!;
}

/** The window of `rate(…[w])`: four intervals at least, so that a missed one does not leave a hole. */
export const rateWindow = (step: number): number => Math.max(step, 30);

const pad = (value: number, width = 2) => String(value).padStart(width, "0");

/** "14:03:27.120" in the reader's zone. */
export function clockTime(seconds: number, millis = false): string {
  const date = new Date(seconds * 1000);
  const base = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return millis ? `${base}.${pad(date.getMilliseconds(), 3)}` : base;
}

/** "2026-03-01 14:03:27" in the reader's zone. */
export function dateTime(seconds: number, millis = false): string {
  const date = new Date(seconds * 1000);
  return `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())} ${clockTime(seconds, millis)}`;
}

/** The value of `<input type="datetime-local">`. */
export const inputTime = (seconds: number): string => dateTime(seconds).replace(" ", "T");

export function fromInputTime(text: string): number | null {
  const time = new Date(text).getTime();
  return Number.isNaN(time) ? null : time / 1000;
}

/** An interval in as few words as tell it: no date for today, the second date only where it is another. */
export function intervalText(from: number, to: number, now: number): string {
  const [start, end, today] = [from, to, now].map((seconds) => dateTime(seconds)) as [string, string, string];
  const day = (text: string) => text.slice(0, 10);
  if (day(start) !== day(end)) return `${start.slice(5)} – ${end.slice(5)}`;
  return `${day(start) === day(today) ? start.slice(11) : start.slice(5)} – ${end.slice(11)}`;
}
