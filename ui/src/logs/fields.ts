/** A line's fields in reading order, and the condition of a query that each stands for. */

import type { LogLine } from "../api/logs";
import { withCondition, withTerm, writeKey, writeValue } from "../traces/querySyntax";

export interface LineField {
  name: string;
  value: string;
  /** The condition that finds lines with this value; "" where there is none. */
  condition: string;
}

export interface FieldGroup {
  name: "line" | "entry" | "request" | "response" | "trailer" | "attributes" | "resource";
  fields: LineField[];
}

/** Columns of an entry that are told as a line's own, or that a query cannot name. */
const LEFT_OUT = new Set(["timestamp", "kind", "intermediate", "trace_id", "request_id"]);
const UNASKED = new Set(["received"]);
const HEADERS = {
  request_headers: "request",
  response_headers: "response",
  response_trailers: "trailer",
} as const;

export function fieldGroups(line: LogLine): FieldGroup[] {
  const groups: FieldGroup[] = [{ name: "line", fields: ownFields(line) }];
  if (line.entry) groups.push({ name: "entry", fields: entryFields(line.entry) });
  for (const [column, name] of Object.entries(HEADERS)) {
    const headers = line.entry?.[column];
    if (headers && typeof headers === "object") groups.push({ name, fields: pairs(headers, "") });
  }
  groups.push({ name: "attributes", fields: pairs(line.attributes, line.kind === "log" ? "log" : "") });
  groups.push({ name: "resource", fields: pairs(line.resource, "resource") });
  return groups.filter((group) => group.fields.length > 0);
}

function ownFields(line: LogLine): LineField[] {
  const fields = [
    { name: "body", value: line.body, condition: equals("body", line.body) },
    {
      name: "severity",
      value: line.severity_text || line.severity,
      condition: equals("severity", line.severity),
    },
    { name: "service", value: line.service, condition: equals("service", line.service) },
    { name: "kind", value: line.kind, condition: equals("kind", line.kind) },
    { name: "trace_id", value: line.trace_id, condition: equals("trace_id", line.trace_id) },
    { name: "span_id", value: line.span_id, condition: equals("span_id", line.span_id) },
    {
      name: "request_id",
      value: line.request_id,
      condition: line.entry ? equals("request_id", line.request_id) : line.request_id,
    },
    { name: "event.name", value: line.event, condition: equals("event.name", line.event) },
    { name: "scope.name", value: line.scope, condition: equals("scope.name", line.scope) },
  ];
  return fields.filter((field) => field.value !== "");
}

function entryFields(entry: NonNullable<LogLine["entry"]>): LineField[] {
  return Object.entries(entry).flatMap(([name, value]) => {
    if (LEFT_OUT.has(name) || value === null || typeof value === "object" || value === "") return [];
    if (name === "duration_ns") return [durationField("duration", Number(value) / 1e6)];
    if (name === "upstream_service_time_ms") return [durationField("upstream_service_time", Number(value))];
    const text = String(value);
    if (name.endsWith("_messages") && text === "0") return []; // of gRPC only
    return [{ name, value: text, condition: UNASKED.has(name) ? "" : equals(name, text) }];
  });
}

/** Lines that took as long or longer: no two take the same time. */
function durationField(name: string, ms: number): LineField {
  const value = `${Number(ms.toPrecision(3))}ms`;
  return { name, value, condition: `${name}>=${value}` };
}

const pairs = (values: Record<string, string>, scope: string): LineField[] =>
  Object.entries(values)
    .sort(([a], [b]) => a.localeCompare(b))
    .map(([name, value]) => ({ name, value, condition: `${writeKey(name, scope)}:${writeValue(value)}` }));

const equals = (name: string, value: string): string => (value ? `${name}:${writeValue(value)}` : "");

/** The query narrowed to lines that meet a condition, or to those that do not. */
export const narrowed = (q: string, condition: string, exclude: boolean): string =>
  withCondition(q, exclude ? `-${condition}` : condition);

/** The query and one bar of the histogram: a severity, a class of status, a service, a kind of line. */
export function withSeries(q: string, by: string, name: string): string {
  if (by === "status") return withTerm(q, "status", name ? `:${name[0]}??` : ":0");
  if (name === "*") return q;
  return name ? withTerm(q, by, `:${writeValue(name)}`) : withCondition(withTerm(q, by, ""), `-${by}:*`);
}
