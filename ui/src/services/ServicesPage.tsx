/** Every service with its golden signals, sortable and filterable. */

import { useEffect } from "preact/hooks";
import { fetchServices, type Health, type ServiceRow } from "../api/own";
import { currentRange } from "../app/range";
import { linkTo, params, setParams } from "../app/router";
import { TextField } from "../components/Controls";
import { errorTone, HealthBadge } from "../components/Health";
import { Icon } from "../components/Icon";
import { EmptyState, ErrorBanner, ErrorState, Skeleton } from "../components/States";
import { type Column, readSorting, Table, writeSorting } from "../components/Table";
import { count, t } from "../i18n";
import { DASH, formatMs, formatRate, formatRatio } from "../lib/format";
import { durationText, rangeSeconds } from "../lib/time";
import { useData } from "../lib/useData";
import { RateCell } from "./RateCell";
import { serviceRates } from "./rates";
import { VersionSplit } from "./VersionSplit";

const WORST: Health[] = ["NA", "Healthy", "Degraded", "Failure"];

export function ServicesPage() {
  useEffect(() => {
    document.title = `${t("nav.services")} · Windvane`;
  });
  const range = currentRange();
  const window = durationText(rangeSeconds(range));
  const time = range.kind === "absolute" ? range.to : null;
  const loaded = useData(`services ${window} ${time}`, (signal) => fetchServices(window, time, signal));
  const rates = useData(`rates ${JSON.stringify(range)}`, (signal) => serviceRates(range, signal));
  const filter = params.value.get("q") ?? "";
  const rows = loaded.data?.filter((row) =>
    `${row.name}.${row.namespace}`.includes(filter.trim().toLowerCase()),
  );
  return (
    <div class="page">
      <div class="page-head">
        <h1>{t("services.title")}</h1>
        {rows && <span class="muted">{count("services.count", rows.length)}</span>}
        <div class="end">
          <TextField
            label={t("services.filter")}
            placeholder={t("services.filter")}
            icon="search"
            value={filter}
            onInput={(q) => setParams({ q })}
            testId="services-filter"
          />
        </div>
      </div>
      <section class="card">
        {loaded.error && loaded.data && <ErrorBanner error={loaded.error} retry={loaded.retry} />}
        {loaded.error && !loaded.data && <ErrorState error={loaded.error} retry={loaded.retry} />}
        {loaded.loading && <Skeleton rows={9} height={20} />}
        {loaded.data?.length === 0 && (
          <EmptyState title={t("services.empty.title")} text={t("services.empty.text")} />
        )}
        {rows && rows.length > 0 && (
          <Table
            label={t("services.title")}
            columns={columns(rates.data ?? new Map())}
            rows={rows}
            rowKey={(row) => `${row.namespace}/${row.name}`}
            sorting={readSorting(params.value.get("sort"), { column: "name", descending: false })}
            onSort={(sorting) => setParams({ sort: writeSorting(sorting) })}
            testId="services-table"
          />
        )}
        {rows?.length === 0 && (loaded.data?.length ?? 0) > 0 && (
          <EmptyState title={t("services.noMatch", { text: filter })} text="" icon="search" />
        )}
      </section>
    </div>
  );
}

function columns(rates: Map<string, (number | null)[]>): Column<ServiceRow>[] {
  const ms = (value: number | null) => (value === null ? DASH : formatMs(value));
  const quantile = (id: "p50_ms" | "p95_ms" | "p99_ms"): Column<ServiceRow> => ({
    id,
    title: id.slice(0, 3),
    numeric: true,
    sort: (row) => row[id],
    cell: (row) => ms(row[id]),
  });
  return [
    {
      id: "name",
      title: t("services.name"),
      sort: (row) => row.name,
      cell: (row) => (
        <a class="service-name" href={linkTo(`/services/${row.namespace}/${row.name}`)}>
          {row.name}
        </a>
      ),
    },
    {
      id: "namespace",
      title: t("services.namespace"),
      sort: (row) => row.namespace,
      cell: (row) => <span class="muted">{row.namespace}</span>,
    },
    {
      id: "health",
      title: t("services.health"),
      sort: (row) => WORST.indexOf(row.health),
      cell: (row) => <HealthBadge health={row.health} tcp={isTcp(row) && row.rate > 0} />,
    },
    {
      id: "rate",
      title: t("services.rate"),
      numeric: true,
      sort: (row) => row.rate,
      cell: (row) => <RateCell text={rateText(row)} values={rates.get(`${row.namespace}/${row.name}`)} />,
    },
    {
      id: "errors",
      title: t("services.errors"),
      numeric: true,
      sort: (row) => (row.rate > 0 && !isTcp(row) ? row.error_ratio : null),
      cell: (row) => (
        <span class={errorTone(row.error_ratio)}>
          {row.rate > 0 && !isTcp(row) ? formatRatio(row.error_ratio, 2) : DASH}
        </span>
      ),
    },
    quantile("p50_ms"),
    quantile("p95_ms"),
    quantile("p99_ms"),
    {
      id: "versions",
      title: t("services.versions"),
      cell: (row) => <VersionSplit versions={row.versions} />,
    },
    {
      id: "protocols",
      title: t("services.protocols"),
      cell: (row) =>
        row.protocols.map((one) => (
          <span class="tag" key={one}>
            {one}
          </span>
        )),
    },
    {
      id: "mtls",
      title: t("metric.mtls"),
      sort: (row) => row.mtls,
      cell: (row) => <MutualTls part={row.mtls} />,
    },
  ];
}

/** A TCP service has no requests: its rate is of connections opened. */
export const isTcp = (row: ServiceRow): boolean =>
  row.protocols.length > 0 && row.protocols.every((one) => one === "tcp");

export function rateText(row: ServiceRow): string {
  if (row.rate <= 0) return DASH;
  return isTcp(row) ? t("services.connections", { rate: formatRate(row.rate) }) : formatRate(row.rate);
}

export function MutualTls({ part }: { part: number | null }) {
  if (part === null) return <span class="muted">{DASH}</span>;
  const full = part >= 0.9995;
  return (
    <span class={`with-icon ${full ? "muted" : "text-warn"}`}>
      <Icon name={full ? "lock" : "unlock"} size={14} />
      {formatRatio(part)}
    </span>
  );
}
