/** What is inside a panel, by its kind. */

import { useMemo } from "preact/hooks";
import type { Dashboard, Panel } from "../api/dashboards";
import { linkTo } from "../app/router";
import { Sparkline } from "../components/Sparkline";
import { type Column, Table } from "../components/Table";
import { useState } from "preact/hooks";
import { t } from "../i18n";
import { heatRows, nativeRows, trimmed } from "../metrics/buckets";
import { Heatmap } from "../metrics/Heatmap";
import { Plot } from "../metrics/Plot";
import { linesOf, type PlotLine, summary } from "../metrics/series";
import { formatter } from "../metrics/units";
import type { PanelData, Settled } from "./load";
import { joinRows, type TableRow } from "./table";
import { toneOf } from "./tone";

interface Props {
  panel: Panel;
  data: PanelData;
  dashboard: Dashboard;
  settled: Settled;
  /** Of the whole card. */
  height: number;
  zoomed: boolean;
}

const HEADER = 38;

export function PanelBody(props: Props) {
  const lines = useMemo(() => panelLines(props.panel, props.data), [props.data, props.panel]);
  if (props.panel.kind === "table") return <TablePanel {...props} />;
  if (props.panel.kind === "heatmap") return <HeatPanel {...props} />;
  if (!lines.some((line) => line.values.some((value) => value !== null)))
    return <p class="panel-nothing">{t("metric.noData")}</p>;
  if (props.panel.kind === "stat") return <StatPanel {...props} lines={lines} />;
  if (props.panel.kind === "gauge") return <GaugePanel {...props} lines={lines} />;
  return <LinesPanel {...props} lines={lines} />;
}

function panelLines(panel: Panel, data: PanelData): PlotLine[] {
  const lines: PlotLine[] = [];
  data.answers.forEach((answer, query) => {
    if (!answer) return;
    const legend = panel.targets[query]!.legend;
    lines.push(
      ...linesOf(answer, {
        times: data.times,
        step: data.step,
        query,
        first: lines.length,
        ...(legend ? { legend } : {}),
      }),
    );
  });
  // A quantile of nothing is NaN: such a series is no line, and would only fill the legend.
  return lines.filter((line) => line.values.some((value) => value !== null));
}

const LEGEND_ROWS = 60;

function LinesPanel({ panel, data, height, lines, zoomed }: Props & { lines: PlotLine[] }) {
  const [only, setOnly] = useState<string | null>(null);
  const shown = only ? lines.filter((line) => line.key === only) : lines;
  const small = height < 170;
  const named = lines.length > 1 || lines[0]!.label !== "";
  return (
    <>
      <Plot
        label={panel.title}
        times={data.times}
        lines={shown.length ? shown : lines}
        units={(shown.length ? shown : lines).map(() => panel.unit)}
        stacked={panel.stacked}
      />
      {named && (
        <ul class="panel-legend" style={{ maxHeight: small ? 20 : zoomed ? 160 : 58 }}>
          {lines.slice(0, LEGEND_ROWS).map((line) => (
            <li key={line.key}>
              <button
                type="button"
                aria-pressed={only === null || only === line.key}
                title={line.label || line.title}
                onClick={() => setOnly(only === line.key ? null : line.key)}
              >
                <i style={{ background: `var(${line.colour})` }} />
                <span class="truncate">{line.label || line.title}</span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

function StatPanel({ panel, lines, data }: Props & { lines: PlotLine[] }) {
  const line = lines[0]!;
  const { last } = summary(line.values);
  const tone = toneOf(panel.thresholds, last);
  return (
    <div class="stat">
      <b
        class={`stat-value ${tone === "warn" || tone === "bad" ? `text-${tone}` : ""}`}
        data-testid="stat-value"
      >
        {formatter(panel.unit)(last)}
      </b>
      {data.times.length > 2 && <Sparkline values={line.values} width={240} height={36} />}
    </div>
  );
}

function GaugePanel({ panel, lines }: Props & { lines: PlotLine[] }) {
  const { last } = summary(lines[0]!.values);
  const share = Math.max(0, Math.min(1, last ?? 0));
  const tone = toneOf(panel.thresholds, last) ?? "ok";
  return (
    <div class="stat gauge">
      <svg viewBox="0 0 120 66" role="img" aria-label={formatter(panel.unit)(last)}>
        <path class="gauge-track" d="M10 60a50 50 0 0 1 100 0" pathLength={1} />
        <path
          class={`gauge-value gauge-${tone}`}
          d="M10 60a50 50 0 0 1 100 0"
          pathLength={1}
          stroke-dasharray={`${share} 1`}
        />
      </svg>
      <b class={`stat-value ${tone === "ok" ? "" : `text-${tone}`}`}>{formatter(panel.unit)(last)}</b>
    </div>
  );
}

function HeatPanel({ panel, data, height }: Props) {
  const answer = data.answers[0];
  const rows = useMemo(() => {
    if (!answer) return [];
    const native = answer.series.some((one) => one.histograms);
    return trimmed((native ? nativeRows : heatRows)(answer, data.times, data.step));
  }, [answer]);
  if (rows.length === 0) return <p class="panel-nothing">{t("metric.noData")}</p>;
  return (
    <Heatmap
      label={panel.title}
      rows={rows}
      times={data.times}
      unit={panel.unit}
      height={Math.max(80, height - HEADER - 8)}
    />
  );
}

const TABLE_ROWS = 100;

function TablePanel({ panel, data }: Props) {
  const rows = useMemo(() => joinRows(panel, data.answers), [panel, data]);
  const [sorting, setSorting] = useState({ column: "0", descending: true });
  if (rows.length === 0) return <p class="panel-nothing">{t("metric.noData")}</p>;
  return (
    <div class="panel-rows">
      <Table
        label={panel.title}
        columns={tableColumns(panel)}
        rows={rows.slice(0, TABLE_ROWS)}
        rowKey={(row) => row.key}
        sorting={sorting}
        onSort={setSorting}
        compact
      />
      {rows.length > TABLE_ROWS && (
        <p class="muted legend-more">{t("dashboards.first", { n: TABLE_ROWS, all: rows.length })}</p>
      )}
    </div>
  );
}

function tableColumns(panel: Panel): Column<TableRow>[] {
  const linked = (label: string) =>
    panel.links.find((link) => Object.values(link.variables).at(-1) === label);
  return [
    ...panel.labels.map(({ label, title }): Column<TableRow> => {
      const link = linked(label);
      return {
        id: label,
        title,
        sort: (row) => row.labels[label] ?? null,
        cell: (row) => {
          const text = row.labels[label] ?? "";
          if (!link || !text) return text;
          const filled = Object.entries(link.variables).map(([name, source]) => [
            `var-${name}`,
            row.labels[source] ?? "",
          ]);
          return (
            <a href={linkTo(`/dashboards/${link.uid}`, Object.fromEntries(filled) as Record<string, string>)}>
              {text}
            </a>
          );
        },
      };
    }),
    ...panel.targets.map((target, index): Column<TableRow> => ({
      id: String(index),
      title: target.legend,
      numeric: true,
      sort: (row) => row.values[index] ?? null,
      cell: (row) => formatter(target.unit)(row.values[index]),
    })),
  ];
}
