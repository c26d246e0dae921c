/** Durations of all matching spans over time. Dragging chooses a time and a range of durations. */

import { useEffect, useRef, useState } from "preact/hooks";
import { shownTheme } from "../app/prefs";
import { readColours } from "../components/axes";
import { count, t } from "../i18n";
import { formatMicros } from "../lib/format";
import { useWidth } from "../lib/useWidth";
import { clockTime, dateTime } from "../lib/time";
import { type Brush, brushed, type HeatGrid, rowMicros, rowOf } from "./heat";
import { durationTicks, timeTicks } from "./scale";

const HEIGHT = 176;
const LEFT = 64;
const RIGHT = 16;
const TOP = 10;
const BOTTOM = 24;

type Corner = [column: number, row: number];

interface Props {
  grid: HeatGrid;
  onBrush: (brush: Brush) => void;
}

export function HeatMap({ grid, onBrush }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const width = useWidth(root);
  const [at, setAt] = useState<Corner | null>(null);
  const [from, setFrom] = useState<Corner | null>(null);
  const theme = shownTheme.value;

  useEffect(() => {
    if (width > 0) draw(canvas.current!, grid, width);
  }, [grid, width, theme]);

  const corner = (event: PointerEvent): Corner => {
    const box = canvas.current!.getBoundingClientRect();
    const x = (event.clientX - box.left - LEFT) / (width - LEFT - RIGHT);
    const y = (event.clientY - box.top - TOP) / (HEIGHT - TOP - BOTTOM);
    return [clamp(x) * grid.columns, (1 - clamp(y)) * grid.bands];
  };
  const brush = at && from ? brushed(grid, from, at) : null;
  return (
    <div
      class="heat"
      ref={root}
      style={{ height: HEIGHT }}
      data-testid="trace-heatmap"
      role="presentation"
      onPointerDown={(event) => {
        if (event.button !== 0) return;
        event.currentTarget.setPointerCapture(event.pointerId);
        setFrom(corner(event));
        setAt(corner(event));
      }}
      onPointerMove={(event) => setAt(corner(event))}
      onPointerLeave={() => !from && setAt(null)}
      onPointerCancel={() => setFrom(null)}
      onPointerUp={() => {
        if (brush) onBrush(brush);
        setFrom(null);
      }}
    >
      <canvas ref={canvas} role="img" aria-label={t("heat.label")} />
      {brush && <i class="heat-brush" style={placed(grid, brush, width)} />}
      {at && width > 0 && <Tip grid={grid} at={at} brush={brush} width={width} />}
    </div>
  );
}

const clamp = (part: number): number => Math.max(0, Math.min(0.999_999, part));

const xOf = (grid: HeatGrid, column: number, width: number): number =>
  LEFT + (column / grid.columns) * (width - LEFT - RIGHT);
const yOf = (grid: HeatGrid, row: number): number => TOP + (1 - row / grid.bands) * (HEIGHT - TOP - BOTTOM);

function placed(grid: HeatGrid, brush: Brush, width: number) {
  const left = xOf(grid, (brush.from - grid.start) / grid.step, width);
  const top = yOf(grid, rowOf(grid, brush.most));
  return {
    left,
    top,
    width: xOf(grid, (brush.to - grid.start) / grid.step, width) - left,
    height: yOf(grid, rowOf(grid, brush.least)) - top,
  };
}

function Tip(props: { grid: HeatGrid; at: Corner; brush: Brush | null; width: number }) {
  const { grid, at, brush, width } = props;
  const [column, row] = at.map(Math.floor) as Corner;
  const cell = grid.cells.find((one) => one.column === column && one.row === row);
  if (!cell && !brush) return null;
  const shown = brush ?? brushed(grid, at, at);
  const left = xOf(grid, column + 0.5, width);
  return (
    <div
      class={`tip ${left > width - 300 ? "tip-left" : ""}`}
      style={{ left, top: Math.min(yOf(grid, row + 1), HEIGHT - 76) }}
    >
      <b>
        {formatMicros(shown.least)} – {formatMicros(shown.most)}
      </b>
      <span>
        {clockTime(shown.from, grid.step < 1)} – {clockTime(shown.to, grid.step < 1)}
      </span>
      {!brush && cell && (
        <span>
          {count("traces.spans", cell.spans)}
          {cell.errors > 0 && <span class="text-bad"> · {count("traces.errors", cell.errors)}</span>}
        </span>
      )}
    </div>
  );
}

function draw(canvas: HTMLCanvasElement, grid: HeatGrid, width: number): void {
  const ratio = window.devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = HEIGHT * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${HEIGHT}px`;
  const pen = canvas.getContext("2d")!;
  pen.scale(ratio, ratio);
  const colour = readColours();
  drawAxes(pen, grid, width, colour);
  const snap = (value: number) => Math.round(value * ratio) / ratio;
  for (const cell of grid.cells) {
    const [x, end] = [cell.column, cell.column + 1].map((edge) => snap(xOf(grid, edge, width)));
    const [bottom, top] = [cell.row, cell.row + 1].map((edge) => snap(yOf(grid, edge)));
    const [across, down] = [Math.max(1, end! - x! - 0.5), Math.max(1, bottom! - top! - 0.5)];
    pen.fillStyle = colour("--accent");
    pen.globalAlpha = 0.16 + 0.84 * Math.sqrt(cell.spans / grid.most);
    pen.fillRect(x!, top!, across, down);
    if (!cell.errors) continue;
    // The failed part is filled from below, never too thin to be seen.
    pen.fillStyle = colour("--bad");
    pen.globalAlpha = 1;
    const part = Math.max(2, down * (cell.errors / cell.spans));
    pen.fillRect(x!, top! + down - part, across, part);
  }
  pen.globalAlpha = 1;
}

function drawAxes(
  pen: CanvasRenderingContext2D,
  grid: HeatGrid,
  width: number,
  colour: (token: string) => string,
): void {
  pen.font = `11px ${colour("--font")}`;
  pen.fillStyle = colour("--text-3");
  pen.strokeStyle = colour("--border");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const tick of durationTicks(rowMicros(grid, 0), rowMicros(grid, grid.bands))) {
    const y = Math.round(yOf(grid, rowOf(grid, tick))) + 0.5;
    if (y < TOP || y > HEIGHT - BOTTOM) continue;
    pen.beginPath();
    pen.moveTo(LEFT, y);
    pen.lineTo(width - RIGHT, y);
    pen.stroke();
    pen.fillText(formatMicros(tick), LEFT - 8, y);
  }
  pen.textAlign = "center";
  const to = grid.start + grid.step * grid.columns;
  for (const tick of timeTicks(grid.start, to, Math.max(2, Math.floor(width / 160)))) {
    const text =
      to - grid.start > 172_800
        ? dateTime(tick).slice(5, 16)
        : clockTime(tick).slice(0, to - grid.start < 600 ? 8 : 5);
    // A mark at the very edge would be cut off there.
    const x = Math.min(
      xOf(grid, (tick - grid.start) / grid.step, width),
      width - pen.measureText(text).width / 2 - 2,
    );
    pen.fillText(text, x, HEIGHT - 8);
  }
}
