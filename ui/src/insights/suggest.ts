/** Which services are worth asking about: those of open incidents, then the least healthy. */

import type { Incident } from "../api/incidents";
import type { Health, ServiceRow } from "../api/own";
import { fullName, ordered, servicesOf } from "./model";

export interface Suggestion {
  name: string;
  tone: "ok" | "warn" | "bad" | "idle";
  /** The id of an open incident that it takes part in. */
  incident: string | null;
}

const TONES: Record<Health, Suggestion["tone"]> = {
  Failure: "bad",
  Degraded: "warn",
  Healthy: "ok",
  NA: "idle",
};
const ORDER: Suggestion["tone"][] = ["bad", "warn", "ok", "idle"];

export function suggestions(rows: readonly ServiceRow[], open: readonly Incident[]) {
  const incidents = new Map<string, string>();
  for (const one of ordered(open))
    for (const name of servicesOf(one)) if (!incidents.has(name)) incidents.set(name, one.id);
  const all = rows.map((row): Suggestion => {
    const name = fullName({ service: row.name, namespace: row.namespace });
    return { name, tone: TONES[row.health], incident: incidents.get(name) ?? null };
  });
  const rank = (one: Suggestion) => ORDER.indexOf(one.tone) - (one.incident ? ORDER.length : 0);
  const sorted = all.sort((a, b) => rank(a) - rank(b) || a.name.localeCompare(b.name));
  const urgent = (one: Suggestion) => one.incident !== null || one.tone === "bad" || one.tone === "warn";
  return { first: sorted.filter(urgent), others: sorted.filter((one) => !urgent(one)) };
}
