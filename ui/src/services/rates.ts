/** The course of every service's request rate over an interval: one range query for all of them. */

import { queryRange } from "../api/prometheus";
import { REQUESTS, rateBy } from "../lib/promql";
import { onGrid } from "../lib/signals";
import { rangeSeconds, rateWindow, resolve, stepFor, type TimeRange } from "../lib/time";
import { chartRange } from "../lib/useSignals";

const POINTS = 36;

/** Values by `namespace/name`, on one grid. */
export async function serviceRates(
  range: TimeRange,
  signal: AbortSignal,
): Promise<Map<string, (number | null)[]>> {
  const shown = chartRange(range);
  const { from, to } = resolve(shown, Date.now() / 1000);
  const step = stepFor(rangeSeconds(shown), POINTS);
  const by = ["destination_service_namespace", "destination_service_name"];
  const query = rateBy(REQUESTS, { reporter: "source" }, by, rateWindow(step));
  const series = await queryRange(query, from, to, step, signal);
  return new Map(
    series.map((one) => {
      const key = `${one.labels.destination_service_namespace}/${one.labels.destination_service_name}`;
      const columns = { times: one.times, lines: [{ name: key, values: one.values }] };
      return [key, onGrid(columns, from, to, step).lines[0]!.values];
    }),
  );
}
