/** What is watched, from how much history, and whether something stands in the way. */

import type { ComponentChildren } from "preact";
import type { Watching } from "../api/incidents";
import { Icon } from "../components/Icon";
import { count, uptimeWords, t } from "../i18n";
import { formatRatio } from "../lib/format";
import { Ago } from "../targets/Ago";

export function WatchedCard({ watching }: { watching: Watching }) {
  const { trouble, learning, days, since, last } = watching;
  const facts: [string, ComponentChildren][] = [
    ["", count("incidents.watched.services", watching.services)],
    ["", count("incidents.watched.scopes", watching.scopes)],
    [t("incidents.watched.days"), uptimeWords(Math.round(days * 86_400))],
    [t("incidents.watched.last"), <Ago key="last" time={watching.last} />],
  ];
  return (
    <section class="card watched" aria-label={t("incidents.watched")} data-testid="watched">
      <State watching={watching} />
      {last !== null &&
        facts.map(([label, value], index) => (
          <span key={index} class="watched-fact">
            {label && <span class="muted">{label}</span>} <b>{value}</b>
          </span>
        ))}
      {learning !== null && (
        <progress
          class="watched-progress"
          max={1}
          value={learning}
          aria-label={t("incidents.watched.days")}
        />
      )}
      {trouble && (
        <p class="banner banner-warn watched-note" role="status">
          <Icon name="warning" />
          {t("incidents.trouble", { text: trouble })}
        </p>
      )}
      {!trouble && learning === null && since !== null && last !== null && days < 1 && (
        <p class="watched-note muted">{t("incidents.watched.young")}</p>
      )}
    </section>
  );
}

function State({ watching }: { watching: Watching }) {
  const { learning, trouble, since, last } = watching;
  const tone = trouble ? "warn" : since === null || last === null ? "idle" : "ok";
  const text =
    learning !== null
      ? t("incidents.watched.learning", { share: formatRatio(learning, 0) })
      : since === null
        ? t("incidents.watched.off")
        : last === null
          ? t("incidents.watched.waiting")
          : t("incidents.watched.watching");
  return (
    <span class={`health health-${tone}`}>
      <i />
      <b>{text}</b>
    </span>
  );
}
