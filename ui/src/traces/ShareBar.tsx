/** A share (0 to 1) as the filled part of a short bar. */

import { formatRatio } from "../lib/format";

export function ShareBar({ share, tone = "" }: { share: number; tone?: "" | "critical" }) {
  return (
    <span class={`part-bar ${tone}`} title={formatRatio(share)} aria-hidden="true">
      <i style={{ width: `${Math.max(0, Math.min(1, share)) * 100}%` }} />
    </span>
  );
}
