/** A time as "12 s ago", with the full time as a tooltip. */

import { tick } from "../app/clock";
import { t, uptimeWords } from "../i18n";
import { dateTime } from "../lib/time";

export function Ago({ time }: { time: number | null }) {
  void tick.value; // with every refresh it is later
  if (time === null) return <span class="muted">{t("common.never")}</span>;
  const seconds = Math.max(0, Math.round(Date.now() / 1000 - time));
  return (
    <time title={dateTime(time)}>
      {seconds < 1 ? t("common.now") : t("common.ago", { duration: uptimeWords(seconds) })}
    </time>
  );
}
