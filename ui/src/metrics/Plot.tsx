/** Many series over time: the chart of the explorer and of dashboards.
 *
 * uPlot draws; what it lacks is here: a tooltip with the nearest series, stacking, a second value axis for
 * a second unit, and exemplars as links above the lines.
 */

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { shownTheme } from "../app/prefs";
import { axisWidth, POWERS_OF_TWO, readColours, tickText, TIME_STEPS, zoomTo } from "../components/axes";
import { drawOverlay, type Stretch, stretchesAt } from "../components/overlay";
import { drawMarks, markAt, redrawMarks, useConfigMarks } from "../config/marks";
import type { ConfigMark } from "../config/model";
import { t } from "../i18n";
import { eventsShown, stretchesOf, useIncidents } from "../insights/events";
import { dateTime } from "../lib/time";
import { type PlotLine, stack, valueRange } from "./series";
import { formatter } from "./units";

export interface Mark {
  key: string;
  time: number;
  value: number;
  href: string;
  title: string;
}

interface Props {
  label: string;
  times: number[];
  /** Visible lines only. */
  lines: PlotLine[];
  /** One unit a line; lines of the second unit that occurs use the axis on the right. */
  units: string[];
  /** In pixels; none fills the space that the page gives. */
  height?: number;
  stacked?: boolean;
  marks?: Mark[];
  testId?: string;
}

interface Pointer {
  index: number;
  change: ConfigMark | null;
  /** Incidents of that time. */
  odd: Stretch[];
  left: number;
  top: number;
}

/** Changes and incidents, drawn below the lines. */
interface Events {
  changes: readonly ConfigMark[];
  stretches: readonly Stretch[];
  faint: true;
}

const SYNC = uPlot.sync("windvane");
const TOOLTIP_ROWS = 10;
const TOOLTIP_INCIDENTS = 3;

export function Plot(props: Props) {
  const { times, lines, units, height, stacked = false, marks = [] } = props;
  const root = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const [pointer, setPointer] = useState<Pointer | null>(null);
  const [drawn, setDrawn] = useState(0);
  const events = useEvents();
  const shownEvents = useRef(events);
  shownEvents.current = events;
  const theme = shownTheme.value;
  const drawnValues = useMemo(() => {
    const values = lines.map((line) => line.values);
    return stacked ? stack(values) : values;
  }, [lines, stacked]);
  const shape = JSON.stringify([
    lines.map((line) => [line.key, line.colour, line.dash]),
    units,
    stacked,
    theme,
  ]);

  useEffect(() => {
    const element = root.current;
    if (!element) return;
    const chart = new uPlot(
      options({
        lines,
        units,
        stacked,
        height: element.clientHeight,
        width: element.clientWidth,
        events: shownEvents,
        setPointer,
        onDraw: () => setDrawn((n) => n + 1),
      }),
      [times, ...drawnValues] as uPlot.AlignedData,
      element,
    );
    plot.current = chart;
    const observer = new ResizeObserver(() => {
      const size = { width: element.clientWidth, height: element.clientHeight };
      if (size.width !== chart.width || size.height !== chart.height) chart.setSize(size);
    });
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
      plot.current = null;
      setPointer(null);
    };
  }, [shape]);

  useEffect(() => {
    const chart = plot.current;
    if (chart && chart.series.length === drawnValues.length + 1)
      chart.setData([times, ...drawnValues] as uPlot.AlignedData);
  }, [times, drawnValues]);

  useEffect(() => redrawMarks(plot.current), [events]);

  return (
    <div class="plot" style={height === undefined ? {} : { height }} data-testid={props.testId}>
      <div class="plot-canvas" ref={root} role="img" aria-label={props.label} />
      {marks.length > 0 && <Marks chart={plot.current} marks={marks} drawn={drawn} />}
      {pointer && plot.current && (
        <Tooltip
          pointer={pointer}
          chart={plot.current}
          times={times}
          lines={lines}
          units={units}
          shown={drawnValues}
        />
      )}
    </div>
  );
}

/** Nothing where the reader switched them off. */
function useEvents(): Events {
  const changes = useConfigMarks();
  const incidents = useIncidents();
  const shown = eventsShown.value;
  return useMemo(
    () => ({
      changes: shown ? changes : [],
      stretches: shown ? stretchesOf(incidents) : [],
      faint: true as const,
    }),
    [changes, incidents, shown],
  );
}

/** Lines of a second unit get the scale "y2". */
const scaleOf = (units: string[], index: number): string => (units[index] === units[0] ? "y" : "y2");

interface OptionArguments {
  lines: PlotLine[];
  units: string[];
  stacked: boolean;
  height: number;
  width: number;
  events: { readonly current: Events };
  setPointer: (pointer: Pointer | null) => void;
  onDraw: () => void;
}

function options(args: OptionArguments): uPlot.Options {
  const { lines, units, stacked, height, width, events, setPointer, onDraw } = args;
  const colour = readColours();
  const axis = {
    stroke: colour("--text-3"),
    font: `11px ${colour("--font")}`,
    ticks: { show: false },
    grid: { stroke: colour("--border"), width: 1 },
  };
  const second = units.find((unit) => unit !== units[0]);
  const scale = (unit: string): uPlot.Scale => ({
    range: (_, low, high) => valueRange(stacked ? Math.min(0, low) : low, high, unit),
  });
  const values = (unit: string): uPlot.Axis => ({
    ...axis,
    size: axisWidth,
    space: height < 200 ? 24 : 36,
    ...(unit.startsWith("b") || unit === "Bps" ? { incrs: POWERS_OF_TWO } : {}),
    values: (_, ticks) => ticks.map((value) => formatter(unit)(value)),
  });
  return {
    width,
    height,
    legend: { show: false },
    padding: [10, second ? 0 : 10, 0, 0],
    cursor: {
      sync: { key: SYNC.key, setSeries: false },
      points: { size: 6 },
      y: false,
      drag: { x: true, y: false, setScale: false },
    },
    select: { show: true, left: 0, top: 0, width: 0, height: 0 },
    scales: {
      x: { time: true },
      y: scale(units[0] ?? "short"),
      ...(second ? { y2: scale(second) } : {}),
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
      { ...values(units[0] ?? "short"), scale: "y" },
      ...(second ? [{ ...values(second), scale: "y2", side: 1 as const, grid: { show: false } }] : []),
    ],
    series: [
      {},
      ...lines.map((line, index) => ({
        label: line.label,
        scale: scaleOf(units, index),
        stroke: colour(line.colour),
        width: lines.length > 30 ? 1 : 1.5,
        ...(stacked ? { fill: `${colour(line.colour)}33` } : {}),
        ...(line.dash ? { dash: [5, 3] } : {}),
        points: { show: (chart: uPlot, series: number) => alone(chart.data[series]!), size: 5 },
      })),
    ],
    ...(stacked
      ? { bands: lines.slice(1).map((_, index) => ({ series: [index + 2, index + 1] as [number, number] })) }
      : {}),
    hooks: {
      drawAxes: [
        (chart) => {
          drawOverlay(chart, events.current, colour);
          drawMarks(chart, events.current.changes, colour("--mark"));
        },
      ],
      setCursor: [(chart) => setPointer(pointerOf(chart, events.current))],
      setSelect: [(chart) => zoomTo(chart)],
      draw: [onDraw],
    },
  };
}

/** A line of single points would be invisible. */
function alone(values: ArrayLike<number | null | undefined>): boolean {
  for (let at = 1; at < values.length; at += 1) {
    if (values[at] != null && values[at - 1] != null) return false;
  }
  return true;
}

/** Only the chart under the pointer shows a tooltip; the others follow with their line. */
function pointerOf(chart: uPlot, { changes, stretches }: Events): Pointer | null {
  const { idx, left = -1, top = -1 } = chart.cursor;
  if (idx == null || left < 0 || !chart.over.matches(":hover")) return null;
  return {
    index: idx,
    change: markAt(chart, changes),
    odd: stretchesAt(stretches, chart.posToVal(left, "x")).slice(0, TOOLTIP_INCIDENTS),
    left: left + chart.over.offsetLeft,
    top,
  };
}

function Tooltip(props: {
  pointer: Pointer;
  chart: uPlot;
  times: number[];
  lines: PlotLine[];
  units: string[];
  shown: (number | null)[][];
}) {
  const { pointer, chart, times, lines, units, shown } = props;
  const near = lines
    .map((line, at) => {
      const place = shown[at]?.[pointer.index] ?? null;
      const y = place === null ? null : chart.valToPos(place, scaleOf(units, at));
      return {
        line,
        value: line.values[pointer.index] ?? null,
        unit: units[at]!,
        far: y === null ? Infinity : Math.abs(y - pointer.top),
      };
    })
    .filter((row) => row.value !== null)
    .sort((a, b) => a.far - b.far);
  const rows = near.slice(0, TOOLTIP_ROWS).sort((a, b) => b.value! - a.value!);
  if (rows.length === 0) return null;
  const width = chart.width;
  const right = pointer.left > width / 2;
  return (
    <div
      class="plot-tooltip"
      style={right ? { right: width - pointer.left + 14, top: 8 } : { left: pointer.left + 14, top: 8 }}
    >
      {pointer.change && <p class="chart-mark">{pointer.change.text}</p>}
      {pointer.odd.map((one) => (
        <p key={one.key} class={`chart-odd text-${one.tone}`}>
          {one.text}
        </p>
      ))}
      <Tip time={times[pointer.index]!}>
        {rows.map((row) => (
          <tr key={row.line.key} class={row === near[0] ? "nearest" : ""}>
            <td>
              <i style={{ background: `var(${row.line.colour})` }} />
              <span class="truncate">{row.line.label || row.line.title}</span>
            </td>
            <td class="numeric">{formatter(row.unit)(row.value)}</td>
          </tr>
        ))}
        {near.length > rows.length && (
          <tr>
            <td class="muted">{t("plot.more", { n: near.length - rows.length })}</td>
            <td />
          </tr>
        )}
      </Tip>
    </div>
  );
}

export function Tip({ time, children }: { time: number; children: ComponentChildren }) {
  return (
    <>
      <time>{dateTime(time)}</time>
      <table>
        <tbody>{children}</tbody>
      </table>
    </>
  );
}

/** Exemplars: links over the chart, at their time and value; a value beyond the axis sits at its edge. */
function Marks({ chart, marks, drawn }: { chart: uPlot | null; marks: Mark[]; drawn: number }) {
  if (!chart || drawn === 0) return null;
  const { offsetLeft, offsetTop, clientWidth, clientHeight } = chart.over;
  return (
    <div
      class="plot-marks"
      style={{ left: offsetLeft, top: offsetTop, width: clientWidth, height: clientHeight }}
    >
      {marks.map((mark) => {
        const left = chart.valToPos(mark.time, "x");
        const top = Math.min(clientHeight - 4, Math.max(4, chart.valToPos(mark.value, "y")));
        if (!(left >= 0 && left <= clientWidth)) return null;
        return (
          <a
            key={mark.key}
            href={mark.href}
            title={mark.title}
            aria-label={mark.title}
            style={{ left, top }}
            data-testid="exemplar"
          />
        );
      })}
    </div>
  );
}
