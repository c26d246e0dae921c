/** What the page of releases derives from their JSON. */

import type { Action, Finding, Phase, Release, ReleaseDetail } from "../api/releases";
import type { Columns } from "../lib/signals";

export type Tone = "ok" | "warn" | "bad" | "idle" | "accent";

export const PHASE_TONES: Record<Phase, Tone> = {
  Initialized: "idle",
  Waiting: "warn",
  Progressing: "accent",
  WaitingPromotion: "warn",
  Promoting: "accent",
  Paused: "warn",
  Succeeded: "ok",
  Failed: "bad",
  Invalid: "bad",
};

/** Actions that give all traffic to one version: they are asked for twice, in the tone of what they do. */
export const ACTION_TONES: Record<Action, "plain" | "primary" | "danger"> = {
  pause: "plain",
  resume: "primary",
  approve: "primary",
  promote: "plain",
  rollback: "danger",
  restart: "plain",
};

export const keyOf = (one: { namespace: string; name: string }): string => `${one.namespace}/${one.name}`;

/** The release that a URL names, else the first. */
export function chosenOf(releases: readonly Release[], asked: string | null): Release | undefined {
  return releases.find((one) => keyOf(one) === asked) ?? releases[0];
}

export interface Rung {
  weight: number;
  state: "done" | "here" | "ahead" | "failed";
}

/** The steps of a release to 100 %, and how far it came; where it was rolled back the step it failed at is told. */
export function ladder(one: Release, events: readonly { weight: number }[]): Rung[] {
  const reached = Math.max(0, one.phase === "Failed" ? 0 : one.weight, ...events.map((each) => each.weight));
  const steps = [...new Set([...one.steps, 100])].sort((a, b) => a - b);
  const at = steps.filter((step) => step <= reached).pop();
  return steps.map((weight) => {
    if (weight > reached) return { weight, state: "ahead" };
    if (weight !== at) return { weight, state: "done" };
    if (one.phase === "Failed") return { weight, state: "failed" };
    return { weight, state: one.phase === "Succeeded" ? "done" : "here" };
  });
}

/** Weights over time as a chart draws steps: the former weight until just before each change. */
export function weightColumns(detail: ReleaseDetail): Columns {
  const times: number[] = [];
  const values: (number | null)[] = [];
  let weight = 0;
  for (const event of detail.events) {
    if (times.length > 0 && event.weight === weight) continue;
    const at = Math.max(event.at, (times[times.length - 1] ?? 0) + 0.002);
    times.push(at - 0.001, at);
    values.push(weight, event.weight);
    weight = event.weight;
  }
  const end = detail.ended === null ? detail.now : Math.min(detail.now, detail.ended + 60);
  if (times.length > 0 && end > times[times.length - 1]!) {
    times.push(end);
    values.push(weight);
  }
  return { times, lines: [{ name: "weight", values }] };
}

/** Charts begin at nought: evidence of a tenth is there, and what is less is not told apart. */
const LOWEST = 0.1;

/** Evidence as powers of ten above a tenth, beside what proves harm. */
export function evidenceColumns(detail: ReleaseDetail): Columns {
  const points = detail.evidence_over_time;
  const power = (evidence: number) => Math.log10(Math.max(evidence, LOWEST) / LOWEST);
  const bound = power(detail.needed ?? 20);
  return {
    times: points.map((one) => one.at),
    lines: [
      { name: "evidence", values: points.map((one) => power(one.evidence)) },
      { name: "needed", values: points.map(() => bound) },
    ],
  };
}

/** Where evidence lies between none (1/bound) and proven (bound), from 0 to 1, by its logarithm. */
export function gaugeShare(evidence: number, needed: number): number {
  if (!(evidence > 0) || !(needed > 1)) return 0;
  return Math.min(1, Math.max(0, (Math.log(evidence) / Math.log(needed) + 1) / 2));
}

export const powerText = (power: number): string => evidenceText(LOWEST * 10 ** power);

/** 0.034 → "0.034", 17.2 → "17", 123456 → "1.2e5". */
export function evidenceText(value: number): string {
  if (value >= 1e4) return value.toExponential(1).replace("e+", "e");
  return value >= 10 ? value.toFixed(0) : Number(value.toPrecision(2)).toString();
}

/** The ends of an interval on a shared scale from 0 to 1; the middle (0.5) is "no change". Open ends reach the edge. */
export interface Span {
  low: number;
  high: number;
  at: number;
}

/** Ratios from a fourth to four times, by logarithm; shifts from -0.6 to 0.6. */
export function spanOf(one: Finding): Span | null {
  if (one.change === null) return null;
  const ratio = one.unit === "share";
  const place = (value: number) =>
    Math.min(1, Math.max(0, 0.5 + (ratio ? Math.log(Math.max(value, 1e-9)) / Math.log(16) : value / 1.2)));
  return {
    low: one.low === null ? 0 : place(one.low),
    high: one.high === null ? 1 : place(one.high),
    at: place(one.change),
  };
}
