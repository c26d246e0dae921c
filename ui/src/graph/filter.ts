/**
 * The find and hide expressions: `reviews`, `error > 1`, `p95 > 200 AND ns = shop`, `!mtls`.
 * A bare word matches names; a known word alone asks a yes/no question; comparisons match values.
 * AND binds tighter than OR; there are no parentheses.
 */

import type { Graph, GraphEdge, GraphNode } from "./model";

export interface Filter {
  node: (node: GraphNode) => boolean;
  edge: (edge: GraphEdge) => boolean;
  /** The first part that could not be read; empty when all was well. */
  problem: string;
}

type Value = string | number | boolean | null;
type Subject = { node: GraphNode } | { edge: GraphEdge };

const NODE_FIELDS: Record<string, (node: GraphNode) => Value> = {
  name: (node) => node.title,
  ns: (node) => node.namespace,
  app: (node) => node.app,
  version: (node) => node.version,
  workload: (node) => node.workload,
  service: (node) => node.service,
  kind: (node) => node.kind,
  rate: (node) => node.rate,
  error: (node) => node.errorRatio * 100,
  healthy: (node) => node.health === "healthy" || node.health === "tcp",
  idle: (node) => node.health === "idle",
  root: (node) => node.root,
  vs: (node) => node.routing,
  cb: (node) => node.breaker,
  fi: (node) => node.fault,
};

const EDGE_FIELDS: Record<string, (edge: GraphEdge) => Value> = {
  protocol: (edge) => edge.protocol,
  http: (edge) => edge.protocol === "http",
  grpc: (edge) => edge.protocol === "grpc",
  tcp: (edge) => edge.protocol === "tcp",
  traffic: (edge) => edge.rate,
  error: (edge) => edge.errorRatio * 100,
  p95: (edge) => edge.p95,
  share: (edge) => (edge.share === null ? null : edge.share * 100),
  mtls: (edge) => (edge.mtls ?? 0) >= 1,
  healthy: (edge) => edge.health === "healthy" || edge.health === "tcp",
  idle: (edge) => edge.health === "idle",
};

const ALIASES: Record<string, string> = {
  namespace: "ns",
  svc: "service",
  wl: "workload",
  rt: "p95",
  responsetime: "p95",
  "%error": "error",
  errors: "error",
  "%httperr": "error",
  virtualservice: "vs",
  circuitbreaker: "cb",
  faultinjection: "fi",
  trafficsource: "root",
};

type Test = (subject: Subject) => boolean;

export function parseFilter(text: string): Filter {
  const trimmed = text.trim();
  if (!trimmed) return { node: () => false, edge: () => false, problem: "" };
  let problem = "";
  const anyOf = trimmed.split(/\s+OR\s+/i).map((part) =>
    part.split(/\s+AND\s+/i).map((term) => {
      const test = parseTerm(term.trim());
      if (!test && !problem) problem = term.trim();
      return test ?? (() => false);
    }),
  );
  const matches: Test = (subject) => anyOf.some((allOf) => allOf.every((test) => test(subject)));
  if (problem) return { node: () => false, edge: () => false, problem };
  return { node: (node) => matches({ node }), edge: (edge) => matches({ edge }), problem };
}

function parseTerm(term: string): Test | null {
  const negated = /^(!(?!=)|not\s+)\s*/i.exec(term);
  if (negated) {
    const inner = parseTerm(term.slice(negated[0].length));
    // A negation keeps to the kind of thing that the term speaks of: `!mtls` is about edges only.
    return inner && ((subject) => speaksOf(term.slice(negated[0].length), subject) && !inner(subject));
  }
  const comparison = /^([%\w]+)\s*(>=|<=|!=|\*=|\^=|\$=|=|>|<)\s*(.+)$/.exec(term);
  if (comparison)
    return compare(field(comparison[1]!), comparison[2]!, comparison[3]!.trim().replace(/^"(.*)"$/, "$1"));
  const name = field(term);
  if (name in NODE_FIELDS || name in EDGE_FIELDS) return (subject) => read(subject, name) === true;
  return /^[^<>=!]+$/.test(term)
    ? (subject) => "node" in subject && names(subject.node).includes(term.toLowerCase())
    : null;
}

function speaksOf(term: string, subject: Subject): boolean {
  const name = field(/^[%\w]+/.exec(term)?.[0] ?? "");
  const known = name in NODE_FIELDS || name in EDGE_FIELDS;
  if (!known) return "node" in subject;
  return name in ("node" in subject ? NODE_FIELDS : EDGE_FIELDS);
}

const field = (text: string): string => ALIASES[text.toLowerCase()] ?? text.toLowerCase();

const names = (node: GraphNode): string =>
  [node.title, node.app, node.workload, node.service, node.version, node.namespace].join("\n").toLowerCase();

function read(subject: Subject, name: string): Value {
  if ("node" in subject) return NODE_FIELDS[name]?.(subject.node) ?? null;
  return EDGE_FIELDS[name]?.(subject.edge) ?? null;
}

function compare(name: string, operator: string, wanted: string): Test | null {
  if (!(name in NODE_FIELDS) && !(name in EDGE_FIELDS)) return null;
  return (subject) => {
    const value = read(subject, name);
    if (value === null) return false;
    if (typeof value === "number")
      return compareNumbers(value, operator, Number(wanted.replace(/%|ms$/, "")));
    return compareTexts(String(value).toLowerCase(), operator, wanted.toLowerCase());
  };
}

function compareNumbers(value: number, operator: string, wanted: number): boolean {
  if (operator === ">") return value > wanted;
  if (operator === "<") return value < wanted;
  if (operator === ">=") return value >= wanted;
  if (operator === "<=") return value <= wanted;
  return operator === "!=" ? value !== wanted : value === wanted;
}

function compareTexts(value: string, operator: string, wanted: string): boolean {
  if (operator === "*=") return value.includes(wanted);
  if (operator === "^=") return value.startsWith(wanted);
  if (operator === "$=") return value.endsWith(wanted);
  return operator === "!=" ? value !== wanted : value === wanted;
}

/** The graph without what the expression matches, and without edges that lost an end. */
export function hide(graph: Graph, filter: Filter): Graph {
  const nodes = graph.nodes.filter((node) => !filter.node(node));
  const left = new Set(nodes.map((node) => node.id));
  const edges = graph.edges.filter(
    (edge) => left.has(edge.source) && left.has(edge.target) && !filter.edge(edge),
  );
  return { ...graph, nodes, edges };
}
