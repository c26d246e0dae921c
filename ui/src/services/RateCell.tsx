/** A rate with its recent course beside it. */

import { Sparkline } from "../components/Sparkline";

export function RateCell({ text, values }: { text: string; values: (number | null)[] | undefined }) {
  return (
    <span class="rate-cell">
      {values ? (
        <Sparkline values={values} width={72} height={20} tone="muted" />
      ) : (
        <span class="spark-place" />
      )}
      <span>{text}</span>
    </span>
  );
}
