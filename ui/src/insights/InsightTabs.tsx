/** The pages that judge, foresee and decide, under one entry of the navigation. */

import { linkTo } from "../app/router";
import { PageTabs } from "../components/PageTabs";
import { t } from "../i18n";

const TABS = ["incidents", "why", "forecast", "capacity", "objectives", "releases"] as const;
export type InsightTab = (typeof TABS)[number];

export const insightHref = (tab: InsightTab, query: Record<string, string | null> = {}): string =>
  linkTo(tab === "incidents" ? "/insights" : `/insights/${tab}`, query);

export function InsightTabs({ here }: { here: InsightTab }) {
  return (
    <PageTabs
      label={t("nav.insights")}
      tabs={TABS.map((tab) => ({
        title: t(`insights.tab.${tab}`),
        href: insightHref(tab),
        here: tab === here,
      }))}
    />
  );
}
