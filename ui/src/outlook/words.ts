/** Figures of objectives, capacity and forecasts in words, and what the pages share. */

import type {
  BudgetEnd,
  Capacity,
  Figure,
  Forecast,
  Indicator,
  Objective,
  ServiceCapacity,
} from "../api/outlook";
import type { Labels } from "../api/prometheus";
import { t } from "../i18n";
import { DASH, formatMs, formatNumber, formatRate, formatRatio } from "../lib/format";
import { dateTime } from "../lib/time";

export type Tone = "ok" | "warn" | "bad" | "idle";

/** 99.95 → "99.95%": objectives are written with as many digits as they have. */
export const percentText = (percent: number): string => `${Number(percent.toFixed(4))}%`;

/** The share that was good, with more digits the nearer it is to all. */
export function seenText(share: number): string {
  const percent = 100 * share;
  return `${Number(percent.toFixed(percent >= 99.9 ? 4 : percent >= 99 ? 3 : 2))}%`;
}

/** A share of a budget that may be negative. */
export function budgetText(remaining: number | null): string {
  if (remaining === null) return DASH;
  return remaining < 0 ? `−${formatRatio(-remaining)}` : formatRatio(remaining);
}

/** Bad: a page would fire or nothing is left. Warn: a ticket would fire, or a quarter is left. */
export function toneOf(one: Indicator): Tone {
  if (one.remaining === null) return "idle";
  const exceeded = one.windows.filter((window) => window.exceeded);
  if (one.remaining <= 0 || exceeded.some((window) => window.severity === "page")) return "bad";
  if (exceeded.length > 0 || one.remaining < 0.25) return "warn";
  return "ok";
}

const RANK: Record<Tone, number> = { bad: 0, warn: 1, ok: 2, idle: 3 };

export interface Row {
  key: string;
  objective: Objective;
  one: Indicator;
  tone: Tone;
}

/** A row for each indicator, the most urgent first. */
export function rowsOf(objectives: Objective[]): Row[] {
  const rows = objectives.flatMap((objective) =>
    objective.indicators.map((one) => ({
      key: `${objective.namespace}/${objective.name}/${one.indicator}`,
      objective,
      one,
      tone: toneOf(one),
    })),
  );
  return rows.sort((a, b) => RANK[a.tone] - RANK[b.tone] || (a.one.remaining ?? 2) - (b.one.remaining ?? 2));
}

export function promise(one: Indicator): string {
  return one.threshold_ms === null
    ? t("outlook.slo.promise.errors", { percent: percentText(one.objective) })
    : t("outlook.slo.promise.latency", {
        percent: percentText(one.objective),
        time: formatMs(one.threshold_ms),
      });
}

export function endText(end: BudgetEnd | null): string {
  if (end === null) return t("outlook.slo.end.unknown");
  if (end.days === null) return t("outlook.slo.end.never");
  if (end.days === 0) return t("outlook.slo.end.gone");
  return t("outlook.slo.end.in", { days: daysText(end.days) });
}

/** When exactly, and how sure. */
export function endDetail(end: BudgetEnd | null): string {
  if (end === null) return t("outlook.slo.end.unknown.text");
  if (end.days === null)
    return end.soonest === null
      ? t("outlook.slo.end.never.text")
      : t("outlook.slo.end.worst", { days: daysText(end.soonest) });
  if (end.days === 0) return t("outlook.slo.end.gone.text");
  const when = dateTime(end.at ?? 0).slice(0, 16);
  const [soonest, latest] = [end.soonest ?? end.days, end.latest];
  return latest === null
    ? t("outlook.slo.end.from", { when, soonest: daysText(soonest) })
    : t("outlook.slo.end.between", { when, soonest: daysText(soonest), latest: daysText(latest) });
}

/** 0.4 → "9.6 h", 12.34 → "12 d". */
export function daysText(days: number): string {
  if (days < 1) return t("unit.h", { n: formatNumber(Math.round(days * 240) / 10) });
  return t("unit.d", { n: days < 10 ? days.toFixed(1) : String(Math.round(days)) });
}

export const serviceName = (one: { service: string; namespace: string }): string =>
  one.namespace ? `${one.service}.${one.namespace}` : one.service;

export const figure = (found: Figure | null, format: (value: number) => string): string =>
  found === null ? DASH : found.value === null ? "∞" : format(found.value);

export function band(found: Figure | null, format: (value: number) => string): string {
  if (found === null) return "";
  const [low, high] = [found.low, found.high].map((one) => (one === null ? "∞" : format(one)));
  return `${low} … ${high}`;
}

export function headroomTone(headroom: number | null): Tone {
  if (headroom === null) return "idle";
  return headroom < 1 ? "bad" : headroom < 1.3 ? "warn" : "ok";
}

export const limitOf = (one: ServiceCapacity): Figure | null => one.limit ?? one.saturation;

export const rate = formatRate;

/** The answer in one or two sentences. */
export function capacityWords(found: Capacity): string {
  const [limit, days] = found.limit ? [found.limit, found.days] : [found.saturation, found.full_days];
  const what = found.limit
    ? t("outlook.capacity.words.objective", {
        quantile: `p${Number((100 * found.quantile).toFixed(2))}`,
        time: formatMs((found.latency ?? 0) * 1000),
      })
    : t("outlook.capacity.words.saturation");
  const start = t("outlook.capacity.words.hit", {
    what,
    rate: figure(limit, rate),
    band: band(limit, rate),
    peak: rate(found.peak * found.traffic),
  });
  if (days === null)
    return `${start} ${t(found.peaks ? "outlook.capacity.words.never" : "outlook.capacity.words.unknown")}`;
  if (days.value === 0) return `${start} ${t("outlook.capacity.words.already")}`;
  return `${start} ${t("outlook.capacity.words.days", {
    days: figure(days, daysText),
    band: band(days, daysText),
  })}`;
}

/** A curve's value between its points; nothing outside of them. */
export function interpolated(xs: number[], values: (number | null)[], x: number): number | null {
  const after = xs.findIndex((one) => one >= x);
  if (after < 0) return null;
  if (xs[after] === x || after === 0) return xs[after] === x ? (values[after] ?? null) : null;
  const [a, b] = [values[after - 1], values[after]];
  if (a === null || a === undefined || b === null || b === undefined) return null;
  const [from, to] = [xs[after - 1]!, xs[after]!];
  return a + ((b - a) * (x - from)) / (to - from);
}

export function labelsText(labels: Labels): string {
  const pairs = Object.entries(labels).filter(([name]) => name !== "__name__");
  return pairs.length === 0
    ? (labels.__name__ ?? t("outlook.forecast.noLabels"))
    : pairs.map(([name, value]) => `${name}=${value}`).join(", ");
}

/** The server's reason, in the reader's language where it is the usual one. */
export function refusal(reason: string): string {
  const found = /history of ([\d.]+) days is too short.*?: ([\d.]+) days/.exec(reason);
  return found ? t("outlook.forecast.tooShort", { known: found[1] ?? "", needed: found[2] ?? "" }) : reason;
}

/** The backtest's error in plain words: 1 is what repeating the day before errs by. */
export function quality(one: Forecast): string {
  const error = one.error ?? 1;
  const learnt = daysText(one.days ?? 0);
  const words =
    error < 0.95
      ? t("outlook.forecast.better", { percent: `${Math.round(100 * (1 - error))}%` })
      : error <= 1.05
        ? t("outlook.forecast.same")
        : t("outlook.forecast.worse", { percent: `${Math.round(100 * (error - 1))}%` });
  return t("outlook.forecast.quality", { days: learnt, words, error: formatNumber(error) });
}

/** Stretches of the axis in which a budget went faster than its period allows. */
export function stretches(
  times: number[],
  burn: (number | null)[],
  step: number,
): { at: number; until: number }[] {
  const found: { at: number; until: number }[] = [];
  times.forEach((time, index) => {
    if ((burn[index] ?? 0) <= 1) return;
    const last = found[found.length - 1];
    if (last && time - step <= last.until) last.until = time;
    else found.push({ at: time - step, until: time });
  });
  return found;
}
