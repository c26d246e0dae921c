/** A time chart on uPlot, with our colours, a legend that reads values, and cursors that move together. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { shownTheme } from "../app/prefs";
import { t } from "../i18n";
import type { Columns } from "../lib/signals";
import { latest } from "../lib/signals";
import { clockTime } from "../lib/time";
import { drawMarks, markAt, redrawMarks, useConfigMarks } from "../config/marks";
import { type Band, bandTop, drawOverlay, type Overlay } from "./overlay";
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
  /** What was expected and what was odd, under the lines. */
  overlay?: Overlay | undefined;
  /** Changes besides those of the configuration, marked as they are. */
  changes?: readonly Told[];
}

/** A moment with its words: shown where the pointer is near. */
interface Told {
  time: number;
  text: string;
}

const NOTHING: readonly Told[] = [];

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
  overlay,
  changes = NOTHING,
}: Props) {
  const root = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const [pointed, setPointed] = useState<Told | null>(null);
  const configured = useConfigMarks();
  const drawn = useRef<Drawn>({ marks: NOTHING, overlay: undefined });
  drawn.current = useMemo(
    () => ({ marks: [...configured, ...changes], overlay }),
    [configured, changes, overlay],
  );
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
        drawn,
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

  useEffect(() => {
    // The band may reach beyond the lines: the value axis is then chosen anew.
    if (columns && plot.current?.status === 1) plot.current.setData(data(columns));
  }, [overlay]);

  useEffect(() => redrawMarks(plot.current), [drawn.current]);

  return (
    <figure class={`chart ${compact ? "chart-compact" : ""}`}>
      <figcaption>
        <span class="chart-title">{title}</span>
        {pointed ? (
          <span class="chart-legend chart-mark truncate">{pointed.text}</span>
        ) : (
          <Legend lines={lines} columns={columns} at={cursor} format={format} band={overlay?.band} />
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
  band: Overlay["band"];
}) {
  const { lines, columns, at, format, band } = props;
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
      {band && <Expected band={band} time={at === null ? undefined : columns?.times[at]} format={format} />}
    </span>
  );
}

/** The bounds in force at a time; the newest known without one. */
function Expected({ band, time, format }: { band: Band; time: number | undefined; format: Props["format"] }) {
  let found = -1;
  band.times.forEach((one, at) => {
    if (band.low[at] != null && band.high[at] != null && one <= (time ?? Infinity)) found = at;
  });
  return (
    <span>
      <i class="band-swatch" />
      {band.name ? t("events.expectedOf", { name: band.name }) : t("events.expected")}
      <b>{found < 0 ? "–" : `${format(band.low[found]!)} – ${format(band.high[found]!)}`}</b>
    </span>
  );
}

/** Points without a neighbour, which a line would not show. */
export function aloneAt(values: ArrayLike<number | null | undefined>): number[] {
  const found: number[] = [];
  for (let at = 0; at < values.length; at += 1)
    if (values[at] != null && values[at - 1] == null && values[at + 1] == null) found.push(at);
  return found;
}

const data = (columns: Columns): uPlot.AlignedData => [
  columns.times,
  ...columns.lines.map((line) => line.values),
];

/** What is drawn under the lines. */
interface Drawn {
  marks: readonly Told[];
  overlay: Overlay | undefined;
}

interface OptionArguments {
  lines: Line[];
  format: (value: number) => string;
  height: number;
  width: number;
  minimumTop: number;
  binary: boolean;
  drawn: { readonly current: Drawn };
  onCursor: (index: number | null) => void;
  onMark: (mark: Told | null) => void;
}

function options({
  lines,
  format,
  height,
  width,
  minimumTop,
  binary,
  drawn,
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
    scales: {
      x: { time: true },
      y: {
        range: (chart, _, top) => {
          const { min, max } = chart.scales.x!;
          const band = bandTop(drawn.current.overlay, min ?? 0, max ?? 0);
          return [0, Math.max(Math.max(top ?? 0, band) * 1.12, minimumTop, 1e-9)];
        },
      },
    },
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
        points: {
          show: true,
          size: 4,
          filter: (chart: uPlot, series: number) => aloneAt(chart.data[series]!),
        },
      })),
    ],
    hooks: {
      drawAxes: [
        (chart) => {
          drawOverlay(chart, drawn.current.overlay, colour);
          drawMarks(chart, drawn.current.marks, colour("--mark"));
        },
      ],
      setCursor: [
        (chart) => {
          onCursor(chart.cursor.idx ?? null);
          onMark(markAt(chart, [...drawn.current.marks, ...(drawn.current.overlay?.points ?? [])]));
        },
      ],
      setSelect: [(chart) => zoomTo(chart)],
    },
  };
}
