/** The course of an incident's signals as charts take it. */

import type { Incident, IncidentDetails, IncidentSignal, OddSignal, Scope } from "../api/incidents";
import type { Band } from "../components/overlay";
import type { Columns } from "../lib/signals";
import { timeline } from "./model";

const sameScope = (a: Scope, b: Scope): boolean =>
  a.kind === b.kind && a.namespace === b.namespace && a.service === b.service && a.detail === b.detail;

/** The odd times of the signal that a chart shows, in order. */
export const oddOf = (one: Incident, signal: Pick<IncidentSignal, "scope" | "signal">): OddSignal[] =>
  one.anomalies
    .filter((odd) => odd.signal === signal.signal && sameScope(odd.scope, signal.scope))
    .sort((a, b) => a.start - b.start);

/** The signal that leads, then whole services, then parts of them. */
export function inOrder(one: IncidentDetails): IncidentSignal[] {
  const lead = one.anomalies[0];
  const rank = (each: IncidentSignal) =>
    lead && each.signal === lead.signal && sameScope(each.scope, lead.scope)
      ? 0
      : each.scope.kind === "service"
        ? 1
        : 2;
  return [...one.signals].sort((a, b) => rank(a) - rank(b));
}

const remembered = new WeakMap<object, unknown>();

/** Charts compare what they are given by identity: the same answer gives the same value. */
function once<Value>(source: object, make: () => Value): Value {
  if (!remembered.has(source)) remembered.set(source, make());
  return remembered.get(source) as Value;
}

export const courseOf = (signal: IncidentSignal): Columns =>
  once(signal.seen, () => ({ times: signal.times, lines: [{ name: "seen", values: signal.seen }] }));

export const expectedBand = ({ times, low, expected, high }: IncidentSignal): Band =>
  once(low, () => ({ times, low, expected, high }));

/** Changes as marks. Those of the configuration are marked on every chart already. */
export const oddChanges = (one: IncidentDetails): { time: number; text: string }[] =>
  once(one.events, () => {
    const configured = new Set(
      one.changes.filter((each) => each.kind === "configuration").map((each) => each.text),
    );
    return timeline(one)
      .filter(
        (moment) =>
          moment.kind === "change" && moment.ref?.kind !== "version" && !configured.has(moment.text),
      )
      .map(({ at, text }) => ({ time: at, text }));
  });
