/** The pages about the server itself, under one entry of the navigation. */

import { linkTo } from "../app/router";
import { type PlainKey, t } from "../i18n";

const TABS: { id: "server" | "targets" | "cardinality"; href: string; title: PlainKey }[] = [
  { id: "server", href: "/status", title: "status.server" },
  { id: "targets", href: "/targets", title: "targets.title" },
  { id: "cardinality", href: "/cardinality", title: "cardinality.title" },
];

export function StatusTabs({ here }: { here: (typeof TABS)[number]["id"] }) {
  return (
    <nav class="tabs" aria-label={t("nav.status")}>
      {TABS.map((tab) => (
        <a key={tab.id} href={linkTo(tab.href)} aria-current={tab.id === here ? "page" : undefined}>
          {tab.id === here ? <h1>{t(tab.title)}</h1> : t(tab.title)}
        </a>
      ))}
    </nav>
  );
}
