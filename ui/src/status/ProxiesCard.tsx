/** Every sidecar: whether it is connected, and whether it follows the configuration. */

import { fetchProxies, type ProxyRow } from "../api/own";
import { params, setParams } from "../app/router";
import { TextField } from "../components/Controls";
import { ErrorState, Skeleton } from "../components/States";
import { type Column, readSorting, Table, writeSorting } from "../components/Table";
import { t } from "../i18n";
import { DASH } from "../lib/format";
import { dateTime } from "../lib/time";
import { useData } from "../lib/useData";
import { type ProxyState, proxyState, proxyTitle, STATES } from "./model";

export const STATE_TONES: Record<ProxyState, string> = {
  synced: "ok",
  pending: "warn",
  rejected: "bad",
  gone: "idle",
};

export function ProxiesCard() {
  const loaded = useData("proxies", fetchProxies);
  const filter = (params.value.get("q") ?? "").toLowerCase();
  const rows = loaded.data?.filter((row) => row.node_id.toLowerCase().includes(filter)) ?? [];
  const states = STATES.map((state) => ({
    state,
    n: loaded.data?.filter((row) => proxyState(row) === state).length ?? 0,
  }));
  return (
    <section class="card" data-testid="proxies">
      <header>
        <h2>{t("status.proxies")}</h2>
        {states
          .filter(({ n }) => n > 0)
          .map(({ state, n }) => (
            <span key={state} class={`health health-${STATE_TONES[state]}`}>
              <i />
              {n} {t(`status.state.${state}`)}
            </span>
          ))}
        <span class="end">
          <TextField
            label={t("status.proxies.filter")}
            placeholder={t("status.proxies.filter")}
            icon="search"
            value={params.value.get("q") ?? ""}
            onInput={(q) => setParams({ q })}
          />
        </span>
      </header>
      {loaded.error && !loaded.data && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {loaded.loading && <Skeleton rows={6} />}
      {loaded.data?.length === 0 && <p class="card-body muted">{t("status.proxies.none")}</p>}
      {rows.length > 0 && (
        <Table
          label={t("status.proxies")}
          rows={rows}
          rowKey={(row) => row.node_id}
          columns={columns()}
          sorting={readSorting(params.value.get("sort"), { column: "state", descending: false })}
          onSort={(sorting) => setParams({ sort: writeSorting(sorting) })}
          testId="proxies-table"
        />
      )}
    </section>
  );
}

const columns = (): Column<ProxyRow>[] => [
  {
    id: "proxy",
    title: t("status.proxy"),
    sort: proxyTitle,
    cell: (row) => (
      <span title={row.node_id}>
        <b>{proxyTitle(row)}</b>
      </span>
    ),
  },
  {
    id: "state",
    title: t("status.proxy.state"),
    sort: (row) => STATES.indexOf(proxyState(row)),
    cell: (row) => {
      const state = proxyState(row);
      return (
        <span class={`health health-${STATE_TONES[state]}`}>
          <i />
          {t(`status.state.${state}`)}
        </span>
      );
    },
  },
  {
    id: "types",
    title: t("status.proxy.type"),
    cell: (row) => (
      <span class="proxy-types">
        {[...row.types].sort(byType).map((type) => (
          <TypeChip key={type.type} type={type} />
        ))}
      </span>
    ),
  },
  {
    id: "reason",
    title: t("status.proxy.reason"),
    cell: (row) => (
      <span class="text-bad">
        {row.types
          .flatMap((type) => (type.nack_reason ? [`${type.type}: ${type.nack_reason}`] : []))
          .join("; ")}
      </span>
    ),
  },
  {
    id: "since",
    title: t("status.proxy.since"),
    numeric: true,
    sort: (row) => row.connected_at,
    cell: (row) => <span class="muted">{row.connected_at === null ? DASH : dateTime(row.connected_at)}</span>,
  },
];

const byType = (a: { type: string }, b: { type: string }): number => a.type.localeCompare(b.type);

function TypeChip({ type }: { type: ProxyRow["types"][number] }) {
  const tone = type.nack_reason ? "bad" : type.sent === type.acked ? "plain" : "warn";
  const title = `${t("status.proxy.sent")} ${type.sent || DASH}, ${t("status.proxy.acked")} ${type.acked || DASH}`;
  return (
    <span class={`code code-${tone}`} title={title}>
      {type.type} <em>{type.resources}</em>
    </span>
  );
}
