/** The service's requests split by version, by response code and by Envoy's response flag. */

import { queryRange } from "../api/prometheus";
import { currentRange } from "../app/range";
import { Chart, type Line } from "../components/Chart";
import type { Traffic } from "../graph/target";
import { t } from "../i18n";
import { formatMs, formatRate } from "../lib/format";
import { quantile, REQUESTS, rateBy } from "../lib/promql";
import { beside, type Columns, onGrid, sumBy } from "../lib/signals";
import type { TimeRange } from "../lib/time";
import { useData } from "../lib/useData";
import { grid, type Signals } from "../lib/useSignals";

const VERSION = "destination_canonical_revision";
/** More lines than this are not told apart: the rest is left to the tables. */
const MOST_LINES = 8;

export function ServiceBreakdown({ traffic, signals }: { traffic: Traffic; signals: Signals | undefined }) {
  const range = currentRange();
  const versions = useData(
    `versions ${JSON.stringify([traffic, range])}`,
    (signal) => byVersion(traffic, range, signal),
    {
      keep: false,
    },
  );
  const flags = signals && named(signals.byFlag, (name) => (name === "-" ? t("service.noFlag") : name));
  const card = (
    title: string,
    columns: Columns | undefined,
    lines: Line[],
    format: (value: number) => string,
  ) => (
    <section class="card card-body">
      <Chart title={title} columns={columns} lines={lines} format={format} height={140} />
    </section>
  );
  const rate = versions.data?.rate;
  const p95 = versions.data?.p95;
  return (
    <div class="grid-2">
      {card(t("service.byVersion"), rate, linesOf(rate), formatRate)}
      {card(t("service.byVersionDuration"), p95, linesOf(p95), formatMs)}
      {card(
        t("service.byCode"),
        signals && top(signals.byCode),
        linesOf(signals && top(signals.byCode), codeColour),
        formatRate,
      )}
      {card(t("service.byFlag"), flags && top(flags), linesOf(flags && top(flags), flagColour), formatRate)}
    </div>
  );
}

async function byVersion(traffic: Traffic, range: TimeRange, signal: AbortSignal) {
  const { from, to, step, window } = grid(range);
  const matchers = { ...traffic.matchers, reporter: traffic.reporter };
  const [rate, p95] = await Promise.all([
    queryRange(rateBy(REQUESTS, matchers, [VERSION], window), from, to, step, signal),
    queryRange(quantile(0.95, matchers, [VERSION], window), from, to, step, signal),
  ]);
  const order = (columns: Columns): Columns => ({
    ...columns,
    lines: [...columns.lines].sort((a, b) => a.name.localeCompare(b.name)),
  });
  const name = (labels: Record<string, string>) => labels[VERSION] || t("common.unknown");
  return {
    rate: onGrid(order(sumBy(rate, name)), from, to, step),
    p95: onGrid(order(beside(p95.map((series) => ({ name: name(series.labels), series })))), from, to, step),
  };
}

const top = (columns: Columns): Columns => ({ ...columns, lines: columns.lines.slice(0, MOST_LINES) });

const named = (columns: Columns, name: (name: string) => string): Columns => ({
  ...columns,
  lines: columns.lines.map((line) => ({ ...line, name: name(line.name) })),
});

function linesOf(columns: Columns | undefined, colour?: (name: string, index: number) => string): Line[] {
  return (columns?.lines ?? []).map((line, index) => ({
    label: line.name,
    colour: colour?.(line.name, index) ?? `--c${(index % 10) + 1}`,
  }));
}

const SHADES = ["--bad", "--c3", "--c6", "--c4", "--c8", "--c10"];

function codeColour(name: string, index: number): string {
  if (/^2|^gRPC 0$/.test(name)) return "--ok";
  if (name.startsWith("3")) return "--c5";
  if (name.startsWith("4")) return "--warn";
  return SHADES[index % SHADES.length]!;
}

function flagColour(name: string, index: number): string {
  return index === 0 && !/^[A-Z]/.test(name) ? "--ok" : SHADES[(index + 5) % SHADES.length]!;
}
