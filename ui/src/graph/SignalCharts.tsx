/** Rate, errors and duration of some traffic, as three small charts; bytes for TCP. */

import { currentRange } from "../app/range";
import { Chart } from "../components/Chart";
import { ErrorState } from "../components/States";
import { t } from "../i18n";
import { formatByteRate, formatMs, formatRate, formatRatio } from "../lib/format";
import { chartRange, useSignals, useTcpSignals } from "../lib/useSignals";
import type { Traffic } from "./target";

export const DURATION_LINES = [
  { label: "p50", colour: "--c2" },
  { label: "p95", colour: "--c1" },
  { label: "p99", colour: "--c4" },
];

export function SignalCharts({ traffic }: { traffic: Traffic | null }) {
  const loaded = useSignals(traffic, chartRange(currentRange()));
  if (loaded.error) return <ErrorState error={loaded.error} retry={loaded.retry} />;
  const signals = loaded.data;
  return (
    <div class="panel-charts">
      <Chart
        title={t("metric.requests")}
        columns={signals?.requests}
        lines={[
          { label: t("metric.total"), colour: "--accent", fill: true },
          { label: t("metric.errors"), colour: "--bad", fill: true },
        ]}
        format={formatRate}
        height={96}
        compact
      />
      <Chart
        title={t("metric.errorRatio")}
        columns={signals?.ratio}
        lines={[{ label: t("metric.errors"), colour: "--bad", fill: true }]}
        format={formatRatio}
        minimumTop={0.02}
        height={80}
        compact
      />
      <Chart
        title={t("metric.duration")}
        columns={signals?.duration}
        lines={DURATION_LINES}
        format={formatMs}
        height={96}
        compact
      />
    </div>
  );
}

export function TcpCharts({ traffic }: { traffic: Traffic | null }) {
  const loaded = useTcpSignals(traffic, chartRange(currentRange()));
  if (loaded.error) return <ErrorState error={loaded.error} retry={loaded.retry} />;
  return (
    <div class="panel-charts">
      <Chart
        title={t("metric.throughput")}
        columns={loaded.data?.bytes}
        lines={[
          { label: t("metric.sent"), colour: "--c1" },
          { label: t("metric.received"), colour: "--c2" },
        ]}
        format={formatByteRate}
        binary
        height={96}
        compact
      />
      <Chart
        title={t("metric.connections")}
        columns={loaded.data?.opened}
        lines={[{ label: t("metric.connections"), colour: "--accent" }]}
        format={formatRate}
        height={80}
        compact
      />
    </div>
  );
}
