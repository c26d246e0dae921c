/** A service's operations: rate, errors and latency of each, from its spans. */

import { useState } from "preact/hooks";
import { currentRange } from "../app/range";
import { linkTo } from "../app/router";
import { errorTone } from "../components/Health";
import { ErrorState, Skeleton } from "../components/States";
import { type Column, type Sorting, Table } from "../components/Table";
import { t } from "../i18n";
import { DASH, formatMs, formatRate, formatRatio } from "../lib/format";
import { rangeSeconds, resolve } from "../lib/time";
import { useData } from "../lib/useData";
import { writeValue } from "../traces/querySyntax";
import { ShareBar } from "../traces/ShareBar";
import { shortOperation } from "../traces/summary";
import { loadOperations, type OperationRow } from "./operations";
import { RateCell } from "./RateCell";

export function Operations({ service }: { service: string }) {
  const range = currentRange();
  const [sorting, setSorting] = useState<Sorting>({ column: "share", descending: true });
  const loaded = useData(`operations ${service} ${JSON.stringify(range)}`, (signal) =>
    loadOperations(service, resolve(range, Date.now() / 1000).to, rangeSeconds(range), signal),
  );
  return (
    <section class="card" data-testid="operations">
      <header>
        <h2>{t("operations.title")}</h2>
        <span class="muted">{t("operations.source")}</span>
      </header>
      {loaded.error && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {loaded.loading && <Skeleton rows={4} />}
      {loaded.data?.length === 0 && <p class="card-body muted">{t("operations.none")}</p>}
      {loaded.data && loaded.data.length > 0 && (
        <Table
          label={t("operations.title")}
          columns={columns(service)}
          rows={loaded.data}
          rowKey={(row) => row.operation}
          sorting={sorting}
          onSort={setSorting}
        />
      )}
    </section>
  );
}

function columns(service: string): Column<OperationRow>[] {
  const quantile = (id: "p50" | "p95" | "p99"): Column<OperationRow> => ({
    id,
    title: id,
    numeric: true,
    sort: (row) => row[id],
    cell: (row) => (row[id] === null ? DASH : formatMs(row[id])),
  });
  const find = (row: OperationRow) =>
    `service:${writeValue(service)} name:${writeValue(row.operation)} kind:server`;
  return [
    {
      id: "operation",
      title: t("spans.operation"),
      sort: (row) => row.operation,
      cell: (row) => (
        <a class="service-name" href={linkTo("/traces", { q: find(row) })} title={row.operation}>
          {shortOperation(row.operation)}
        </a>
      ),
    },
    {
      id: "rate",
      title: t("metric.rate"),
      numeric: true,
      sort: (row) => row.rate,
      cell: (row) => <RateCell text={formatRate(row.rate)} values={row.course} />,
    },
    {
      id: "errors",
      title: t("metric.errorRatio"),
      numeric: true,
      sort: (row) => row.errors,
      cell: (row) => <span class={errorTone(row.errors)}>{formatRatio(row.errors, 2)}</span>,
    },
    quantile("p50"),
    quantile("p95"),
    quantile("p99"),
    {
      id: "share",
      title: t("operations.share"),
      numeric: true,
      sort: (row) => row.share,
      cell: (row) => (
        <span class="with-share">
          {formatRatio(row.share)} <ShareBar share={row.share} />
        </span>
      ),
    },
  ];
}
