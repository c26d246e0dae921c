/** The page's time range: in the URL where the reader chose one, else the page's default. */

import { signal } from "@preact/signals";
import { type TimeRange, rangeParams, readRange } from "../lib/time";
import { params, setParams } from "./router";

/** What a page shows when the URL names no range, in seconds; pages set it. */
export const defaultRange = signal(900);

export function currentRange(): TimeRange {
  return readRange(params.value, defaultRange.value);
}

export function setRange(range: TimeRange): void {
  setParams(rangeParams(range), false);
}
