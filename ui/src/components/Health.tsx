/** A health as a dot and a word: never by colour alone. */

import type { Health } from "../api/own";
import { t } from "../i18n";

const TONE: Record<Health, string> = { Healthy: "ok", Degraded: "warn", Failure: "bad", NA: "idle" };

export function HealthBadge({ health, tcp }: { health: Health; tcp?: boolean }) {
  if (health === "NA" && tcp) {
    return (
      <span class="health health-tcp">
        <i />
        {t("health.tcp")}
      </span>
    );
  }
  return (
    <span class={`health health-${TONE[health]}`}>
      <i />
      {t(`health.${health}`)}
    </span>
  );
}

/** The class that colours an error ratio: grey at zero, amber, then red from ten per cent. */
export function errorTone(ratio: number | null | undefined): string {
  if (!ratio) return "muted";
  return ratio >= 0.1 ? "text-bad" : "text-warn";
}
