/** The sidecars' table of the status page and of the configuration's: state, and what each took of every type. */

import type { ProxyRow } from "../api/own";
import { params, setParams } from "../app/router";
import { TextField } from "../components/Controls";
import { type Column, readSorting, Table, writeSorting } from "../components/Table";
import { t } from "../i18n";
import { DASH } from "../lib/format";
import { Ago } from "../targets/Ago";
import { type ProxyState, proxyState, proxyTitle, STATES } from "./model";

const TONES: Record<ProxyState, string> = {
  synced: "ok",
  pending: "warn",
  rejected: "bad",
  gone: "idle",
};
const TYPES = ["LDS", "RDS", "CDS", "EDS", "SDS"] as const;
/** Characters of a content hash that are shown. */
const SHORT = 8;

/** How many are in each state that occurs. */
export function ProxyCounts({ rows }: { rows: readonly ProxyRow[] }) {
  const counted = STATES.map((state) => ({
    state,
    n: rows.filter((row) => proxyState(row) === state).length,
  }));
  return (
    <>
      {counted
        .filter(({ n }) => n > 0)
        .map(({ state, n }) => (
          <StateBadge key={state} state={state} n={n} />
        ))}
    </>
  );
}

function StateBadge({ state, n }: { state: ProxyState; n?: number }) {
  return (
    <span class={`health health-${TONES[state]}`}>
      <i />
      {n} {t(`status.state.${state}`)}
    </span>
  );
}

/** The text of `q` in the address. */
export const proxyFilter = (): string => (params.value.get("q") ?? "").toLowerCase();

export const proxyMatches = (row: ProxyRow, text: string): boolean =>
  `${proxyTitle(row)} ${row.node_id}`.toLowerCase().includes(text);

export function ProxyFilter() {
  return (
    <TextField
      label={t("status.proxies.filter")}
      placeholder={t("status.proxies.filter")}
      icon="search"
      value={params.value.get("q") ?? ""}
      onInput={(q) => setParams({ q })}
    />
  );
}

export function ProxyTable({ rows, testId }: { rows: ProxyRow[]; testId: string }) {
  return (
    <Table
      label={t("status.proxies")}
      rows={rows}
      rowKey={(row) => row.node_id}
      columns={columns()}
      sorting={readSorting(params.value.get("sort"), { column: "state", descending: false })}
      onSort={(sorting) => setParams({ sort: writeSorting(sorting) })}
      testId={testId}
    />
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
    cell: (row) => <StateBadge state={proxyState(row)} />,
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
