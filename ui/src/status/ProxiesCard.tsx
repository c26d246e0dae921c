/** Every sidecar: whether it is connected, and whether it follows the configuration. */

import { fetchProxies } from "../api/own";
import { ErrorState, Skeleton } from "../components/States";
import { t } from "../i18n";
import { useData } from "../lib/useData";
import { ProxyCounts, ProxyFilter, proxyFilter, proxyMatches, ProxyTable } from "./ProxyTable";

export function ProxiesCard() {
  const loaded = useData("proxies", fetchProxies);
  const all = loaded.data ?? [];
  const rows = all.filter((row) => proxyMatches(row, proxyFilter()));
  return (
    <section class="card" data-testid="proxies">
      <header>
        <h2>{t("status.proxies")}</h2>
        <ProxyCounts rows={all} />
        <span class="end">
          <ProxyFilter />
        </span>
      </header>
      {loaded.error && !loaded.data && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {loaded.loading && <Skeleton rows={6} />}
      {loaded.data?.length === 0 && <p class="card-body muted">{t("status.proxies.none")}</p>}
      {rows.length > 0 && <ProxyTable rows={rows} testId="proxies-table" />}
    </section>
  );
}
