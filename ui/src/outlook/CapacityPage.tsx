/** Capacity: which service is full first, what each can take, and what more replicas or traffic would do. */

import { useEffect } from "preact/hooks";
import { type Capacities, fetchCapacities, type ServiceCapacity } from "../api/outlook";
import { params, setParams } from "../app/router";
import { EmptyState, LoadStates } from "../components/States";
import { type Column, readSorting, Table, writeSorting } from "../components/Table";
import { t } from "../i18n";
import { insightHref, InsightTabs } from "../insights/InsightTabs";
import { DASH, formatMs, formatNumber, formatRatio } from "../lib/format";
import { useData } from "../lib/useData";
import { CapacityDetail } from "./CapacityDetail";
import { band, daysText, figure, headroomTone, limitOf, rate, serviceName } from "./words";

export function CapacityPage() {
  useEffect(() => {
    document.title = `${t("insights.tab.capacity")} · Windvane`;
  });
  const loaded = useData("capacities", (signal) => fetchCapacities(null, signal), { live: false });
  const rows = loaded.data?.services ?? [];
  const asked = params.value.get("service");
  const chosen = rows.find((row) => serviceName(row) === asked) ?? rows.find((row) => !row.refused);
  return (
    <div class="page">
      <InsightTabs here="capacity" />
      {loaded.loading && <p class="muted page-note">{t("outlook.capacity.working")}</p>}
      <LoadStates loaded={loaded} />
      {loaded.data && rows.length === 0 && (
        <section class="card">
          <EmptyState
            title={t("outlook.capacity.empty")}
            text={t("outlook.capacity.empty.text")}
            icon="insights"
          />
        </section>
      )}
      {rows.length > 0 && (
        <section class="card">
          <header>
            <h2>{t("outlook.capacity.title")}</h2>
            <span class="end muted truncate">{first(loaded.data!)}</span>
          </header>
          <Table
            label={t("outlook.capacity.title")}
            rows={rows}
            rowKey={serviceName}
            columns={columns(chosen)}
            sorting={readSorting(params.value.get("sort"), { column: "headroom", descending: false })}
            onSort={(sorting) => setParams({ sort: writeSorting(sorting) })}
            testId="capacities"
          />
        </section>
      )}
      {chosen && !chosen.refused && (
        <CapacityDetail key={serviceName(chosen)} service={serviceName(chosen)} latency={chosen.latency} />
      )}
    </div>
  );
}

function first(found: Capacities): string {
  const one = found.services.find((row) => row.headroom !== null);
  if (!one) return "";
  return t("outlook.capacity.first", { service: serviceName(one), factor: formatNumber(one.headroom!) });
}

const columns = (chosen: ServiceCapacity | undefined): Column<ServiceCapacity>[] => [
  {
    id: "service",
    title: t("outlook.capacity.service"),
    sort: serviceName,
    cell: (row) => (
      <a
        class={`objective-link objective-${headroomTone(row.headroom)}`}
        href={insightHref("capacity", { service: serviceName(row) })}
        aria-current={row === chosen ? "true" : undefined}
      >
        <b>{row.service}</b>
        <span class="muted">{row.namespace}</span>
      </a>
    ),
  },
  {
    id: "headroom",
    title: t("outlook.capacity.headroom"),
    width: "190px",
    sort: (row) => row.headroom,
    cell: (row) => <Headroom row={row} />,
  },
  {
    id: "peak",
    title: t("outlook.capacity.peak"),
    numeric: true,
    sort: (row) => row.peak,
    cell: (row) => rate(row.peak),
  },
  {
    id: "limit",
    title: t("outlook.capacity.takes"),
    numeric: true,
    sort: (row) => limitOf(row)?.value ?? null,
    cell: (row) => (
      <span class="two-lines" title={band(limitOf(row), rate)}>
        <span>{figure(limitOf(row), rate)}</span>
        {!row.refused && <span class="muted">{by(row)}</span>}
      </span>
    ),
  },
  {
    id: "busy",
    title: t("outlook.capacity.busy"),
    numeric: true,
    sort: (row) => row.utilisation?.value ?? null,
    cell: (row) => figure(row.utilisation, formatRatio),
  },
  {
    id: "days",
    title: t("outlook.capacity.fullIn"),
    numeric: true,
    sort: (row) => row.days?.value ?? null,
    cell: (row) =>
      row.refused ? (
        DASH
      ) : row.days === null ? (
        <span class="muted">{t("outlook.capacity.notForeseen")}</span>
      ) : (
        <span title={band(row.days, daysText)}>{figure(row.days, daysText)}</span>
      ),
  },
];

function Headroom({ row }: { row: ServiceCapacity }) {
  if (row.headroom === null) return <span class="muted refused">{row.refused}</span>;
  const tone = headroomTone(row.headroom);
  return (
    <span class="budget" title={t("outlook.capacity.headroom.text")}>
      <b class={tone === "bad" ? "text-bad" : ""}>{formatNumber(row.headroom)}×</b>
      <span class="budget-bar" aria-hidden="true">
        <i class={`budget-${tone}`} style={{ width: `${Math.min(1, 1 / row.headroom) * 100}%` }} />
      </span>
    </span>
  );
}

const by = (row: ServiceCapacity): string =>
  row.latency === null
    ? t("outlook.capacity.bySaturation")
    : t("outlook.capacity.byObjective", {
        quantile: `p${Number((100 * row.quantile).toFixed(2))}`,
        time: formatMs(row.latency * 1000),
      });
