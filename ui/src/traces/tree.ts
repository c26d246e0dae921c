/** A trace as a tree in the order it is read: parents before children, children by start. */

import type { KeyValue, RawSpan, RawTrace } from "../api/jaeger";
import { isErrorSpan, parentOf, tagOf } from "./summary";

export interface SpanNode {
  span: RawSpan;
  service: string;
  depth: number;
  /** Index of the parent in `Trace.nodes`; -1 for a root. */
  parent: number;
  children: number[];
  /** How many spans are below it, at any depth. */
  below: number;
  /** Microseconds since the trace's start. */
  start: number;
  duration: number;
  /** Microseconds in which none of its children ran. */
  self: number;
  error: boolean;
  /** An error somewhere below: shown when the branch is collapsed. */
  errorBelow: boolean;
  /** It failed, and no failed span below explains why: the failure began here. */
  errorRoot: boolean;
  /** It names a parent that the trace does not have. */
  orphan: boolean;
  processTags: KeyValue[];
}

export interface Trace {
  id: string;
  nodes: SpanNode[];
  /** Where each span's id is in `nodes`. */
  index: ReadonlyMap<string, number>;
  roots: number;
  /** Microseconds since 1970, and microseconds. */
  start: number;
  duration: number;
  depth: number;
  errors: number;
  services: { name: string; spans: number }[];
  warnings: string[];
}

export function buildTrace(raw: RawTrace): Trace {
  const start = raw.spans.length ? Math.min(...minMax(raw.spans, (span) => span.startTime)) : 0;
  const byId = new Map(raw.spans.map((span) => [span.spanID, span]));
  const children = new Map<string, RawSpan[]>();
  const roots: RawSpan[] = [];
  for (const span of raw.spans) {
    const parent = parentOf(span);
    if (!parent || !byId.has(parent)) roots.push(span);
    else if (children.has(parent)) children.get(parent)!.push(span);
    else children.set(parent, [span]);
  }
  for (const list of children.values()) list.sort(byStart);
  const nodes = walk(raw, roots.sort(byStart), children, start);
  summarizeBelow(nodes);
  const end = nodes.reduce((latest, node) => Math.max(latest, node.start + node.duration), 0);
  const counts = new Map<string, number>();
  for (const node of nodes) counts.set(node.service, (counts.get(node.service) ?? 0) + 1);
  return {
    id: raw.traceID,
    nodes,
    index: new Map(nodes.map((node, index) => [node.span.spanID, index])),
    roots: nodes.filter((node) => node.parent < 0).length,
    start,
    duration: end,
    depth: nodes.reduce((deepest, node) => Math.max(deepest, node.depth + 1), 0),
    errors: nodes.filter((node) => node.error).length,
    services: [...counts].map(([name, spans]) => ({ name, spans })).sort((a, b) => b.spans - a.spans),
    warnings: raw.warnings ?? [],
  };
}

const byStart = (a: RawSpan, b: RawSpan): number => a.startTime - b.startTime || b.duration - a.duration;

/** Smallest and greatest without spreading a long list into arguments. */
function minMax<T>(items: T[], read: (item: T) => number): [number, number] {
  return items.reduce<[number, number]>(
    ([low, high], item) => [Math.min(low, read(item)), Math.max(high, read(item))],
    [Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY],
  );
}

/** Depth first without recursion: traces can be thousands of spans deep. A span seen twice is kept once. */
function walk(raw: RawTrace, roots: RawSpan[], children: Map<string, RawSpan[]>, start: number): SpanNode[] {
  const nodes: SpanNode[] = [];
  const seen = new Set<string>();
  const open = roots.map((span) => ({ span, parent: -1 })).reverse();
  // Spans in a cycle hang from no root: the first of each cycle is taken as one.
  const rest = [...raw.spans].sort(byStart).reverse();
  for (let next = open.pop() ?? unseen(rest, seen); next; next = open.pop() ?? unseen(rest, seen)) {
    const { span, parent } = next;
    if (seen.has(span.spanID)) continue;
    seen.add(span.spanID);
    const index = nodes.length;
    nodes.push(nodeOf(raw, span, parent, parent < 0 ? 0 : nodes[parent]!.depth + 1, start));
    nodes[parent]?.children.push(index);
    const list = children.get(span.spanID) ?? [];
    for (let i = list.length - 1; i >= 0; i -= 1) open.push({ span: list[i]!, parent: index });
  }
  return nodes;
}

/** The next span, latest last, that was not reached yet. */
function unseen(rest: RawSpan[], seen: Set<string>): { span: RawSpan; parent: number } | undefined {
  while (rest.length) {
    const span = rest.pop()!;
    if (!seen.has(span.spanID)) return { span, parent: -1 };
  }
  return undefined;
}

function nodeOf(raw: RawTrace, span: RawSpan, parent: number, depth: number, start: number): SpanNode {
  const process = raw.processes[span.processID];
  return {
    span,
    service: process?.serviceName ?? "",
    depth,
    parent,
    children: [],
    below: 0,
    start: span.startTime - start,
    duration: span.duration,
    self: span.duration,
    error: isErrorSpan(span),
    errorBelow: false,
    errorRoot: false,
    orphan: parent < 0 && parentOf(span) !== null,
    processTags: process?.tags ?? [],
  };
}

/** Children come after their parent, so one pass from the end adds everything up. */
function summarizeBelow(nodes: SpanNode[]): void {
  // A failure is explained by a failed child, also through spans that say nothing; status Ok means handled.
  const explained = new Set<SpanNode>();
  for (let index = nodes.length - 1; index >= 0; index -= 1) {
    const node = nodes[index]!;
    node.self = selfTime(
      node,
      node.children.map((child) => nodes[child]!),
    );
    node.errorRoot = node.error && !explained.has(node);
    const parent = nodes[node.parent];
    if (!parent) continue;
    const handled = tagOf(node.span.tags, "otel.status_code") === "OK";
    if (node.error || (explained.has(node) && !handled)) explained.add(parent);
    parent.below += 1 + node.below;
    parent.errorBelow ||= node.error || node.errorBelow;
  }
}

/** The part of a span in which no child was running: its length less the union of theirs. */
export function selfTime(node: Span, children: Span[]): number {
  let covered = 0;
  let reached = node.start;
  const end = node.start + node.duration;
  for (const child of [...children].sort((a, b) => a.start - b.start)) {
    const from = Math.max(child.start, reached);
    const to = Math.min(child.start + child.duration, end);
    if (to > from) {
      covered += to - from;
      reached = to;
    }
  }
  return node.duration - covered;
}

type Span = Pick<SpanNode, "start" | "duration">;

/** Service names without their namespace, where that still tells them apart within the trace. */
export function shortNames(trace: Trace): Map<string, string> {
  const counts = new Map<string, number>();
  const short = (name: string) => name.split(".")[0] ?? name;
  for (const { name } of trace.services) counts.set(short(name), (counts.get(short(name)) ?? 0) + 1);
  return new Map(
    trace.services.map(({ name }) => [name, counts.get(short(name)) === 1 ? short(name) : name]),
  );
}

/** Indexes of the rows to show when some spans are collapsed. */
export function visibleRows(trace: Trace, collapsed: ReadonlySet<string>): number[] {
  const rows: number[] = [];
  for (let index = 0; index < trace.nodes.length;) {
    const node = trace.nodes[index]!;
    rows.push(index);
    index += collapsed.has(node.span.spanID) ? 1 + node.below : 1;
  }
  return rows;
}

/** Ids to collapse so that spans down to a depth (the roots have 1) are shown. */
export function collapsedBelow(trace: Trace, depth: number): Set<string> {
  return new Set(
    trace.nodes.filter((node) => node.below > 0 && node.depth >= depth - 1).map((node) => node.span.spanID),
  );
}

/** Rows whose service, operation, id or any tag contains the text. */
export function searchSpans(trace: Trace, text: string): number[] {
  const wanted = text.trim().toLowerCase();
  if (!wanted) return [];
  let texts = haystacks.get(trace);
  if (!texts) {
    texts = trace.nodes.map(haystack);
    haystacks.set(trace, texts);
  }
  return texts.flatMap((text, index) => (text.includes(wanted) ? [index] : []));
}

/** The match after or before the chosen span, around the ends. */
export function stepMatch(matches: number[], selected: number, step: 1 | -1): number | undefined {
  const next =
    step > 0 ? matches.find((index) => index > selected) : matches.findLast((index) => index < selected);
  return next ?? (step > 0 ? matches[0] : matches[matches.length - 1]);
}

/** What is searched is written out once a trace: at 50,000 spans it takes longer than to look through it. */
const haystacks = new WeakMap<Trace, string[]>();

function haystack({ span, service, processTags }: SpanNode): string {
  const logs = (span.logs ?? []).flatMap((log) => log.fields);
  const pairs = [...(span.tags ?? []), ...processTags, ...logs].map((tag) => `${tag.key}=${tag.value}`);
  return [service, span.operationName, span.spanID, ...pairs].join("\n").toLowerCase();
}

/** The `x-request-id` that Envoy put on the request, if any span has it. */
export function requestId(trace: Trace): string {
  for (const { span } of trace.nodes) {
    const id = tagOf(span.tags, "guid:x-request-id") ?? tagOf(span.tags, "http.request_id");
    if (id) return String(id);
  }
  return "";
}
