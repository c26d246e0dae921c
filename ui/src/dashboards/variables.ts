/** Variables of a dashboard: from the URL, into PromQL, by Grafana's rules. */

import type { Variable } from "../api/dashboards";

/** "All" of a variable with several choices: any value, even none. */
export const ALL = "$__all";
export type Values = Record<string, string[]>;

/** What goes in for Grafana's own names. */
export interface Builtins {
  step: number;
  seconds: number;
}

const NAME = /\$(?:\{(\w+)(?::\w+)?\}|(\w+))/g;

/** A counter's rate needs four scrapes to survive a lost one; Grafana assumes 15 s between them. */
const SCRAPE_SECONDS = 15;
export const rateInterval = (step: number): number => Math.max(step + SCRAPE_SECONDS, 4 * SCRAPE_SECONDS);

const escapeString = (text: string): string => text.replace(/\\/g, "\\\\").replace(/"/g, '\\"');
const escapeRegex = (text: string): string =>
  text.replace(/\\/g, "\\\\\\\\").replace(/[$^*{}[\]'+?.()|]/g, "\\\\$&");

/** Puts values in: one choice escaped as a string, several as a regular expression; unknown names stay. */
export function interpolate(expr: string, variables: Variable[], values: Values, builtins: Builtins): string {
  const multi = new Set(variables.filter((one) => one.multi).map((one) => one.name));
  return expr.replace(NAME, (whole, braced: string | undefined, plain: string | undefined) => {
    const name = (braced ?? plain)!;
    if (name === "__rate_interval") return `${rateInterval(builtins.step)}s`;
    if (name === "__interval") return `${builtins.step}s`;
    if (name === "__range") return `${Math.round(builtins.seconds)}s`;
    const chosen = values[name];
    if (!chosen) return whole;
    if (!multi.has(name)) return escapeString(chosen[0] ?? "");
    if (chosen.length === 0 || chosen.includes(ALL)) return ".*";
    const escaped = chosen.map(escapeRegex);
    return escaped.length === 1 ? escaped[0]! : `(${escaped.join("|")})`;
  });
}

/** What the URL chose (`var-name=value`, once a value), else the definition's default. */
export function chosen(variables: Variable[], params: URLSearchParams): Values {
  return Object.fromEntries(
    variables.map((variable) => {
      const inUrl = params.getAll(`var-${variable.name}`).filter(Boolean);
      if (inUrl.length) return [variable.name, variable.multi ? inUrl : inUrl.slice(0, 1)];
      return [variable.name, variable.default?.length ? variable.default : variable.multi ? [ALL] : []];
    }),
  );
}

/** The choices once a variable's options are known: a single one that is not chosen yet takes the first. */
export function settle(variable: Variable, options: string[], values: string[]): string[] {
  if (variable.multi || values.length > 0) return values;
  return options.length ? [options[0]!] : [];
}

/** The query string with one variable changed; null removes it, so that the default holds again. */
export function withVariable(params: URLSearchParams, name: string, values: string[] | null): string {
  const next = new URLSearchParams(params);
  next.delete(`var-${name}`);
  for (const value of values ?? []) next.append(`var-${name}`, value);
  return next.toString();
}
