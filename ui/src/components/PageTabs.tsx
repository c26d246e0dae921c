/** The head of pages that belong together: their names, the one in view as the heading, and a link to copy. */

import { useEffect } from "preact/hooks";
import { t } from "../i18n";
import { CopyButton } from "./CopyButton";

export interface PageTab {
  title: string;
  href: string;
  here: boolean;
}

export function PageTabs({ label, tabs }: { label: string; tabs: readonly PageTab[] }) {
  const heading = tabs.find((tab) => tab.here)?.title ?? label;
  useEffect(() => {
    document.title = `${heading} · Windvane`;
  });
  return (
    <div class="page-head">
      <nav class="tabs" aria-label={label}>
        {tabs.map(({ title, href, here }) => (
          <a key={title} href={href} aria-current={here ? "page" : undefined}>
            {here ? <h1>{title}</h1> : title}
          </a>
        ))}
      </nav>
      <div class="end">
        <CopyButton label={t("metrics.share")} icon="link" text={() => window.location.href} />
      </div>
    </div>
  );
}
