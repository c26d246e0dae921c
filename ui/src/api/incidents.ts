/** What is odd, as the server keeps it: incidents, their signals with what was expected, and what readers said. */

import { getJson, postJson } from "./client";
import type { Why } from "./why";

const BASE = "/api/windvane/v1/incidents";

export type Severity = "page" | "ticket";
export type Verdict = "not-an-anomaly" | "confirmed";

/** What a signal is measured over: a whole service, or a part of it that `detail` names. */
export interface Scope {
  kind: string;
  namespace: string;
  service: string;
  detail: string;
}

export interface OddSignal {
  scope: Scope;
  signal: string;
  /** Seconds since 1970, as all times here. */
  start: number;
  end: number;
  open: boolean;
  /** How many times the expected it was at its worst (below one: less than expected). */
  factor: number;
  score: number;
  expected: number | null;
  seen: number | null;
  unit: string;
}

export interface ProbableCause {
  text: string;
  service: string;
  namespace: string;
  caller: string | null;
  confidence: number;
}

export interface NearChange {
  at: number;
  kind: string;
  text: string;
}

export interface Feedback {
  verdict: Verdict;
  note: string;
  at: number;
}

export interface Incident {
  id: string;
  start: number;
  /** null while it goes on. */
  end: number | null;
  open: boolean;
  severity: Severity;
  service: string;
  namespace: string;
  title: string;
  anomalies: OddSignal[];
  cause: ProbableCause | null;
  changes: NearChange[];
  feedback: Feedback | null;
}

export interface Watching {
  since: number | null;
  last: number | null;
  services: number;
  scopes: number;
  /** Days of history that teach what is usual. */
  days: number;
  /** Share of the history read so far; null when all of it is. */
  learning: number | null;
  trouble: string | null;
}

export interface Incidents {
  start: number;
  end: number;
  watching: Watching;
  incidents: Incident[];
}

export interface IncidentSignal {
  scope: Scope;
  signal: string;
  unit: string;
  times: number[];
  seen: (number | null)[];
  expected: (number | null)[];
  low: (number | null)[];
  high: (number | null)[];
}

export interface IncidentDetails extends Incident {
  signals: IncidentSignal[];
  events: { at: number; text: string }[];
  why: Why | null;
}

export interface IncidentQuery {
  /** A duration as `6h`. */
  since?: string;
  time?: number | null;
  service?: string;
  open?: boolean;
  limit?: number;
}

export const fetchIncidents = (query: IncidentQuery, signal: AbortSignal): Promise<Incidents> =>
  getJson(BASE, { ...query }, signal);

export const fetchIncident = (id: string, signal: AbortSignal): Promise<IncidentDetails> =>
  getJson(`${BASE}/${encodeURIComponent(id)}`, {}, signal);

/** An empty verdict takes back what was said. */
export const postFeedback = (
  id: string,
  body: { verdict: Verdict | ""; note: string },
  signal: AbortSignal,
): Promise<unknown> => postJson(`${BASE}/${encodeURIComponent(id)}/feedback`, body, signal);
