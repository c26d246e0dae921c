/** A health as a dot and a word: never by colour alone. */

import type { Health } from "../api/own";
import { t } from "../i18n";

const TONE: Record<Health, string> = { Healthy: "ok", Degraded: "warn", Failure: "bad", NA: "idle" };

export function HealthBadge({ health, compact }: { health: Health; compact?: boolean }) {
  return (
    <span class={`health health-${TONE[health]}`} title={t(`health.${health}`)}>
      <i />
      <span class={compact ? "visually-hidden" : ""}>{t(`health.${health}`)}</span>
    </span>
  );
}

/** The class that colours an error ratio: grey at zero, amber, then red from ten per cent. */
export function errorTone(ratio: number | null | undefined): string {
  if (!ratio) return "muted";
  return ratio >= 0.1 ? "text-bad" : "text-warn";
}
