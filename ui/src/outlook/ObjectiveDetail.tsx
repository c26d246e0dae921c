/** One indicator of an objective: its budget over the period, how fast it burnt, and the rows that alert. */

import { useMemo } from "preact/hooks";
import { type BurnWindow, fetchObjective, type Indicator, type SloAlert } from "../api/outlook";
import { language } from "../app/prefs";
import { linkTo } from "../app/router";
import { Icon } from "../components/Icon";
import { LoadStates } from "../components/States";
import { Table } from "../components/Table";
import { Facts } from "../graph/SidePanel";
import { t } from "../i18n";
import { formatCount, formatNumber } from "../lib/format";
import { useData } from "../lib/useData";
import { Ago } from "../targets/Ago";
import { BandChart, type Level, type Moment } from "./BandChart";
import { BurnRate } from "./Budget";
import { budgetText, endDetail, endText, promise, type Row, seenText, stretches } from "./words";

export function ObjectiveDetail({ row }: { row: Row }) {
  const { objective } = row;
  const loaded = useData(`objective ${row.key}`, (signal) =>
    fetchObjective(objective.namespace, objective.name, signal),
  );
  const one = loaded.data?.indicators.find((each) => each.indicator === row.one.indicator) ?? row.one;
  return (
    <section class="card" data-testid="objective-detail">
      <header>
        <h2>{objective.name}</h2>
        <span class="muted truncate">{promise(one)}</span>
        <span class="end muted mono truncate" title={objective.file}>
          {objective.file.split("/").pop()}:{objective.line}
        </span>
      </header>
      <div class="card-body stack">
        {objective.description && <p class="objective-description">{objective.description}</p>}
        <Facts
          facts={[
            { label: t("outlook.slo.left"), value: budgetText(one.remaining), ...tone(row) },
            {
              label: t("outlook.slo.seen"),
              value: one.attained === null ? t("outlook.slo.noRequests") : seenText(one.attained),
            },
            {
              label: t("outlook.slo.requests"),
              value: t("outlook.slo.badOfAll", { bad: formatCount(one.bad), all: formatCount(one.all) }),
            },
            { label: t("outlook.slo.exhaustion"), value: endText(one.exhaustion) },
            {
              label: t("outlook.slo.known"),
              value: t("outlook.slo.hours", { known: one.known_hours, hours: one.hours }),
            },
          ]}
        />
        <p class="muted">{endDetail(one.exhaustion)}</p>
        {loaded.error && <LoadStates loaded={loaded} rows={3} />}
        <Charts one={one} />
        <Windows one={one} />
        <Alerts alerts={one.alerts} />
        <p>
          <a class="link" href={linkTo(`/services/${service(objective.service)}`)}>
            {t("outlook.toService", { service: objective.service })}
          </a>
        </p>
      </div>
    </section>
  );
}

const tone = (row: Row) =>
  row.tone === "bad" ? { tone: "text-bad" } : row.tone === "warn" ? { tone: "text-warn" } : {};

/** "reviews.shop" as the path of its page. */
function service(name: string): string {
  const [short = "", namespace = ""] = name.split(".");
  return `${encodeURIComponent(namespace)}/${encodeURIComponent(short)}`;
}

function Charts({ one }: { one: Indicator }) {
  const { history } = one;
  const shape = useMemo(() => {
    const firing: Moment[] = one.alerts.map((alert) => ({
      at: alert.since,
      until: history.times[history.times.length - 1] ?? alert.since,
      label: alert.window,
      colour: alert.severity === "page" ? "--bad" : "--warn",
    }));
    const burnt: Moment[] = stretches(history.times, history.burn, history.step).map((each) => ({
      ...each,
      label: "",
      colour: "--warn",
    }));
    return {
      remaining: [{ label: t("outlook.slo.left"), colour: "--accent", values: history.remaining }],
      burn: [{ label: t("outlook.slo.burn"), colour: "--c3", values: history.burn }],
      moments: [...burnt, ...firing],
      none: [{ value: 0, label: t("outlook.slo.nothingLeft"), colour: "--bad" }] as Level[],
      lasting: [{ value: 1, label: t("outlook.slo.lasting"), colour: "--text-3" }] as Level[],
    };
  }, [history, one.alerts, language.value]);
  return (
    <div class="outlook-charts">
      <BandChart
        title={t("outlook.slo.chart.left")}
        x={history.times}
        time
        lines={shape.remaining}
        moments={shape.moments}
        levels={shape.none}
        format={budgetText}
        range={(low, high) => [Math.min(-0.05, low * 1.1), Math.max(1, high) * 1.04]}
        testId="budget-chart"
      />
      <BandChart
        title={t(history.step === 3_600 ? "outlook.slo.chart.burn" : "outlook.slo.chart.burn5")}
        x={history.times}
        time
        lines={shape.burn}
        levels={shape.lasting}
        format={(value) => `${formatNumber(value)}×`}
        range={(_, high) => [0, Math.max(1.5, high * 1.1)]}
      />
    </div>
  );
}

function Windows({ one }: { one: Indicator }) {
  const burn = (row: BurnWindow, which: "long_burn" | "short_burn") => (
    <BurnRate value={row[which]} threshold={row.threshold} />
  );
  return (
    <Table
      label={t("outlook.slo.windows")}
      rows={one.windows}
      rowKey={(row) => row.long}
      compact
      columns={[
        {
          id: "what",
          title: t("outlook.slo.severity"),
          cell: (row) => t(`outlook.slo.severity.${row.severity}`),
        },
        { id: "windows", title: t("outlook.slo.windows"), cell: (row) => `${row.long} · ${row.short}` },
        {
          id: "long",
          title: t("outlook.slo.burnLong"),
          numeric: true,
          cell: (row) => burn(row, "long_burn"),
        },
        {
          id: "short",
          title: t("outlook.slo.burnShort"),
          numeric: true,
          cell: (row) => burn(row, "short_burn"),
        },
        {
          id: "threshold",
          title: t("outlook.slo.threshold"),
          numeric: true,
          cell: (row) => `${formatNumber(row.threshold)}×`,
        },
        {
          id: "state",
          title: t("outlook.slo.state"),
          cell: (row) =>
            row.exceeded ? (
              <span class="health health-bad">
                <i />
                {t("outlook.slo.exceeded")}
              </span>
            ) : (
              <span class="muted">{t("outlook.slo.within")}</span>
            ),
        },
      ]}
    />
  );
}

function Alerts({ alerts }: { alerts: SloAlert[] }) {
  if (alerts.length === 0) return null;
  return (
    <ul class="slo-alerts" data-testid="slo-alerts">
      {alerts.map((alert) => (
        <li key={alert.window}>
          <Icon name="bell" size={14} />
          <b>{t(alert.state === "firing" ? "outlook.slo.firing" : "outlook.slo.pending")}</b>
          <span class="truncate">{alert.summary}</span>
          <span class="muted end">
            <Ago time={alert.since} />
          </span>
        </li>
      ))}
    </ul>
  );
}
