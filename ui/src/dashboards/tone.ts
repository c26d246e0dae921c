/** The tone of a number by a panel's thresholds. */

import type { Threshold } from "../api/dashboards";

/** The last step that the value reaches; the base is one without a value. Null where nothing is said. */
export function toneOf(thresholds: Threshold[], value: number | null): Threshold["tone"] | null {
  if (value === null) return null;
  let tone: Threshold["tone"] | null = null;
  for (const step of thresholds) if (step.value === null || value >= step.value) tone = step.tone;
  return tone;
}
