/** Each proxy's acknowledged version of every type, what it has not taken yet, and what it rejected and why. */

import { fetchProxies } from "../api/own";
import { params, setParams } from "../app/router";
import { Segmented } from "../components/Controls";
import { EmptyState, LoadStates } from "../components/States";
import { t } from "../i18n";
import { useData } from "../lib/useData";
import { proxyState } from "../status/model";
import { ProxyCounts, ProxyFilter, proxyFilter, proxyMatches, ProxyTable } from "../status/ProxyTable";
import { ConfigTabs } from "./ConfigTabs";

export function ProxiesPage() {
  const loaded = useData("proxies", fetchProxies);
  const text = proxyFilter();
  const behind = params.value.get("state") === "behind";
  const all = loaded.data ?? [];
  const rows = all.filter((row) => proxyMatches(row, text) && (!behind || proxyState(row) !== "synced"));
  return (
    <div class="page">
      <ConfigTabs here="proxies" />
      <LoadStates loaded={loaded} />
      {loaded.data?.length === 0 && (
        <section class="card">
          <EmptyState title={t("config.proxies.empty")} text={t("status.proxies.none")} icon="config" />
        </section>
      )}
      {all.length > 0 && (
        <section class="card" data-testid="config-proxies">
          <header>
            <ProxyCounts rows={all} />
            <span class="end head-actions">
              <Segmented
                label={t("status.proxy.state")}
                value={behind ? "behind" : "all"}
                options={[
                  { value: "all", label: t("common.all") },
                  { value: "behind", label: t("config.proxies.behind") },
                ]}
                onChange={(next) => setParams({ state: next === "all" ? null : next })}
              />
              <ProxyFilter />
            </span>
          </header>
          {rows.length === 0 ? (
            <EmptyState
              title={behind && !text ? t("config.proxies.allSynced") : t("config.noMatch")}
              text={text}
              icon="check"
            />
          ) : (
            <ProxyTable rows={rows} testId="config-proxies-table" />
          )}
        </section>
      )}
    </div>
  );
}
