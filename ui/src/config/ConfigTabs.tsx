/** The pages about the mesh's configuration, under one entry of the navigation. */

import { linkTo } from "../app/router";
import { PageTabs } from "../components/PageTabs";
import { t } from "../i18n";

const TABS = ["resources", "proxies", "history", "new"] as const;
export type ConfigTab = (typeof TABS)[number];

export const configHref = (tab: ConfigTab, query: Record<string, string | null> = {}): string =>
  linkTo(tab === "resources" ? "/config" : `/config/${tab}`, query);

export function ConfigTabs({ here }: { here: ConfigTab }) {
  return (
    <PageTabs
      label={t("nav.config")}
      tabs={TABS.map((tab) => ({
        title: t(`config.tab.${tab}`),
        href: configHref(tab),
        here: tab === here,
      }))}
    />
  );
}
