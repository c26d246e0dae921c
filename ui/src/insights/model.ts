/** What the incident pages derive from the routes' JSON: order, filters, words for figures, links for claims. */

import type { Incident, IncidentDetails, NearChange, OddSignal, Scope } from "../api/incidents";
import type { Ref } from "../api/why";
import { formatMs, formatNumber, formatRatio } from "../lib/format";
import { durationText, type Interval, rangeParams } from "../lib/time";

/** `name.namespace`, as traces, logs and the routes name a service. */
export const fullName = (one: { service: string; namespace: string }): string =>
  one.namespace ? `${one.service}.${one.namespace}` : one.service;

/** Names hold no dot in Kubernetes, so the first one ends the service's. */
export function readFullName(text: string): { service: string; namespace: string } {
  const dot = text.indexOf(".");
  return dot < 0
    ? { service: text, namespace: "" }
    : { service: text.slice(0, dot), namespace: text.slice(dot + 1) };
}

/** Those that go on first, the worse before the lesser; then the latest. */
export function ordered(incidents: readonly Incident[]): Incident[] {
  const rank = (one: Incident) => (one.open ? (one.severity === "page" ? 0 : 1) : 2);
  return [...incidents].sort((a, b) => rank(a) - rank(b) || b.start - a.start || a.id.localeCompare(b.id));
}

export interface Filter {
  state: "all" | "open" | "ended";
  /** `name.namespace`, or empty for all. */
  service: string;
  namespace: string;
}

/** A service takes part in an incident that it leads or is odd in. */
export function filtered(incidents: readonly Incident[], filter: Filter): Incident[] {
  return incidents.filter((one) => {
    if (filter.state !== "all" && one.open !== (filter.state === "open")) return false;
    const services = servicesOf(one);
    if (filter.service && !services.includes(filter.service)) return false;
    return (
      !filter.namespace || services.some((service) => readFullName(service).namespace === filter.namespace)
    );
  });
}

/** What names an incident's place. */
export type Placed = Pick<Incident, "service" | "namespace" | "anomalies">;

/** Full names of the services involved, the leading one first; of an odd call both ends. */
export const servicesOf = (one: Placed): string[] => [
  ...new Set([fullName(one), ...one.anomalies.flatMap(({ scope }) => [fullName(scope), ...callerOf(scope)])]),
];

/** Whether a version of a service takes part: all do, unless only some versions of it are odd. */
export function concerns(one: Incident, service: string, version: string): boolean {
  const versions = one.anomalies
    .filter(({ scope }) => scope.kind === "version" && fullName(scope) === service)
    .map(({ scope }) => scope.detail);
  return !version || versions.length === 0 || versions.includes(version);
}

/** Who calls, where a call is what was watched. */
export const callerOf = (scope: Scope): string[] =>
  scope.kind === "edge" && scope.detail ? [scope.detail] : [];

/** Signals that are odd, in the order in which they became so. */
export const signalsOf = (one: Incident): string[] => [
  ...new Set([...one.anomalies].sort((a, b) => a.start - b.start).map((odd) => odd.signal)),
];

/** The anomaly that an incident is named after: where it seems to begin. */
export const leadingAnomaly = (one: Incident): OddSignal | null => one.anomalies[0] ?? null;

/** How far from the expected: `× 3.2`, or per cent where less than expected was seen. */
export function factorText(factor: number): string {
  if (!Number.isFinite(factor)) return "";
  return factor >= 1 ? `× ${formatNumber(factor)}` : `−${formatRatio(1 - factor, 0)}`;
}

/** A value of a signal in its unit, as titles of incidents tell it. */
export function signalValue(value: number | null, unit: string): string {
  if (value === null) return "–";
  if (unit === "ms") return formatMs(value);
  if (unit === "share") return formatRatio(value, 2);
  return unit.startsWith("/") ? `${formatNumber(value)}${unit}` : `${formatNumber(value)} ${unit}`.trim();
}

/** What a chart of the incident shows: an hour before it at most, and some minutes after. */
export function around(one: Pick<Incident, "start" | "end">, now: number): Interval {
  const end = one.end ?? now;
  const margin = Math.min(3600, Math.max(600, (end - one.start) / 2));
  return { from: Math.floor(one.start - margin), to: Math.ceil(Math.min(now, end + margin)) };
}

/** The query parameters of a link to another page at the incident's time. */
export const aroundParams = (one: Pick<Incident, "start" | "end">, now: number) =>
  rangeParams({ kind: "absolute", ...around(one, now) });

/** Which moment to ask "why" at: while it was bad. The question looks at the ten minutes before. */
export const whyTime = (one: Pick<Incident, "start" | "end">): number | null =>
  one.end === null ? null : Math.round(Math.min(one.end, one.start + 600));

export interface Moment {
  at: number;
  kind: "change" | "event";
  text: string;
  ref: Ref | null;
}

/** All that happened, in order; a change told twice (by the incident and by the answer) is told once. */
export function timeline(one: IncidentDetails): Moment[] {
  const changes = new Map<string, Moment>();
  const told: (NearChange & { ref?: Ref | null })[] = [...(one.why?.changes ?? []), ...one.changes];
  for (const { at, text, ref = null } of told) {
    const key = `${Math.round(at)} ${text}`;
    if (!changes.has(key)) changes.set(key, { at, kind: "change", text, ref });
  }
  const events = one.events.map(({ at, text }): Moment => ({ at, kind: "event", text, ref: null }));
  return [...changes.values(), ...events].sort((a, b) => a.at - b.at);
}

/** `6h` for the routes' `since`, never longer than they allow. */
export const sinceText = (seconds: number): string =>
  durationText(Math.max(60, Math.round(Math.min(seconds, MOST_SINCE) / 60) * 60));

/** Seconds that the incidents' route looks back at most. */
const MOST_SINCE = 400 * 86_400;
