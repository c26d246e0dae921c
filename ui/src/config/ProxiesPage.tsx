/** Each proxy's acknowledged version of every type, what it has not taken yet, and what it rejected and why. */

import { fetchProxies, type ProxyRow } from "../api/own";
import { params, setParams } from "../app/router";
import { Segmented, TextField } from "../components/Controls";
import { EmptyState, LoadStates } from "../components/States";
import { type Column, readSorting, Table, writeSorting } from "../components/Table";
import { t } from "../i18n";
import { DASH } from "../lib/format";
import { useData } from "../lib/useData";
import { proxyState, proxyTitle, STATES } from "../status/model";
import { STATE_TONES } from "../status/ProxiesCard";
import { Ago } from "../targets/Ago";
import { ConfigTabs } from "./ConfigTabs";

const TYPES = ["LDS", "RDS", "CDS", "EDS", "SDS"] as const;
/** Characters of a content hash that are shown. */
const SHORT = 8;

export function ProxiesPage() {
  const loaded = useData("proxies", fetchProxies);
  const text = (params.value.get("q") ?? "").toLowerCase();
  const behind = params.value.get("state") === "behind";
  const all = loaded.data ?? [];
  const rows = all.filter(
    (row) => proxyTitle(row).toLowerCase().includes(text) && (!behind || proxyState(row) !== "synced"),
  );
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
            {STATES.map((state) => ({ state, n: all.filter((row) => proxyState(row) === state).length }))
              .filter(({ n }) => n > 0)
              .map(({ state, n }) => (
                <span key={state} class={`health health-${STATE_TONES[state]}`}>
                  <i />
                  {n} {t(`status.state.${state}`)}
                </span>
              ))}
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
              <TextField
                label={t("status.proxies.filter")}
                placeholder={t("status.proxies.filter")}
                icon="search"
                value={params.value.get("q") ?? ""}
                onInput={(q) => setParams({ q })}
              />
            </span>
          </header>
          {rows.length === 0 ? (
            <EmptyState
              title={behind && !text ? t("config.proxies.allSynced") : t("config.noMatch")}
              text={text}
              icon="check"
            />
          ) : (
            <Table
              label={t("config.tab.proxies")}
              rows={rows}
              rowKey={(row) => row.node_id}
              columns={columns()}
              sorting={readSorting(params.value.get("sort"), { column: "state", descending: false })}
              onSort={(sorting) => setParams({ sort: writeSorting(sorting) })}
              testId="config-proxies-table"
            />
          )}
        </section>
      )}
    </div>
  );
}

const columns = (): Column<ProxyRow>[] => [
  {
    id: "proxy",
    title: t("status.proxy"),
    sort: proxyTitle,
    cell: (row) => <Proxy row={row} />,
  },
  {
    id: "state",
    title: t("status.proxy.state"),
    width: "140px",
    sort: (row) => STATES.indexOf(proxyState(row)),
    cell: (row) => (
      <span class={`health health-${STATE_TONES[proxyState(row)]}`}>
        <i />
        {t(`status.state.${proxyState(row)}`)}
      </span>
    ),
  },
  ...TYPES.map((name) => ({
    id: name,
    title: name,
    width: "120px",
    cell: (row: ProxyRow) => <TypeCell type={row.types.find((one) => one.type === name)} />,
  })),
  {
    id: "since",
    title: t("status.proxy.since"),
    numeric: true,
    sort: (row) => row.connected_at,
    cell: (row) =>
      row.connected_at === null ? <span class="muted">{DASH}</span> : <Ago time={row.connected_at} />,
  },
];

function Proxy({ row }: { row: ProxyRow }) {
  const reasons = row.types.filter((type) => type.nack_reason);
  return (
    <span class="finding" title={row.node_id}>
      <b>{proxyTitle(row)}</b>
      {reasons.map((type) => (
        <span key={type.type} class="text-bad">
          {type.type}: {type.nack_reason}
        </span>
      ))}
    </span>
  );
}

function TypeCell({ type }: { type: ProxyRow["types"][number] | undefined }) {
  if (!type) return <span class="muted">{DASH}</span>;
  const stale = type.sent !== type.acked;
  const tone = type.nack_reason ? "text-bad" : stale ? "text-warn" : "";
  const title = `${t("status.proxy.sent")} ${type.sent || DASH}, ${t("status.proxy.acked")} ${type.acked || DASH}`;
  return (
    <span class={`proxy-version ${tone}`} title={title}>
      <span class="mono">{type.acked.slice(0, SHORT) || DASH}</span>
      <span class="muted">{type.resources}</span>
    </span>
  );
}
