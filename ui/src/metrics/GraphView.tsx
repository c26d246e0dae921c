/** The explorer's graph and its legend: a line a series, each of which can be hidden or shown alone. */

import { useMemo, useState } from "preact/hooks";
import { linkTo } from "../app/router";
import { EmptyState } from "../components/States";
import { t } from "../i18n";
import type { Exemplar, Labels } from "../api/prometheus";
import { dateTime } from "../lib/time";
import type { Loaded } from "./load";
import { type Mark, Plot } from "./Plot";
import { letter } from "./QueryRow";
import { commonLabels, linesOf, type PlotLine, seriesText, summary } from "./series";
import { formatter, guessUnit } from "./units";

/** More lines than this are drawn only when asked: nobody can read them, and drawing takes its time. */
const DRAWN = 100;
const MARKS = 120;

export function GraphView({ loaded }: { loaded: Loaded }) {
  const { lines, units, common, histograms } = useMemo(() => allLines(loaded), [loaded]);
  const [off, setOff] = useState<ReadonlySet<string>>(new Set());
  const [all, setAll] = useState(false);
  const offered = all ? lines : lines.slice(0, DRAWN);
  const shown = useMemo(() => offered.filter((line) => !off.has(line.key)), [lines, off, all]);
  const marks = useMemo(() => exemplarMarks(loaded.exemplars), [loaded]);
  if (lines.length === 0) {
    const failed = loaded.results.every((result) => result === null || result.error);
    return (
      <EmptyState
        title={
          failed
            ? t("metrics.none.failed")
            : histograms
              ? t("metrics.none.histograms")
              : t("metrics.none.title")
        }
        text={
          failed
            ? t("metrics.none.failedText")
            : histograms
              ? t("metrics.none.histogramsText")
              : t("metrics.none.text")
        }
        icon="search"
      />
    );
  }
  const toggle = (key: string) => {
    const next = new Set(off);
    if (!next.delete(key)) next.add(key);
    setOff(next);
  };
  const only = (key: string) => {
    const alone = shown.length === 1 && shown[0]!.key === key;
    setOff(alone ? new Set() : new Set(offered.filter((line) => line.key !== key).map((line) => line.key)));
  };
  return (
    <div class="card-body">
      <Plot
        label={t("metrics.graph.label", { n: shown.length })}
        times={loaded.times}
        lines={shown}
        units={shown.map((line) => units[line.query]!)}
        height={graphHeight()}
        marks={marks}
        testId="metrics-graph"
      />
      <LegendTable
        lines={offered}
        units={units}
        off={off}
        common={common}
        toggle={toggle}
        only={only}
        several={loaded.results.length > 1}
      />
      {lines.length > DRAWN && (
        <p class="legend-more">
          <button type="button" class="link" onClick={() => setAll(!all)}>
            {all ? t("common.less") : t("metrics.showAll", { shown: DRAWN, n: lines.length })}
          </button>
        </p>
      )}
    </div>
  );
}

/** Leaves room for the legend in a low window. */
const graphHeight = (): number => Math.round(Math.min(380, Math.max(240, window.innerHeight * 0.38)));

function allLines(loaded: Loaded) {
  const lines: PlotLine[] = [];
  const labels: Labels[] = [];
  let histograms = false;
  loaded.results.forEach((result, query) => {
    if (!result?.answer) return;
    const { answer } = result;
    histograms ||= answer.series.some((one) => one.histograms);
    const drawable = { ...answer, series: answer.series.filter((one) => one.values.length > 0) };
    labels.push(...drawable.series.map((one) => one.labels));
    lines.push(...linesOf(drawable, { times: loaded.times, step: loaded.step, query, first: lines.length }));
  });
  const units = loaded.results.map((result) => guessUnit(result?.expr ?? ""));
  const single = loaded.results.filter((result) => result?.answer).length === 1;
  return { lines, units, common: single ? commonLabels(labels) : {}, histograms };
}

interface LegendProps {
  lines: PlotLine[];
  units: string[];
  off: ReadonlySet<string>;
  common: Labels;
  toggle: (key: string) => void;
  only: (key: string) => void;
  several: boolean;
}

function LegendTable({ lines, units, off, common, toggle, only, several }: LegendProps) {
  const shared = Object.keys(common).length > 0 ? seriesText(common) : "";
  return (
    <div class="table-scroll legend-scroll">
      <table
        class="table table-compact legend-table"
        aria-label={t("metrics.legend")}
        data-testid="metrics-legend"
      >
        <thead>
          <tr>
            <th scope="col">
              {t("metrics.series")}
              {shared && lines.length > 1 && (
                <span class="legend-common mono truncate" title={shared}>
                  {shared}
                </span>
              )}
            </th>
            {(["last", "min", "mean", "max"] as const).map((name) => (
              <th key={name} scope="col" class="numeric">
                {t(`metrics.legend.${name}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {lines.map((line) => (
            <LegendRow
              key={line.key}
              line={line}
              unit={units[line.query]!}
              off={off.has(line.key)}
              toggle={toggle}
              only={only}
              several={several}
            />
          ))}
        </tbody>
      </table>
    </div>
  );
}

function LegendRow(props: {
  line: PlotLine;
  unit: string;
  off: boolean;
  toggle: (key: string) => void;
  only: (key: string) => void;
  several: boolean;
}) {
  const { line, unit, off } = props;
  const figures = summary(line.values);
  const format = formatter(unit);
  return (
    <tr class={off ? "legend-off" : ""} data-testid="legend-row">
      <td>
        <span class="legend-name">
          <button
            type="button"
            class="legend-swatch"
            aria-pressed={!off}
            aria-label={t("metrics.legend.toggle", { series: line.title })}
            title={t("metrics.legend.toggleShort")}
            onClick={() => props.toggle(line.key)}
          >
            <i style={{ background: `var(${line.colour})` }} class={line.dash ? "dashed" : ""} />
          </button>
          {props.several && <b class="query-letter">{letter(line.query)}</b>}
          <button
            type="button"
            class="legend-only mono truncate"
            title={`${line.title}\n${t("metrics.legend.only")}`}
            onClick={() => props.only(line.key)}
          >
            {line.label}
          </button>
        </span>
      </td>
      <td class="numeric">
        <b>{format(figures.last)}</b>
      </td>
      <td class="numeric">{format(figures.min)}</td>
      <td class="numeric">{format(figures.mean)}</td>
      <td class="numeric">{format(figures.max)}</td>
    </tr>
  );
}

const TRACE_LABELS = ["trace_id", "traceID", "traceId", "TraceID"];

/** Exemplars with a trace, the largest values first where there are too many. */
export function exemplarMarks(found: Exemplar[]): Mark[] {
  const traced = found.flatMap((one) => {
    const trace = TRACE_LABELS.map((name) => one.labels[name]).find(Boolean);
    return trace ? [{ ...one, trace }] : [];
  });
  const unique = new Map(traced.map((one) => [`${one.trace} ${one.time} ${one.value}`, one]));
  return [...unique]
    .sort(([, a], [, b]) => b.value - a.value)
    .slice(0, MARKS)
    .map(([key, one]) => ({
      key,
      time: one.time,
      value: one.value,
      href: linkTo(`/traces/${one.trace}`, { range: null, from: null, to: null }),
      title: t("metrics.exemplar", { trace: one.trace, value: String(one.value), time: dateTime(one.time) }),
    }));
}
