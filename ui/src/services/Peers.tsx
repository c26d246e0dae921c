/** Who calls a service and whom it calls, with rate, errors and p95 of each. */

import { useState } from "preact/hooks";
import { queryInstant } from "../api/prometheus";
import { currentRange } from "../app/range";
import { linkTo } from "../app/router";
import { errorTone } from "../components/Health";
import { ErrorState, Skeleton } from "../components/States";
import { type Column, type Sorting, Table } from "../components/Table";
import { t } from "../i18n";
import { DASH, formatByteRate, formatMs, formatRate, formatRatio } from "../lib/format";
import {
  inboundMatchers,
  type Matchers,
  OUTCOME,
  outboundMatchers,
  quantile,
  REQUESTS,
  rateBy,
  type Target,
  TCP_SENT,
} from "../lib/promql";
import { rangeSeconds, type TimeRange } from "../lib/time";
import { useData } from "../lib/useData";
import { mergePeers, type Peer } from "./merge";

type Side = "inbound" | "outbound";

const NAMES: Record<Side, [string, string, string]> = {
  inbound: ["source_canonical_service", "source_workload_namespace", "source_canonical_revision"],
  outbound: ["destination_service_name", "destination_service_namespace", "destination_canonical_revision"],
};

export function Peers({ target }: { target: Target }) {
  return (
    <div class="grid-2">
      <PeerCard
        side="inbound"
        title={t("service.inbound")}
        empty={t("service.noInbound")}
        matchers={inboundMatchers(target)}
      />
      <PeerCard
        side="outbound"
        title={t("service.outbound")}
        empty={t("service.noOutbound")}
        matchers={outboundMatchers(target)}
      />
    </div>
  );
}

interface CardProps {
  side: Side;
  title: string;
  empty: string;
  matchers: Matchers;
}

function PeerCard({ side, title, empty, matchers }: CardProps) {
  const range = currentRange();
  const [sorting, setSorting] = useState<Sorting>({ column: "rate", descending: true });
  const key = `peers ${JSON.stringify([side, matchers, range])}`;
  const loaded = useData(key, (signal) => loadPeers(side, matchers, range, signal), { keep: false });
  return (
    <section class="card">
      <header>
        <h2>{title}</h2>
      </header>
      {loaded.error && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {loaded.loading && <Skeleton rows={4} />}
      {loaded.data?.length === 0 && <p class="card-body muted">{empty}</p>}
      {loaded.data && loaded.data.length > 0 && (
        <Table
          label={title}
          columns={COLUMNS()}
          rows={loaded.data}
          rowKey={(row) => `${row.namespace}/${row.name}/${row.version}`}
          sorting={sorting}
          onSort={setSorting}
        />
      )}
    </section>
  );
}

const COLUMNS = (): Column<Peer>[] => [
  {
    id: "name",
    title: t("service.peer"),
    sort: (row) => row.name,
    cell: (row) => (
      <span class="peer-name">
        <a class="service-name" href={linkTo(`/services/${row.namespace}/${row.name}`)}>
          {row.name}
        </a>
        {row.version && <span class="tag">{row.version}</span>}
        <span class="muted">{row.namespace}</span>
      </span>
    ),
  },
  {
    id: "rate",
    title: t("metric.rate"),
    numeric: true,
    sort: (row) => row.rate || row.bytes / 1e9,
    cell: (row) => (row.rate > 0 ? formatRate(row.rate) : row.bytes > 0 ? formatByteRate(row.bytes) : DASH),
  },
  {
    id: "errors",
    title: t("metric.errors"),
    numeric: true,
    sort: (row) => (row.rate > 0 ? row.errors / row.rate : null),
    cell: (row) => {
      const ratio = row.rate > 0 ? row.errors / row.rate : null;
      return <span class={errorTone(ratio)}>{ratio === null ? DASH : formatRatio(ratio, 2)}</span>;
    },
  },
  {
    id: "p95",
    title: "p95",
    numeric: true,
    sort: (row) => row.p95,
    cell: (row) => (row.p95 === null ? DASH : formatMs(row.p95)),
  },
];

async function loadPeers(
  side: Side,
  matchers: Matchers,
  range: TimeRange,
  signal: AbortSignal,
): Promise<Peer[]> {
  const window = Math.max(30, Math.round(rangeSeconds(range)));
  const time = range.kind === "absolute" ? range.to : null;
  const seen = { ...matchers, reporter: "source" };
  const names = NAMES[side];
  const ask = (query: string) => queryInstant(query, time, signal);
  const [requests, p95, bytes] = await Promise.all([
    ask(rateBy(REQUESTS, seen, [...names, ...OUTCOME], window)),
    ask(quantile(0.95, seen, names, window)),
    ask(rateBy(TCP_SENT, seen, names, window)),
  ]);
  return mergePeers(names, requests, p95, bytes);
}
