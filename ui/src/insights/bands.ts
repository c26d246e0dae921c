/** From the series `windvane_baseline` to bands of charts: requests each second, milliseconds, shares. */

import type { Series } from "../api/prometheus";
import type { Band } from "../components/overlay";

/** One band a signal; a signal without both bounds has none. */
export function bandsOf(series: readonly Series[]): Map<string, Band> {
  const bands = new Map<string, Band>();
  const signals = [...new Set(series.map((one) => one.labels.signal ?? ""))];
  for (const signal of signals) {
    const own = series.filter((one) => one.labels.signal === signal);
    const times = [...new Set(own.flatMap((one) => one.times))].sort((a, b) => a - b);
    const column = (bound: string) => {
      const found = own.find((one) => one.labels.bound === bound);
      const values = new Map(found?.times.map((time, at) => [time, found.values[at]!]));
      return times.map((time) => known(values.get(time)));
    };
    const [low, expected, high] = [column("low"), column("expected"), column("high")];
    if (low.some((value) => value !== null) && high.some((value) => value !== null))
      bands.set(signal, { times, low, expected, high });
  }
  return bands;
}

const known = (value: number | undefined): number | null =>
  value === undefined || !Number.isFinite(value) ? null : value;
