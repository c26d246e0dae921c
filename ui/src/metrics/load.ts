/** Asks the explorer's queries side by side; one that fails does not take the others along. */

import { type Answer, ask, type Exemplar, exemplars } from "../api/prometheus";
import { resolve, type TimeRange } from "../lib/time";
import { type ExplorerState, stepOf } from "./state";
import { grid } from "./series";

export interface Result {
  expr: string;
  answer: Answer | null;
  error: Error | null;
}

export interface Loaded {
  from: number;
  to: number;
  step: number;
  times: number[];
  /** One a query, in order; null for a hidden or empty one. */
  results: (Result | null)[];
  exemplars: Exemplar[];
}

export async function loadQueries(
  state: ExplorerState,
  range: TimeRange,
  signal: AbortSignal,
): Promise<Loaded> {
  const { from, to } = resolve(range, Date.now() / 1000);
  const step = stepOf(state, range);
  const instant = state.view === "table";
  const one = async (expr: string): Promise<Result> => {
    try {
      const asked = { query: expr, from, to, explain: state.explain, ...(instant ? {} : { step }) };
      return { expr, answer: await ask(asked, signal), error: null };
    } catch (error) {
      if (signal.aborted) throw error;
      return { expr, answer: null, error: error as Error };
    }
  };
  const shown = state.queries.map(({ expr, hidden }) => (hidden || !expr.trim() ? null : expr));
  const wanted = state.exemplars && state.view === "graph" ? shown.filter((expr) => expr !== null) : [];
  const [results, dots] = await Promise.all([
    Promise.all(shown.map((expr) => (expr === null ? null : one(expr)))),
    // Exemplars decorate: a server that has none for a query, or refuses it, is no reason to show nothing.
    Promise.all(wanted.map((expr) => exemplars(expr, from, to, signal).catch(() => []))),
  ]);
  return { from, to, step, times: grid(from, to, step), results, exemplars: dots.flat() };
}

/** How many samples an answer holds. */
export function pointCount(answer: Answer): number {
  if (answer.type !== "matrix") return answer.samples.length;
  return answer.series.reduce((sum, one) => sum + one.times.length + (one.histograms?.length ?? 0), 0);
}
