/** One service: how many ask, how many fail, how long it takes; by version, code and flag; with whom. */

import { useEffect } from "preact/hooks";
import { fetchServices } from "../api/own";
import { ServiceChanges } from "../config/ServiceChanges";
import { currentRange } from "../app/range";
import { linkTo, params, setParams } from "../app/router";
import { Chart } from "../components/Chart";
import { Segmented } from "../components/Controls";
import { errorTone, HealthBadge } from "../components/Health";
import { Icon } from "../components/Icon";
import { EmptyState, ErrorState } from "../components/States";
import { Facts } from "../graph/SidePanel";
import { DURATION_LINES } from "../graph/SignalCharts";
import type { Traffic } from "../graph/target";
import { t } from "../i18n";
import { ServiceIncidents } from "../insights/IncidentBanner";
import { useOverlays } from "../insights/useOverlays";
import { DASH, formatByteRate, formatMs, formatRate, formatRatio } from "../lib/format";
import { inboundMatchers, type Reporter, type Target } from "../lib/promql";
import { durationText, rangeSeconds } from "../lib/time";
import { useData } from "../lib/useData";
import { useSignals, useTcpSignals } from "../lib/useSignals";
import { ServiceBreakdown } from "./Breakdown";
import { Operations } from "./Operations";
import { Peers } from "./Peers";
import { RecentTraces } from "./RecentTraces";
import { isTcp, MutualTls, rateText } from "./ServicesPage";
import { VersionSplit } from "./VersionSplit";

export function ServicePage({ namespace, name }: { namespace: string; name: string }) {
  useEffect(() => {
    document.title = `${name} · Windvane`;
  });
  const reporter: Reporter = params.value.get("by") === "server" ? "destination" : "source";
  const target: Target = { kind: "service", namespace, service: name };
  const traffic: Traffic = { matchers: inboundMatchers(target), reporter };
  return (
    <div class="page">
      <a class="breadcrumb" href={linkTo("/services")}>
        <Icon name="left" size={12} />
        {t("service.back")}
      </a>
      <ServiceHead namespace={namespace} name={name} reporter={reporter} />
      <ServiceIncidents name={`${name}.${namespace}`} />
      <ServiceCharts traffic={traffic} namespace={namespace} name={name} />
      <ServiceChanges namespace={namespace} name={name} />
      <Operations service={`${name}.${namespace}`} />
      <Peers target={target} />
      <RecentTraces service={`${name}.${namespace}`} />
    </div>
  );
}

function ServiceHead({ namespace, name, reporter }: { namespace: string; name: string; reporter: Reporter }) {
  const range = currentRange();
  const window = durationText(rangeSeconds(range));
  const time = range.kind === "absolute" ? range.to : null;
  const loaded = useData(`services ${window} ${time}`, (signal) => fetchServices(window, time, signal));
  const row = loaded.data?.find((one) => one.name === name && one.namespace === namespace);
  const ms = (value: number | null | undefined) => (value == null ? DASH : formatMs(value));
  return (
    <>
      <div class="page-head">
        <h1>
          {name}
          <span class="tag">{namespace}</span>
        </h1>
        <HealthBadge health={row?.health ?? "NA"} tcp={row !== undefined && isTcp(row)} />
        {row && <MutualTls part={row.mtls} />}
        <div class="end">
          <span class="muted">{t("service.reporter")}</span>
          <Segmented
            label={t("service.reporter")}
            value={reporter}
            onChange={(next) => setParams({ by: next === "destination" ? "server" : null })}
            options={[
              { value: "source", label: t("service.reporter.source") },
              { value: "destination", label: t("service.reporter.destination") },
            ]}
          />
          <a class="button button-plain" href={linkTo("/", { find: `service = ${name} OR app = ${name}` })}>
            <Icon name="graph" />
            <span>{t("service.showInGraph")}</span>
          </a>
        </div>
      </div>
      <section class="card head-facts">
        <Facts
          facts={[
            { label: t("metric.rate"), value: row ? rateText(row) : DASH },
            {
              label: t("metric.errorRatio"),
              value: row && row.rate > 0 && !isTcp(row) ? formatRatio(row.error_ratio, 2) : DASH,
              tone: errorTone(row?.error_ratio),
            },
            { label: "p50", value: ms(row?.p50_ms) },
            { label: "p95", value: ms(row?.p95_ms) },
            { label: "p99", value: ms(row?.p99_ms) },
          ]}
        />
        {row && row.versions.length > 1 && <VersionSplit versions={row.versions} />}
      </section>
    </>
  );
}

function ServiceCharts({ traffic, namespace, name }: { traffic: Traffic; namespace: string; name: string }) {
  const range = currentRange();
  const loaded = useSignals(traffic, range);
  const overlays = useOverlays(namespace, name, range);
  const silent = loaded.data !== undefined && loaded.data.outcome.length === 0;
  const tcp = useTcpSignals(silent ? traffic : null, range);
  if (loaded.error) return <ErrorState error={loaded.error} retry={loaded.retry} />;
  const hasTcp = tcp.data?.bytes.lines.some((line) => line.values.some((value) => value !== null));
  if (silent && hasTcp) return <TcpPanels columns={tcp.data!} />;
  if (silent && tcp.data) {
    return (
      <section class="card">
        <EmptyState title={t("service.missing.title", { name })} text={t("service.missing.text")} />
      </section>
    );
  }
  const signals = loaded.data;
  return (
    <>
      <div class="grid-3">
        <section class="card card-body">
          <Chart
            title={t("metric.requests")}
            columns={signals?.requests}
            lines={[
              { label: t("metric.total"), colour: "--accent", fill: true },
              { label: t("metric.errors"), colour: "--bad", fill: true },
            ]}
            format={formatRate}
            height={168}
            overlay={overlays.rate}
          />
        </section>
        <section class="card card-body">
          <Chart
            title={t("metric.errorRatio")}
            columns={signals?.ratio}
            lines={[{ label: t("metric.errors"), colour: "--bad", fill: true }]}
            format={formatRatio}
            minimumTop={0.02}
            height={168}
            overlay={overlays.errors}
          />
        </section>
        <section class="card card-body">
          <Chart
            title={t("metric.duration")}
            columns={signals?.duration}
            lines={DURATION_LINES}
            format={formatMs}
            height={168}
            overlay={overlays.latency}
          />
        </section>
      </div>
      <ServiceBreakdown traffic={traffic} signals={signals} />
    </>
  );
}

function TcpPanels({ columns }: { columns: NonNullable<ReturnType<typeof useTcpSignals>["data"]> }) {
  return (
    <div class="grid-2">
      <section class="card card-body">
        <Chart
          title={t("metric.throughput")}
          columns={columns.bytes}
          lines={[
            { label: t("metric.sent"), colour: "--c1" },
            { label: t("metric.received"), colour: "--c2" },
          ]}
          format={formatByteRate}
          binary
          height={168}
        />
      </section>
      <section class="card card-body">
        <Chart
          title={t("metric.connections")}
          columns={columns.opened}
          lines={[{ label: t("metric.connections"), colour: "--accent" }]}
          format={formatRate}
          height={168}
        />
      </section>
    </div>
  );
}
