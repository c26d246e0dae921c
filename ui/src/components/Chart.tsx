/** A time chart on uPlot, with our colours, a legend that reads values, and cursors that move together. */

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { shownTheme } from "../app/prefs";
import { t } from "../i18n";
import type { Columns } from "../lib/signals";
import { latest } from "../lib/signals";
import { clockTime } from "../lib/time";
import { drawMarks, markAt, redrawMarks, useConfigMarks } from "../config/marks";
import type { ConfigMark } from "../config/model";
import { axisWidth, POWERS_OF_TWO, readColours, tickText, TIME_STEPS, zoomTo } from "./axes";

export interface Line {
  label: string;
  /** A colour token of the style sheet, such as "--accent". */
  colour: string;
  fill?: boolean;
  dash?: boolean;
}

interface Props {
  title: string;
  columns: Columns | undefined;
  lines: Line[];
  format: (value: number) => string;
  height?: number;
  /** Keep at least this much on the value axis, so that tiny noise does not look like a storm. */
  minimumTop?: number;
  compact?: boolean;
  /** Mark the value axis at powers of two, for bytes. */
  binary?: boolean;
}

const SYNC = uPlot.sync("windvane");

export function Chart({
  title,
  columns,
  lines,
  format,
  height = 132,
  minimumTop = 0,
  compact,
  binary = false,
}: Props) {
  const root = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const [pointed, setPointed] = useState<ConfigMark | null>(null);
  const marks = useConfigMarks();
  const drawn = useRef(marks);
  drawn.current = marks;
  const theme = shownTheme.value;
  const empty =
    !columns || columns.times.length === 0 || columns.lines.every((l) => l.values.every((v) => v === null));
  const shape = lines.map((line) => line.label + line.colour).join("|");

  useEffect(() => {
    const element = root.current;
    if (!element || empty) return;
    const chart = new uPlot(
      options({
        lines,
        format,
        height,
        width: element.clientWidth,
        minimumTop,
        binary,
        marks: drawn,
        onCursor: setCursor,
        onMark: setPointed,
      }),
      data(columns),
      element,
    );
    plot.current = chart;
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = null;
    };
  }, [shape, theme, empty, height]);

  useEffect(() => {
    if (columns && plot.current) plot.current.setData(data(columns));
  }, [columns]);

  useEffect(() => redrawMarks(plot.current), [marks]);

  return (
    <figure class={`chart ${compact ? "chart-compact" : ""}`}>
      <figcaption>
        <span class="chart-title">{title}</span>
        {pointed ? (
          <span class="chart-legend chart-mark truncate">{pointed.text}</span>
        ) : (
          <Legend lines={lines} columns={columns} at={cursor} format={format} />
        )}
      </figcaption>
      <div class="chart-area" style={{ height }} ref={root} role="img" aria-label={title}>
        {empty && (
          <p class={`chart-empty ${columns ? "" : "chart-loading"}`}>{columns ? t("metric.noData") : ""}</p>
        )}
      </div>
    </figure>
  );
}

function Legend(props: {
  lines: Line[];
  columns: Columns | undefined;
  at: number | null;
  format: Props["format"];
}) {
  const { lines, columns, at, format } = props;
  const value = (index: number) => {
    const values = columns?.lines[index]?.values;
    return at === null ? latest(values) : (values?.[at] ?? null);
  };
  return (
    <span class="chart-legend">
      {at !== null && columns?.times[at] !== undefined && (
        <time class="muted">{clockTime(columns.times[at]!)}</time>
      )}
      {lines.map((line, index) => {
        const shown = value(index);
        return (
          <span key={line.label}>
            <i style={{ background: `var(${line.colour})` }} />
            {line.label}
            <b>{shown === null ? "–" : format(shown)}</b>
          </span>
        );
      })}
    </span>
  );
}

const data = (columns: Columns): uPlot.AlignedData => [
  columns.times,
  ...columns.lines.map((line) => line.values),
];

interface OptionArguments {
  lines: Line[];
  format: (value: number) => string;
  height: number;
  width: number;
  minimumTop: number;
  binary: boolean;
  marks: { readonly current: readonly ConfigMark[] };
  onCursor: (index: number | null) => void;
  onMark: (mark: ConfigMark | null) => void;
}

function options({
  lines,
  format,
  height,
  width,
  minimumTop,
  binary,
  marks,
  onCursor,
  onMark,
}: OptionArguments): uPlot.Options {
  const colour = readColours();
  const axis = {
    stroke: colour("--text-3"),
    font: `11px ${colour("--font")}`,
    ticks: { show: false },
    grid: { stroke: colour("--border"), width: 1 },
  };
  return {
    width,
    height,
    legend: { show: false },
    padding: [8, 8, 0, 0],
    cursor: {
      sync: { key: SYNC.key, setSeries: false },
      points: { size: 6 },
      y: false,
      drag: { x: true, y: false, setScale: false },
    },
    select: { show: true, left: 0, top: 0, width: 0, height: 0 },
    scales: { x: { time: true }, y: { range: (_, __, top) => [0, Math.max(top * 1.12, minimumTop, 1e-9)] } },
    axes: [
      {
        ...axis,
        grid: { show: false },
        space: 64,
        incrs: TIME_STEPS,
        size: 24,
        values: (_, ticks) => ticks.map((time) => tickText(time, ticks)),
      },
      {
        ...axis,
        size: axisWidth,
        ...(binary ? { incrs: POWERS_OF_TWO } : {}),
        space: height < 120 ? 20 : 34,
        values: (_, ticks) => ticks.map((value) => format(value)),
      },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: colour(line.colour),
        width: 1.5,
        ...(line.fill ? { fill: `${colour(line.colour)}1f` } : {}),
        ...(line.dash ? { dash: [4, 3] } : {}),
        points: { show: false },
      })),
    ],
    hooks: {
      drawAxes: [(chart) => drawMarks(chart, marks.current, colour("--mark"))],
      setCursor: [
        (chart) => {
          onCursor(chart.cursor.idx ?? null);
          onMark(markAt(chart, marks.current));
        },
      ],
      setSelect: [(chart) => zoomTo(chart)],
    },
  };
}
