/** Spans of a trace in groups: by service, operation or any attribute. */

import type { CriticalPath } from "./criticalPath";
import { spanTitle } from "./summary";
import type { SpanNode, Trace } from "./tree";

export interface Group {
  name: string;
  spans: number;
  errors: number;
  /** Microseconds; `total` adds up durations, which overlap, `self` adds up to the trace's work. */
  total: number;
  self: number;
  path: number;
  p50: number;
  p95: number;
  most: number;
}

export const BY_SERVICE = "service";
export const BY_OPERATION = "operation";

/** Names of attributes that spans of the trace have, the most frequent first. */
export function attributeNames(trace: Trace, most: number): string[] {
  const counts = new Map<string, number>();
  for (const { span, processTags } of trace.nodes) {
    for (const { key } of [...(span.tags ?? []), ...processTags]) counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts]
    .sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]))
    .slice(0, most)
    .map(([key]) => key);
}

/** `by` is BY_SERVICE, BY_OPERATION or an attribute's name; spans without the attribute are in the group "". */
export function groupSpans(trace: Trace, by: string, critical: CriticalPath): Group[] {
  const members = new Map<string, SpanNode[]>();
  for (const node of trace.nodes) {
    const name = nameBy(node, by);
    const list = members.get(name);
    if (list) list.push(node);
    else members.set(name, [node]);
  }
  return [...members].map(([name, nodes]) => group(name, nodes, critical));
}

function nameBy({ span, service, processTags }: SpanNode, by: string): string {
  if (by === BY_SERVICE) return service;
  if (by === BY_OPERATION) return `${service} ${spanTitle(span)}`;
  const tag = (span.tags ?? []).find((one) => one.key === by) ?? processTags.find((one) => one.key === by);
  return tag ? String(tag.value) : "";
}

function group(name: string, nodes: SpanNode[], critical: CriticalPath): Group {
  const durations = nodes.map((node) => node.duration).sort((a, b) => a - b);
  const sum = (read: (node: SpanNode) => number) => nodes.reduce((total, node) => total + read(node), 0);
  return {
    name,
    spans: nodes.length,
    errors: sum((node) => Number(node.error)),
    total: sum((node) => node.duration),
    self: sum((node) => node.self),
    path: sum((node) => critical.owned.get(node.span.spanID) ?? 0),
    p50: ranked(durations, 0.5),
    p95: ranked(durations, 0.95),
    most: durations[durations.length - 1]!,
  };
}

/** The nearest-rank quantile of sorted values. */
export const ranked = (sorted: readonly number[], quantile: number): number =>
  sorted[Math.max(0, Math.ceil(quantile * sorted.length) - 1)]!;
