/** The explorer's state as the URL carries it, so that a link shows the same page. */

import { type TimeRange, durationText, parseDuration, rangeParams, rangeSeconds, stepFor } from "../lib/time";

export type View = "graph" | "table" | "heatmap";

export interface Query {
  expr: string;
  hidden: boolean;
}

export interface ExplorerState {
  queries: Query[];
  view: View;
  /** Seconds; null is chosen from the range. */
  step: number | null;
  explain: boolean;
  exemplars: boolean;
}

const VIEWS: View[] = ["graph", "table", "heatmap"];

/** Reads `q` (once a query), `off` (numbers of hidden ones), `view`, `step`, `explain`, `exemplars`. */
export function readState(params: URLSearchParams): ExplorerState {
  const off = (params.get("off") ?? "").split(",");
  const view = params.get("view") as View | null;
  return {
    queries: params.getAll("q").map((expr, index) => ({ expr, hidden: off.includes(String(index)) })),
    view: view && VIEWS.includes(view) ? view : "graph",
    step: parseDuration(params.get("step") ?? ""),
    explain: params.get("explain") === "1",
    exemplars: params.get("exemplars") === "1",
  };
}

/** The query string of a state; other parameters (range, refresh) stay as they are. */
export function writeState(state: ExplorerState, before: URLSearchParams): string {
  const next = new URLSearchParams(before);
  for (const name of ["q", "off", "view", "step", "explain", "exemplars"]) next.delete(name);
  for (const query of state.queries) next.append("q", query.expr);
  const off = state.queries.flatMap((query, index) => (query.hidden ? [index] : []));
  if (off.length) next.set("off", off.join(","));
  if (state.view !== "graph") next.set("view", state.view);
  if (state.step) next.set("step", durationText(state.step));
  if (state.explain) next.set("explain", "1");
  if (state.exemplars) next.set("exemplars", "1");
  return next.toString();
}

/** A link to the explorer with these queries, over a range. */
export function explorerHref(exprs: string[], range: TimeRange | null, view: View = "graph"): string {
  const before = new URLSearchParams();
  if (range) for (const [key, value] of Object.entries(rangeParams(range))) if (value) before.set(key, value);
  const queries = exprs.map((expr) => ({ expr, hidden: false }));
  return `/explore?${writeState({ queries, view, step: null, explain: false, exemplars: false }, before)}`;
}

/** The step in force: the chosen one unless it would ask for more than 11,000 points (the API's limit). */
export function stepOf(state: ExplorerState, range: TimeRange): number {
  const seconds = rangeSeconds(range);
  const automatic = stepFor(seconds, 240);
  return state.step && seconds / state.step <= 11_000 ? state.step : automatic;
}
