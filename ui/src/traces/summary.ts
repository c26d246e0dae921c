/** A trace in one line: for lists and the scatter plot. */

import type { KeyValue, RawSpan, RawTrace } from "../api/jaeger";
import type { FoundTrace, SpanMatch } from "../api/traces";

export interface TraceSummary {
  id: string;
  service: string;
  operation: string;
  /** Microseconds since 1970, and microseconds. */
  start: number;
  duration: number;
  spans: number;
  errors: number;
  /** Services with how many spans each has, greatest first. */
  services: { name: string; spans: number; errors: number }[];
  /** Of a search: how many spans satisfied the query, and the earliest of them. */
  matched?: number;
  matches?: SpanMatch[];
}

/** A trace as the search tells it. */
export function ofFound(trace: FoundTrace): TraceSummary {
  return {
    id: trace.trace_id,
    service: trace.root_service,
    operation: shortOperation(trace.root_name),
    start: isoMicros(trace.start),
    duration: trace.duration_ms * 1000,
    spans: trace.spans,
    errors: trace.errors,
    services: [...trace.services].sort((a, b) => b.spans - a.spans || a.name.localeCompare(b.name)),
    matched: trace.matched,
    matches: trace.matches,
  };
}

/** An ISO 8601 time as microseconds since 1970; digits behind the milliseconds are kept. */
export function isoMicros(text: string): number {
  const fraction = /\.(\d+)/.exec(text)?.[1] ?? "";
  return Date.parse(text.replace(/\.\d+/, "")) * 1000 + Number(`0.${fraction || 0}`) * 1e6;
}

export function summarize(trace: RawTrace): TraceSummary {
  const present = new Set(trace.spans.map((span) => span.spanID));
  const roots = trace.spans.filter((span) => !parentOf(span) || !present.has(parentOf(span)!));
  const first = (roots.length ? roots : trace.spans).reduce<RawSpan | null>(
    (best, span) => (!best || span.startTime < best.startTime ? span : best),
    null,
  );
  const start = trace.spans.reduce((least, span) => Math.min(least, span.startTime), Infinity);
  const end = trace.spans.reduce((most, span) => Math.max(most, span.startTime + span.duration), -Infinity);
  const services = new Map<string, { name: string; spans: number; errors: number }>();
  let errors = 0;
  for (const span of trace.spans) {
    const name = trace.processes[span.processID]?.serviceName ?? "";
    const one = services.get(name) ?? { name, spans: 0, errors: 0 };
    one.spans += 1;
    if (isErrorSpan(span)) {
      one.errors += 1;
      errors += 1;
    }
    services.set(name, one);
  }
  return {
    id: trace.traceID,
    service: first ? (trace.processes[first.processID]?.serviceName ?? "") : "",
    operation: first ? spanTitle(first) : "",
    start,
    duration: end - start,
    spans: trace.spans.length,
    errors,
    services: [...services.values()].sort((a, b) => b.spans - a.spans || a.name.localeCompare(b.name)),
  };
}

/** The id of the span this one is a child of; null for a root. */
export function parentOf(span: RawSpan): string | null {
  const references = (span.references ?? []).filter((reference) => reference.traceID === span.traceID);
  const parent = references.find((reference) => reference.refType === "CHILD_OF") ?? references[0];
  return parent && parent.spanID !== span.spanID ? parent.spanID : null;
}

/** What a span did: method and path of a proxy's span, else its operation, without the cluster's domain. */
export function spanTitle(span: RawSpan): string {
  const [method, url] = [tagOf(span.tags, "http.method"), tagOf(span.tags, "http.url")];
  const path = typeof url === "string" ? /^\w+:\/\/[^/]+(\/[^?#]*)/.exec(url)?.[1] : undefined;
  if (method && path) return `${method} ${path}`;
  return shortOperation(span.operationName);
}

/** An operation's name without the cluster's domain. */
export const shortOperation = (name: string): string => name.replace(/\.svc\.cluster\.local(?![\w.-])/, "");

export const tagOf = (tags: KeyValue[] | undefined, key: string): KeyValue["value"] | undefined =>
  tags?.find((tag) => tag.key === key)?.value;

export function isErrorSpan(span: RawSpan): boolean {
  const error = tagOf(span.tags, "error");
  return error === true || error === "true" || tagOf(span.tags, "otel.status_code") === "ERROR";
}
