/** What is left of a budget, as a bar, and a burn rate with the colour of its urgency. */

import { formatNumber } from "../lib/format";
import { budgetText, type Tone } from "./words";

export function BudgetBar({ remaining, tone }: { remaining: number | null; tone: Tone }) {
  const width = Math.max(0, Math.min(1, remaining ?? 0));
  return (
    <span class="budget">
      <b class={tone === "bad" ? "text-bad" : ""}>{budgetText(remaining)}</b>
      <span class="budget-bar" aria-hidden="true">
        <i class={`budget-${tone}`} style={{ width: `${width * 100}%` }} />
      </span>
    </span>
  );
}

/** Above 1 a budget will not last its period. */
export function BurnRate({ value, threshold }: { value: number | undefined; threshold?: number }) {
  if (value === undefined) return <span class="muted">–</span>;
  const tone = threshold !== undefined && value > threshold ? "text-bad" : value > 1 ? "text-warn" : "";
  return <span class={tone}>{formatNumber(value)}×</span>;
}
