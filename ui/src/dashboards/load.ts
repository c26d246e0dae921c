/** Asks a panel's queries: all at once as far as the page's pool allows. */

import type { Dashboard, Panel, Variable } from "../api/dashboards";
import { type Answer, ask, labelValues } from "../api/prometheus";
import { grid } from "../metrics/series";
import { resolve, stepFor, type TimeRange, rangeSeconds } from "../lib/time";
import type { Pool } from "./pool";
import { type Builtins, chosen, interpolate, settle, type Values } from "./variables";

export interface PanelData {
  times: number[];
  step: number;
  answers: (Answer | null)[];
  /** The first failure; the other targets are still shown. */
  error: Error | null;
}

/** The step for a width in pixels: a point each four pixels is as fine as a line can show. */
export const panelStep = (range: TimeRange, width: number): number =>
  stepFor(rangeSeconds(range), Math.max(60, Math.min(400, width / 4)));

export function panelQueries(
  panel: Panel,
  variables: Variable[],
  values: Values,
  builtins: Builtins,
): string[] {
  return panel.targets.map((target) => interpolate(target.expr, variables, values, builtins));
}

export async function loadPanel(
  panel: Panel,
  queries: string[],
  range: TimeRange,
  step: number,
  requests: Pool,
  signal: AbortSignal,
): Promise<PanelData> {
  const { from, to } = resolve(range, Date.now() / 1000);
  let error: Error | null = null;
  const answers = await Promise.all(
    queries.map((query, index) =>
      requests
        .run(
          () => ask({ query, from, to, ...(panel.targets[index]!.instant ? {} : { step }) }, signal),
          signal,
        )
        .catch((failure: Error) => {
          if (signal.aborted) throw failure;
          error ??= failure;
          return null;
        }),
    ),
  );
  return { times: grid(from, to, step), step, answers, error };
}

export interface Settled {
  options: Record<string, string[]>;
  values: Values;
}

/** Options of every variable, in order, for one may depend on those before it; then what is chosen. */
export async function loadVariables(
  dashboard: Dashboard,
  params: URLSearchParams,
  range: TimeRange,
  requests: Pool,
  signal: AbortSignal,
): Promise<Settled> {
  const { from, to } = resolve(range, Date.now() / 1000);
  const values = chosen(dashboard.variables, params);
  const options: Record<string, string[]> = {};
  const builtins = { step: 15, seconds: to - from };
  for (const variable of dashboard.variables) {
    const found =
      variable.kind === "custom"
        ? (variable.options ?? [])
        : await requests.run(
            () =>
              labelValues(
                variable.label!,
                interpolate(variable.selector!, dashboard.variables, values, builtins),
                from,
                to,
                signal,
              ),
            signal,
          );
    options[variable.name] = found.filter(Boolean).sort((a, b) => a.localeCompare(b));
    values[variable.name] = settle(variable, options[variable.name]!, values[variable.name] ?? []);
  }
  return { options, values };
}
