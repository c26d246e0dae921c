/** Which two sets of traces are told apart. */

import type { Choice, CohortsQuestion } from "../api/analysis";
import { withTerm, writeKey, writeValue } from "../traces/querySyntax";

export const MODES = ["failed", "slow", "before", "values", "queries"] as const;
export type Mode = (typeof MODES)[number];

export interface CohortState {
  mode: Mode;
  /** values: an attribute and the two values of it. */
  field: string;
  a: string;
  b: string;
  /** queries: the two queries. */
  qa: string;
  qb: string;
}

export function readCohorts(params: URLSearchParams): CohortState {
  const text = (name: string) => params.get(name) ?? "";
  return {
    mode: MODES.find((mode) => mode === params.get("by")) ?? "failed",
    field: text("field"),
    a: text("va"),
    b: text("vb"),
    qa: text("qa"),
    qb: text("qb"),
  };
}

export function cohortParams(change: Partial<CohortState>): Record<string, string | null> {
  const names = { mode: "by", field: "field", a: "va", b: "vb", qa: "qa", qb: "qb" } as const;
  return Object.fromEntries(
    Object.entries(change).map(([key, value]) => [names[key as keyof CohortState], value || null]),
  );
}

/** How many of the slowest traces are set against the others. */
const SLOWEST = 100;

/** The question; null where something must be chosen first. */
export function questionOf(state: CohortState, { q, start, end, limit }: Choice): CohortsQuestion | null {
  const all = { q, start, end, ...(limit ? { limit } : {}) };
  switch (state.mode) {
    case "failed":
      return { selection: { ...all, q: withTerm(q, "status", ":error") }, baseline: all };
    case "slow":
      return { selection: { ...all, sort: "slowest", limit: SLOWEST }, baseline: all };
    case "before":
      return { selection: all, baseline: { ...all, start: start - (end - start), end: start } };
    case "values": {
      if (!state.field || !state.a || !state.b || state.a === state.b) return null;
      const key = writeKey(state.field, "");
      const having = (value: string) => withTerm(q, key, `:${writeValue(value)}`);
      return { selection: { ...all, q: having(state.a) }, baseline: { ...all, q: having(state.b) } };
    }
    case "queries":
      if (state.qa.trim() === state.qb.trim()) return null;
      return { selection: { ...all, q: state.qa }, baseline: { ...all, q: state.qb } };
  }
}

/** A corrected p-value as people read it. */
export function pText(p: number): string {
  if (p >= 0.001) return p.toFixed(3);
  if (p < 1e-99) return "< 1e-99";
  return p.toExponential(0).replace("e-", "e−");
}
