/** The calls between the services of an incident: from who suffers (left) to where it begins (right). */

import type { Why } from "../api/why";
import type { Graph } from "../graph/model";
import { callerOf, fullName, type Placed, readFullName, servicesOf } from "./model";

export interface Call {
  caller: string;
  callee: string;
}

export interface PathNode {
  name: string;
  service: string;
  namespace: string;
  /** Where it begins, odd too, or only on the way. */
  role: "lead" | "odd" | "way";
  /** Odd signals with their factors. */
  odd: { signal: string; factor: number }[];
  column: number;
  row: number;
}

export interface PathEdge extends Call {
  /** The way itself is a likely cause: what the caller saw and the callee did not. */
  suspect: boolean;
}

export interface Path {
  nodes: PathNode[];
  edges: PathEdge[];
  columns: number;
  rows: number;
}

/** More than these make no small picture: the graph page shows all. */
const MOST_NODES = 14;
/** Callers shown of a service that alone is odd. */
const CALLERS = 3;
const ARROW = " → ";

/** Service calls of a drawn graph; gateways count as services. */
export function callsOf(graph: Graph): Call[] {
  const names = new Map(
    graph.nodes.map((node) => [
      node.id,
      fullName({ service: node.service || node.app || node.workload, namespace: node.namespace }),
    ]),
  );
  const calls = graph.edges.map((edge) => ({
    caller: names.get(edge.source) ?? "",
    callee: names.get(edge.target) ?? "",
  }));
  return distinct(calls.filter((call) => call.caller && call.callee && call.caller !== call.callee));
}

/** The calls that the paths of an answer go along. */
export function callsOfWhy(why: Why | null): PathEdge[] {
  const suspects = new Set(
    (why?.causes ?? [])
      .slice(0, 1)
      .flatMap((one) => (one.caller ? [`${one.caller}${ARROW}${fullName(one)}`] : [])),
  );
  return (why?.causes ?? []).flatMap((cause) =>
    cause.path
      .filter((step) => step.includes(ARROW))
      .map((step) => {
        const [caller, callee] = step.split(ARROW) as [string, string];
        return { caller, callee, suspect: suspects.has(step) };
      }),
  );
}

/** Calls that are odd; suspect is the one where it seems to begin, for others only pass on what their callee does. */
const oddCalls = (one: Placed): PathEdge[] =>
  one.anomalies.flatMap(({ scope }, index) =>
    callerOf(scope).map((caller) => ({ caller, callee: fullName(scope), suspect: index === 0 })),
  );

/** The picture of an incident. `calls` are all calls that are known of its time. */
export function pathOf(one: Placed, calls: Call[], why: Why | null): Path {
  const lead = fullName(one);
  const told = [...callsOfWhy(why), ...oddCalls(one)];
  const all = distinct([...told, ...calls]);
  const odd = servicesOf(one);
  const kept = new Set([...odd, ...told.flatMap((call) => [call.caller, call.callee])]);
  if (kept.size === 1)
    for (const call of all.filter((call) => call.callee === lead).slice(0, CALLERS)) kept.add(call.caller);
  for (const name of [...kept]) for (const step of wayBetween(name, lead, all)) kept.add(step);
  const names = [...kept].slice(0, MOST_NODES);
  const edges = all
    .filter((call) => names.includes(call.caller) && names.includes(call.callee))
    .map((call) => ({ ...call, suspect: told.some((way) => way.suspect && same(way, call)) }));
  return placed(names, edges, lead, one);
}

function placed(names: string[], edges: PathEdge[], lead: string, one: Placed): Path {
  const away = distances(lead, edges);
  const values = names.map((name) => away.get(name) ?? 1);
  const [most, least] = [Math.max(...values), Math.min(...values)];
  const heights = new Map<number, number>();
  const nodes = names.map((name, index): PathNode => {
    const column = most - values[index]!;
    const row = heights.get(column) ?? 0;
    heights.set(column, row + 1);
    const odd = one.anomalies
      .filter(({ scope }) => fullName(scope) === name && scope.kind !== "edge")
      .map(({ signal, factor }) => ({ signal, factor }));
    const role = name === lead ? "lead" : odd.length ? "odd" : "way";
    return { name, ...readFullName(name), role, odd: worstEach(odd), column, row };
  });
  nodes.sort((a, b) => a.column - b.column || a.row - b.row); // as it is read, also by those who hear it
  return { nodes, edges, columns: most - least + 1, rows: Math.max(...heights.values()) };
}

/** One factor a signal: the farthest from 1. */
function worstEach(odd: { signal: string; factor: number }[]) {
  const far = (factor: number) => Math.abs(Math.log(Math.max(factor, 1e-6)));
  const worst = new Map<string, number>();
  for (const { signal, factor } of odd)
    if (!worst.has(signal) || far(factor) > far(worst.get(signal)!)) worst.set(signal, factor);
  return [...worst].map(([signal, factor]) => ({ signal, factor }));
}

/** Calls from each service to `lead`: positive for callers, negative for what it calls itself. */
function distances(lead: string, edges: Call[]): Map<string, number> {
  const away = new Map([[lead, 0]]);
  const waiting = [lead];
  for (const name of waiting) {
    const here = away.get(name)!;
    for (const { caller, callee } of edges) {
      const next: [string, number] | null =
        callee === name ? [caller, here + 1] : caller === name ? [callee, here - 1] : null;
      if (!next || away.has(next[0])) continue;
      away.set(...next);
      waiting.push(next[0]);
    }
  }
  return away;
}

/** Services between two on the shortest way down the calls; none where there is no way. */
function wayBetween(from: string, to: string, calls: Call[]): string[] {
  const before = new Map<string, string>();
  const waiting = [from];
  for (const name of waiting) {
    if (name === to) break;
    for (const { caller, callee } of calls) {
      if (caller !== name || before.has(callee) || callee === from) continue;
      before.set(callee, name);
      waiting.push(callee);
    }
  }
  const way: string[] = [];
  for (let name = before.get(to); name !== undefined && name !== from; name = before.get(name))
    way.push(name);
  return way;
}

const same = (a: Call, b: Call): boolean => a.caller === b.caller && a.callee === b.callee;

function distinct<C extends Call>(calls: C[]): C[] {
  const seen = new Map<string, C>();
  for (const call of calls) {
    const key = `${call.caller}${ARROW}${call.callee}`;
    if (!seen.has(key)) seen.set(key, call);
  }
  return [...seen.values()];
}
