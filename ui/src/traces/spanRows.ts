/** The span table's rows: spans in the order of a column. */

import type { CriticalPath } from "./criticalPath";
import { spanTitle, tagOf } from "./summary";
import type { SpanNode, Trace } from "./tree";

export const COLUMNS = [
  "service",
  "operation",
  "kind",
  "status",
  "start",
  "duration",
  "self",
  "path",
] as const;
export type SpanColumn = (typeof COLUMNS)[number];
export const NUMERIC: ReadonlySet<SpanColumn> = new Set(["start", "duration", "self", "path"]);

export function valueIn(node: SpanNode, column: SpanColumn, critical: CriticalPath): string | number {
  switch (column) {
    case "service":
      return node.service;
    case "operation":
      return spanTitle(node.span);
    case "kind":
      return String(tagOf(node.span.tags, "span.kind") ?? "");
    case "status":
      return node.error ? "error" : String(tagOf(node.span.tags, "http.status_code") ?? "");
    case "path":
      return critical.owned.get(node.span.spanID) ?? 0;
    default:
      return node[column];
  }
}

/** Indexes of the trace's spans, sorted; equal ones stay in the order of the trace. */
export function sortedRows(
  trace: Trace,
  rows: readonly number[],
  critical: CriticalPath,
  column: SpanColumn,
  descending: boolean,
): number[] {
  const values = new Map(rows.map((index) => [index, valueIn(trace.nodes[index]!, column, critical)]));
  const direction = descending ? -1 : 1;
  return [...rows].sort((a, b) => {
    const [x, y] = [values.get(a)!, values.get(b)!];
    return x < y ? -direction : x > y ? direction : a - b;
  });
}
