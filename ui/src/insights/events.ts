/** Incidents for pages about other things: how many are open, and where charts were odd. Asked once for all. */

import { computed, signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError } from "../api/client";
import { fetchIncidents, type Incident } from "../api/incidents";
import { tick } from "../app/clock";
import { currentRange } from "../app/range";
import type { Stretch } from "../components/overlay";
import { read, write } from "../lib/stored";
import { rangeSeconds, type TimeRange } from "../lib/time";
import { concerns, fullName, ordered, servicesOf, sinceText } from "./model";
import { titleOf } from "./words";

/** Where pages do not refresh by themselves the badge still does, this often. */
const BADGE_SECONDS = 30;
const LIMIT = 200;
const SHOWN_KEY = "windvane.events";

/** Incidents that are open now. */
export const openIncidents = signal<readonly Incident[]>([]);
/** Whether charts of the explorer and of dashboards show changes and incidents. */
export const eventsShown = signal(read(SHOWN_KEY) !== "off");

export function showEvents(shown: boolean): void {
  eventsShown.value = shown;
  write(SHOWN_KEY, shown ? "on" : "off");
}

/** Open incidents by the full name of each service that takes part. */
export const openByService = computed(() => {
  const found = new Map<string, Incident[]>();
  for (const one of ordered(openIncidents.value))
    for (const name of servicesOf(one)) found.set(name, [...(found.get(name) ?? []), one]);
  return found;
});

/** Of a node of the graph, by the name of its service or its app. */
export function incidentsOf(node: Node): Incident[] {
  const name = fullName({ service: node.service || node.app, namespace: node.namespace });
  return (openByService.value.get(name) ?? []).filter((one) => concerns(one, name, node.version));
}

interface Node {
  service: string;
  app: string;
  version: string;
  namespace: string;
}

let absent = false;

/** Keeps the open incidents fresh while the page lives: with every refresh, and at least each half minute. */
export function useOpenIncidents(): readonly Incident[] {
  const beat = tick.value;
  useEffect(() => {
    const control = new AbortController();
    const ask = () => {
      if (absent || document.hidden) return;
      fetchIncidents({ open: true, limit: LIMIT }, control.signal).then(
        (found) => keep(openIncidents, found.incidents),
        (error: Error) => {
          // A server that keeps no incidents is not asked again; others are whole without the badge.
          if (error instanceof ApiError && error.status === 404) absent = true;
        },
      );
    };
    ask();
    const timer = window.setInterval(ask, BADGE_SECONDS * 1000);
    return () => {
      window.clearInterval(timer);
      control.abort();
    };
  }, [beat]);
  return openIncidents.value;
}

/** Incidents of the page's time range. */
const inRange = signal<readonly Incident[]>([]);
let asked = "";

/** Keeps the range's incidents fresh while a chart is on the screen. */
export function useIncidents(): readonly Incident[] {
  const range = currentRange();
  const key = `${tick.value} ${JSON.stringify(range)}`;
  useEffect(() => {
    if (absent || asked === key) return;
    asked = key;
    fetchIncidents(queryOf(range), new AbortController().signal).then(
      (found) => asked === key && keep(inRange, found.incidents),
      () => undefined, // a chart is whole without them; the incidents' own page tells what is wrong
    );
  }, [key]);
  return inRange.value;
}

export const queryOf = (range: TimeRange) => ({
  since: sinceText(Math.max(rangeSeconds(range), 900)),
  time: range.kind === "absolute" ? Math.round(range.to) : null,
  limit: LIMIT,
});

function keep(where: typeof inRange, found: readonly Incident[]): void {
  if (JSON.stringify(found) !== JSON.stringify(where.peek())) where.value = found;
}

/** Incidents whole, for charts of anything. What a reader called normal is not shaded. */
export const stretchesOf = (incidents: readonly Incident[]): Stretch[] =>
  incidents
    .filter((one) => one.feedback?.verdict !== "not-an-anomaly")
    .map((one) => ({
      key: one.id,
      from: one.start,
      to: one.open ? null : one.end,
      text: titleOf(one),
      tone: one.severity === "page" ? "bad" : "warn",
    }));

/** The odd times of one signal of a service: of all of it, or of a part; one stretch an incident. */
export const stretchesOfSignal = (
  incidents: readonly Incident[],
  service: string,
  wanted: string,
): Stretch[] =>
  incidents
    .filter((one) => one.feedback?.verdict !== "not-an-anomaly")
    .flatMap((one) => {
      const odd = one.anomalies.filter((each) => fullName(each.scope) === service && each.signal === wanted);
      if (odd.length === 0) return [];
      const goesOn = odd.some((each) => each.open);
      return [
        {
          key: one.id,
          from: Math.min(...odd.map((each) => each.start)),
          to: goesOn ? null : Math.max(...odd.map((each) => each.end)),
          text: titleOf(one),
          tone: one.severity === "page" ? ("bad" as const) : ("warn" as const),
        },
      ];
    });
