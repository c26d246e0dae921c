/** The four signals of a service that are forecast, as PromQL. */

import { DURATION, quote, REQUESTS } from "../lib/promql";

export const SIGNALS = ["rate", "errors", "latency", "saturation"] as const;
export type Signal = (typeof SIGNALS)[number];

export const UNITS: Record<Signal, string> = {
  rate: "reqps",
  errors: "percentunit",
  latency: "ms",
  saturation: "short",
};

const WINDOW = "15m";

/** `service` is NAME.NAMESPACE. */
export function queryOf(service: string, signal: Signal): string {
  const [name = "", namespace = ""] = service.split(".");
  const who = [
    'reporter="destination"',
    `destination_service_name=${quote(name)}`,
    ...(namespace ? [`destination_service_namespace=${quote(namespace)}`] : []),
  ].join(",");
  const sum = (metric: string, more = "", by = "") => `sum${by}(rate(${metric}{${who}${more}}[${WINDOW}]))`;
  switch (signal) {
    case "rate":
      return sum(REQUESTS);
    case "errors":
      return `(${sum(REQUESTS, ',response_code=~"5..|0"')} or vector(0)) / ${sum(REQUESTS)}`;
    case "latency":
      return `histogram_quantile(0.95, ${sum(`${DURATION}_bucket`, "", " by (le) ")})`;
    case "saturation":
      return `${sum(`${DURATION}_sum`)} / 1000`;
  }
}

/** How far back is drawn for a horizon, in seconds. */
export const shownHistory = (horizon: number): number => Math.max(2 * 86_400, 2 * horizon);
