/** On a service's page: changes of the configuration that concern it, within the time that is shown. */

import { fetchVersions } from "../api/config";
import { currentRange } from "../app/range";
import { Icon } from "../components/Icon";
import { t } from "../i18n";
import { resolve } from "../lib/time";
import { useData } from "../lib/useData";
import { Ago } from "../targets/Ago";
import { configHref } from "./ConfigTabs";
import { summary } from "./HistoryPage";

const SHOWN = 5;

export function ServiceChanges({ namespace, name }: { namespace: string; name: string }) {
  const range = currentRange();
  const key = `config history of ${name} ${JSON.stringify(range)}`;
  const loaded = useData(key, (signal) => {
    const { from, to } = resolve(range, Date.now() / 1000);
    return fetchVersions({ start: from, end: to, service: name, limit: SHOWN + 1 }, signal).then((versions) =>
      versions.filter((one) => one.live_at >= from),
    );
  });
  const versions = loaded.data ?? [];
  if (versions.length === 0) return null;
  return (
    <section class="card" data-testid="service-changes">
      <header>
        <h2>{t("config.ofService")}</h2>
        <span class="end">
          <a class="link" href={configHref("new", { service: `${namespace}/${name}` })}>
            {t("config.change")}
          </a>
        </span>
      </header>
      <ul class="service-changes">
        {versions.slice(0, SHOWN).map((one) => (
          <li key={one.number}>
            <a href={configHref("history", { version: String(one.number) })}>
              <Icon name="config" size={14} />#{one.number}
            </a>
            <span class="truncate">{summary(one)}</span>
            <span class="muted end">
              <Ago time={one.live_at} />
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
