/** A chart of what was and what is expected: lines and points, bands between two bounds, limits, marked moments.
 * Its x axis is time, or any number. */

import { useEffect, useRef, useState } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { shownTheme } from "../app/prefs";
import { axisWidth, readColours, tickText, TIME_STEPS } from "../components/axes";
import { t } from "../i18n";
import { dateTime } from "../lib/time";

type Values = (number | null)[];

export interface BandLine {
  label: string;
  /** A colour token of the style sheet, such as "--accent". */
  colour: string;
  values: Values;
  dash?: boolean;
  points?: boolean;
}

export interface Band {
  colour: string;
  low: Values;
  high: Values;
  /** How strongly it is filled, 0 to 255. */
  alpha: number;
}

export interface Level {
  value: number;
  label: string;
  colour: string;
}

export interface Moment {
  at: number;
  until?: number;
  label: string;
  colour: string;
}

interface Props {
  title: string;
  x: number[];
  time: boolean;
  lines: BandLine[];
  bands?: Band[];
  levels?: Level[];
  moments?: Moment[];
  format: (value: number) => string;
  formatX?: (value: number) => string;
  height?: number;
  range?: (low: number, high: number) => [number, number];
  testId?: string;
}

export function BandChart(props: Props) {
  const { title, x, lines, bands = [], height = 220 } = props;
  const root = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState<number | null>(null);
  const theme = shownTheme.value;
  const empty = x.length === 0 || lines.every((line) => line.values.every((value) => value === null));

  useEffect(() => {
    const element = root.current;
    if (!element || empty) return;
    setCursor(null);
    const chart = new uPlot(
      options({ ...props, bands, height }, element.clientWidth, setCursor),
      [x, ...lines.map((line) => line.values), ...bands.flatMap((band) => [band.high, band.low])],
      element,
    );
    const observer = new ResizeObserver(() => chart.setSize({ width: element.clientWidth, height }));
    observer.observe(element);
    return () => {
      observer.disconnect();
      chart.destroy();
    };
  }, [x, lines, props.bands, props.levels, props.moments, theme, empty, height]);

  const at = cursor === null ? null : (x[cursor] ?? null);
  const shownX = (value: number) => (props.time ? dateTime(value) : (props.formatX ?? String)(value));
  return (
    <figure class="chart" data-testid={props.testId}>
      <figcaption>
        <span class="chart-title">{title}</span>
        <span class="chart-legend">
          {at !== null && <time class="muted">{shownX(at)}</time>}
          {lines.map((line) => (
            <span key={line.label}>
              <i style={{ background: `var(${line.colour})` }} />
              {line.label}
              {cursor !== null && <b>{valueText(line.values[cursor], props.format)}</b>}
            </span>
          ))}
        </span>
      </figcaption>
      <div class="chart-area" style={{ height }} ref={root} role="img" aria-label={title}>
        {empty && <p class="chart-empty">{t("metric.noData")}</p>}
      </div>
    </figure>
  );
}

const valueText = (value: number | null | undefined, format: (value: number) => string): string =>
  value === null || value === undefined ? "–" : format(value);

function options(
  props: Props & { bands: Band[]; height: number },
  width: number,
  onCursor: (index: number | null) => void,
): uPlot.Options {
  const colour = readColours();
  const { lines, bands, levels = [], moments = [], height } = props;
  const axis = {
    stroke: colour("--text-3"),
    font: `11px ${colour("--font")}`,
    ticks: { show: false },
    grid: { stroke: colour("--border"), width: 1 },
  };
  const reach = props.range ?? ((low, high) => [Math.min(0, low), high * 1.1 || 1] as [number, number]);
  const first = lines.length + 1;
  return {
    width,
    height,
    legend: { show: false },
    padding: [10, 24, 0, 0],
    cursor: { points: { size: 6 }, y: false, drag: { x: false, y: false } },
    scales: {
      x: { time: props.time },
      y: {
        range: (_, low, high) => {
          const known = levels.map((level) => level.value).filter((value) => Number.isFinite(value));
          return reach(Math.min(low ?? 0, ...known), Math.max(high ?? 0, ...known));
        },
      },
    },
    axes: [
      {
        ...axis,
        grid: { show: false },
        space: 72,
        size: 26,
        ...(props.time ? { incrs: TIME_STEPS } : {}),
        values: (_, ticks) =>
          ticks.map((tick) => (props.time ? tickText(tick, ticks) : (props.formatX ?? String)(tick))),
      },
      { ...axis, size: axisWidth, space: 34, values: (_, ticks) => ticks.map(props.format) },
    ],
    series: [
      {},
      ...lines.map((line) => ({
        label: line.label,
        stroke: colour(line.colour),
        width: line.points ? 0 : 1.75,
        ...(line.dash ? { dash: [5, 4] } : {}),
        points: line.points
          ? { show: true, size: 5, fill: colour(line.colour), stroke: colour(line.colour) }
          : { show: false },
        spanGaps: false,
      })),
      ...bands.flatMap(() => [
        { stroke: "transparent", points: { show: false } },
        { stroke: "transparent", points: { show: false } },
      ]),
    ],
    bands: bands.map((band, index) => ({
      series: [first + 2 * index, first + 2 * index + 1] as [number, number],
      fill: `${colour(band.colour)}${band.alpha.toString(16).padStart(2, "0")}`,
    })),
    hooks: {
      drawAxes: [(chart) => drawMoments(chart, moments, colour)],
      draw: [(chart) => drawLevels(chart, levels, colour)],
      setCursor: [(chart) => onCursor(chart.cursor.idx ?? null)],
    },
  };
}

/** Horizontal limits, each with its name at the right. */
function drawLevels(chart: uPlot, levels: Level[], colour: (token: string) => string): void {
  const { ctx, bbox } = chart;
  const scale = devicePixelRatio;
  for (const level of levels) {
    const y = Math.round(chart.valToPos(level.value, "y", true));
    if (y < bbox.top || y > bbox.top + bbox.height) continue;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = colour(level.colour);
    ctx.lineWidth = scale;
    ctx.setLineDash([6 * scale, 4 * scale]);
    ctx.beginPath();
    ctx.moveTo(bbox.left, y);
    ctx.lineTo(bbox.left + bbox.width, y);
    ctx.stroke();
    label(ctx, level.label, bbox.left + 6 * scale, y - 5 * scale, "left", colour);
    ctx.restore();
  }
}

/** Moments and stretches of the x axis, behind the lines. */
function drawMoments(chart: uPlot, moments: Moment[], colour: (token: string) => string): void {
  const { ctx, bbox } = chart;
  const scale = devicePixelRatio;
  for (const moment of moments) {
    const x = Math.round(chart.valToPos(moment.at, "x", true));
    const end = moment.until === undefined ? x : Math.round(chart.valToPos(moment.until, "x", true));
    if (end < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.save();
    ctx.fillStyle = ctx.strokeStyle = colour(moment.colour);
    if (moment.until !== undefined) {
      ctx.globalAlpha = 0.14;
      const left = Math.max(x, bbox.left);
      ctx.fillRect(left, bbox.top, Math.min(end, bbox.left + bbox.width) - left, bbox.height);
      ctx.globalAlpha = 1;
    } else {
      ctx.lineWidth = scale;
      ctx.setLineDash([4 * scale, 4 * scale]);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      const right = x > bbox.left + bbox.width * 0.75;
      const place = right ? x - 6 * scale : x + 6 * scale;
      label(ctx, moment.label, place, bbox.top + 12 * scale, right ? "right" : "left", colour);
    }
    ctx.restore();
  }
}

function label(
  ctx: CanvasRenderingContext2D,
  text: string,
  x: number,
  y: number,
  align: CanvasTextAlign,
  colour: (token: string) => string,
): void {
  ctx.font = `${11 * devicePixelRatio}px ${colour("--font")}`;
  ctx.textAlign = align;
  ctx.setLineDash([]);
  ctx.lineWidth = 3 * devicePixelRatio;
  ctx.lineJoin = "round";
  ctx.save();
  ctx.strokeStyle = colour("--surface");
  ctx.strokeText(text, x, y);
  ctx.restore();
  ctx.fillText(text, x, y);
}
