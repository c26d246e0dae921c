/** What came in, and what is kept. */

import type { Status } from "../api/own";
import { Table } from "../components/Table";
import { t } from "../i18n";
import { DASH, formatBytes, formatRatio } from "../lib/format";
import { retentionParts, storedShare } from "./model";

const whole = (value: number): string => value.toLocaleString("en-US");

export function IngestCard({ ingest }: { ingest: Status["ingest"] }) {
  const rows = Object.entries(ingest).map(([signal, counts]) => ({ signal, ...counts }));
  return (
    <section class="card" data-testid="ingest">
      <header>
        <h2>{t("status.ingest")}</h2>
        <span class="end muted">{t("status.ingest.text")}</span>
      </header>
      {rows.length === 0 && <p class="card-body muted">{t("status.ingest.none")}</p>}
      {rows.length > 0 && (
        <Table
          label={t("status.ingest")}
          rows={rows}
          rowKey={(row) => row.signal}
          columns={[
            { id: "signal", title: t("status.signal"), cell: (row) => <b class="mono">{row.signal}</b> },
            {
              id: "received",
              title: t("status.received"),
              numeric: true,
              cell: (row) => whole(row.received),
            },
            { id: "stored", title: t("status.stored"), numeric: true, cell: (row) => whole(row.stored) },
            {
              id: "refused",
              title: t("status.refused"),
              numeric: true,
              cell: (row) => <span class={row.refused ? "text-bad" : "muted"}>{whole(row.refused)}</span>,
            },
            {
              id: "in_flight",
              title: t("status.waiting"),
              numeric: true,
              cell: (row) => <span class={row.in_flight ? "" : "muted"}>{whole(row.in_flight)}</span>,
            },
            {
              id: "share",
              title: t("status.share"),
              numeric: true,
              cell: (row) => {
                const share = storedShare(row);
                return share === null ? DASH : formatRatio(share, 2);
              },
            },
          ]}
        />
      )}
    </section>
  );
}

export function StoreCard({ store }: { store: Status["store"] }) {
  const kept = Object.entries(store.retention)
    .map(([signal, seconds]) => `${signal} ${keptFor(seconds)}`)
    .join(" · ");
  return (
    <section class="card" data-testid="store">
      <header>
        <h2>{t("status.store")}</h2>
        <span class="end muted">{kept && t("status.retention", { list: kept })}</span>
      </header>
      <Table
        label={t("status.store")}
        rows={[...store.tables].sort((a, b) => b.bytes - a.bytes)}
        rowKey={(row) => row.name}
        columns={[
          { id: "name", title: t("status.table"), cell: (row) => <b class="mono">{row.name}</b> },
          { id: "rows", title: t("status.rows"), numeric: true, cell: (row) => whole(row.rows) },
          { id: "bytes", title: t("status.bytes"), numeric: true, cell: (row) => formatBytes(row.bytes) },
          {
            id: "each",
            title: t("status.bytesEach"),
            numeric: true,
            cell: (row) => (row.rows > 0 ? formatBytes(row.bytes / row.rows) : DASH),
          },
        ]}
      />
    </section>
  );
}

function keptFor(seconds: number | null): string {
  const parts = retentionParts(seconds);
  if (parts === null) return t("status.retention.ever");
  return "days" in parts ? t("unit.d", { n: parts.days }) : t("unit.h", { n: parts.hours });
}
