/** The search form: read from and written to the URL, checked, and turned into a query. */

import type { TraceQuery } from "../api/jaeger";
import { parseLogfmt } from "../lib/logfmt";
import type { Interval } from "../lib/time";

export interface SearchForm {
  service: string;
  operation: string;
  tags: string;
  min: string;
  max: string;
  limit: number;
}

export const LIMITS = [20, 50, 100, 200, 500, 1000];

const FIELDS = ["service", "operation", "tags", "min", "max"] as const;

export function readForm(params: URLSearchParams): SearchForm {
  const text = (key: string) => params.get(key) ?? "";
  const limit = Number(params.get("limit"));
  return {
    service: text("service"),
    operation: text("operation"),
    tags: text("tags"),
    min: text("min"),
    max: text("max"),
    limit: LIMITS.includes(limit) ? limit : LIMITS[0]!,
  };
}

export function formParams(form: SearchForm): Record<string, string | null> {
  const query: Record<string, string | null> = {
    limit: form.limit === LIMITS[0] ? null : String(form.limit),
  };
  for (const field of FIELDS) query[field] = form[field].trim() || null;
  return query;
}

/** A duration as Jaeger's API takes it: a number and a unit, nothing else. */
export const isDuration = (text: string): boolean =>
  text.trim() === "" || /^\d+(\.\d+)?(ns|us|µs|ms|s|m|h)$/.test(text.trim());

export function queryOf(form: SearchForm, { from, to }: Interval): TraceQuery {
  return {
    service: form.service,
    operation: form.service ? form.operation : "",
    tags: parseLogfmt(form.tags).tags,
    minDuration: form.min.trim(),
    maxDuration: form.max.trim(),
    from,
    to,
    limit: form.limit,
  };
}
