/** Releases that the server carries out; see docs/reference/releases.md. Times in seconds. */

import { getJson, postJson } from "./client";

const BASE = "/api/windvane/v1/releases";

export type Verdict = "regress" | "safe" | "more traffic needed";
export type Action = "pause" | "resume" | "promote" | "rollback" | "approve" | "restart";
export type Phase =
  | "Initialized"
  | "Waiting"
  | "Progressing"
  | "WaitingPromotion"
  | "Promoting"
  | "Paused"
  | "Succeeded"
  | "Failed"
  | "Invalid";

export interface Release {
  name: string;
  namespace: string;
  service: string;
  baseline: string;
  canary: string;
  phase: Phase;
  weight: number;
  steps: number[];
  started: number | null;
  since: number | null;
  ended: number | null;
  next_look: number | null;
  suspended: boolean;
  verdict: Verdict | null;
  reasons: string[];
  evidence: number | null;
  needed: number | null;
  minutes: number | null;
  waiting: string;
  failed: number;
  threshold: number;
  problems: string[];
  trouble: string;
  actions: Action[];
  file: string;
  line: number;
}

export interface Releases {
  /** Why this server carries out none; empty where it does. */
  off: string;
  releases: Release[];
}

export interface Finding {
  name: string;
  verdict: Verdict;
  /** E-values: evidence against "not worse", and against "not within the margin". */
  harm: number;
  safety: number;
  base: number | null;
  canary: number | null;
  unit: string;
  /** A ratio of shares, or a shift in normal scores; with its always-valid interval. */
  change: number | null;
  low: number | null;
  high: number | null;
  clump: number;
  minutes: number | null;
  text: string;
}

export interface Judged {
  start: number;
  end: number;
  findings: Finding[];
  pods: { version: string; pod: string; requests: number; errors: number }[];
  minimum: number | null;
  kayenta: { score: number; label: string; metrics: { name: string; label: string; ratio: number | null }[] };
  queries: string[];
}

export interface ReleaseEvent {
  at: number;
  phase: Phase;
  weight: number;
  text: string;
  warning: boolean;
}

export interface ReleaseDetail extends Release {
  routes: string;
  plan: {
    interval: number;
    hold: number;
    deadline: number;
    confirm: boolean;
    alpha: number;
    tolerated: number;
    margin: number;
    acceptable: number;
  } | null;
  strategy: "steps" | "match" | "blue-green" | "";
  iteration: number;
  iterations: number;
  mirror: number;
  notes: string[];
  checks: { name: string; passed: boolean | null; text: string; value: number | null }[];
  events: ReleaseEvent[];
  judged: Judged | null;
  judged_at: number | null;
  evidence_over_time: { at: number; evidence: number }[];
  now: number;
}

const place = (one: { namespace: string; name: string }): string =>
  `${BASE}/${encodeURIComponent(one.namespace)}/${encodeURIComponent(one.name)}`;

export const fetchReleases = (signal: AbortSignal): Promise<Releases> => getJson(BASE, {}, signal);

export const fetchRelease = (
  one: { namespace: string; name: string },
  signal: AbortSignal,
): Promise<ReleaseDetail> => getJson(place(one), {}, signal);

export const postAction = (
  one: { namespace: string; name: string },
  action: Action,
): Promise<ReleaseDetail> => postJson(`${place(one)}/${action}`, {}, new AbortController().signal);
