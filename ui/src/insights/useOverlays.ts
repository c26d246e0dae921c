/** For the charts of one service: what was expected of each signal, and when it was odd. */

import { useMemo } from "preact/hooks";
import { queryRange, type Series } from "../api/prometheus";
import type { Band, Overlay } from "../components/overlay";
import { selector } from "../lib/promql";
import { rangeSeconds, resolve, stepFor, type TimeRange } from "../lib/time";
import { useData } from "../lib/useData";
import { stretchesOfSignal, useIncidents } from "./events";
import { bandsOf } from "./bands";
import { fullName } from "./model";

/** The series are written once a minute. */
const FINEST = 60;

export type Overlays = Record<"rate" | "errors" | "latency", Overlay | undefined>;

export function useOverlays(namespace: string, service: string, range: TimeRange): Overlays {
  const incidents = useIncidents();
  const loaded = useData(
    `baseline ${JSON.stringify([namespace, service, range])}`,
    (signal) => fetchBands(namespace, service, range, signal),
    { keep: false },
  );
  return useMemo(() => {
    const name = fullName({ service, namespace });
    const band = (signal: string) => {
      const found = loaded.data?.get(signal);
      return found && signal === "latency" ? { ...found, name: "p95" } : found;
    };
    const one = (signal: string): Overlay => ({
      band: band(signal),
      stretches: stretchesOfSignal(incidents, name, signal),
    });
    return { rate: one("rate"), errors: one("errors"), latency: one("latency") };
  }, [incidents, loaded.data, service, namespace]);
}

async function fetchBands(
  namespace: string,
  service: string,
  range: TimeRange,
  signal: AbortSignal,
): Promise<Map<string, Band>> {
  const { from, to } = resolve(range, Date.now() / 1000);
  const step = stepFor(rangeSeconds(range), 120, FINEST);
  const query = selector("windvane_baseline", { service, namespace, scope: "service" });
  const found: Series[] = await queryRange(query, from - step, to, step, signal);
  return bandsOf(found);
}
