/** A histogram's buckets over time: one row a bucket, darker where more fell. */

import { useEffect, useRef, useState } from "preact/hooks";
import { shownTheme } from "../app/prefs";
import { readColours, TIME_STEPS, tickText } from "../components/axes";
import { t } from "../i18n";
import type { HeatRow } from "./buckets";
import { Tip } from "./Plot";
import { formatter } from "./units";

interface Props {
  label: string;
  rows: HeatRow[];
  times: number[];
  unit: string;
  height: number;
}

const BOTTOM = 24;
const TOP = 6;

interface Cell {
  row: number;
  column: number;
  left: number;
}

export function Heatmap({ label, rows, times, unit, height }: Props) {
  const root = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const [width, setWidth] = useState(0);
  const [cell, setCell] = useState<Cell | null>(null);
  const theme = shownTheme.value;
  const format = formatter(unit);
  const marks = rows.map((row) => (row.upper === Infinity ? "+Inf" : format(row.upper)));
  const left = 14 + 6.4 * Math.max(4, ...marks.map((mark) => mark.length));

  useEffect(() => {
    const element = root.current!;
    const observer = new ResizeObserver(() => setWidth(element.clientWidth));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  useEffect(() => {
    if (width > 0) draw(canvas.current!, { rows, times, marks, width, height, left });
  }, [rows, times, unit, width, height, theme]);

  const find = (event: MouseEvent) => {
    const box = canvas.current!.getBoundingClientRect();
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const column = Math.floor(((x - left) / (width - left)) * times.length);
    const row = rows.length - 1 - Math.floor(((y - TOP) / (height - TOP - BOTTOM)) * rows.length);
    const inside = column >= 0 && column < times.length && row >= 0 && row < rows.length;
    setCell(inside ? { row, column, left: x } : null);
  };
  const shown = cell && rows[cell.row];
  return (
    <div
      class="plot heatmap"
      style={{ height }}
      ref={root}
      role="presentation"
      onMouseMove={find}
      onMouseLeave={() => setCell(null)}
    >
      <canvas ref={canvas} role="img" aria-label={label} />
      {cell && shown && times[cell.column] !== undefined && (
        <div
          class="plot-tooltip"
          style={
            cell.left > width / 2
              ? { right: width - cell.left + 14, top: 8 }
              : { left: cell.left + 14, top: 8 }
          }
        >
          <Tip time={times[cell.column]!}>
            <tr>
              <td>{t("plot.bucket")}</td>
              <td class="numeric">
                {format(shown.lower)} – {shown.upper === Infinity ? "+Inf" : format(shown.upper)}
              </td>
            </tr>
            <tr>
              <td>{t("plot.value")}</td>
              <td class="numeric">{formatter("short")(shown.values[cell.column])}</td>
            </tr>
          </Tip>
        </div>
      )}
    </div>
  );
}

interface Drawing {
  rows: HeatRow[];
  times: number[];
  marks: string[];
  width: number;
  height: number;
  left: number;
}

function draw(canvas: HTMLCanvasElement, drawing: Drawing): void {
  const { rows, times, width, height, left } = drawing;
  const ratio = window.devicePixelRatio || 1;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d")!;
  pen.scale(ratio, ratio);
  const colour = readColours();
  const [cellWidth, cellHeight] = [(width - left) / times.length, (height - TOP - BOTTOM) / rows.length];
  const most = Math.max(...rows.map((row) => Math.max(0, ...row.values.map((value) => value ?? 0))));
  pen.fillStyle = colour("--c3");
  rows.forEach((row, index) => {
    const y = TOP + (rows.length - 1 - index) * cellHeight;
    row.values.forEach((value, at) => {
      if (!value) return;
      // Whole device pixels: cells that overlap or leave gaps would show as stripes.
      const [x, end] = [at, at + 1].map((edge) => Math.round((left + edge * cellWidth) * ratio) / ratio);
      pen.globalAlpha = 0.05 + 0.95 * Math.sqrt(value / most);
      pen.fillRect(x!, y, end! - x!, Math.max(1, cellHeight - 1));
    });
  });
  pen.globalAlpha = 1;
  writeAxes(pen, drawing, colour, cellWidth, cellHeight);
}

function writeAxes(
  pen: CanvasRenderingContext2D,
  { rows, times, marks, height, left, width }: Drawing,
  colour: (token: string) => string,
  cellWidth: number,
  cellHeight: number,
): void {
  pen.fillStyle = colour("--text-3");
  pen.font = `11px ${colour("--font")}`;
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  const every = Math.max(1, Math.ceil(18 / cellHeight));
  rows.forEach((_, index) => {
    if (index % every === 0)
      pen.fillText(marks[index]!, left - 6, TOP + (rows.length - 1 - index) * cellHeight + 6);
  });
  pen.textAlign = "center";
  const [from, to] = [times[0] ?? 0, times[times.length - 1] ?? 0];
  const room = Math.max(1, Math.floor((width - left) / 72));
  const step = TIME_STEPS.find((size) => (to - from) / size <= room) ?? 2_592_000;
  const ticks: number[] = [];
  for (let time = Math.ceil(from / step) * step; time <= to; time += step) ticks.push(time);
  const gap = times.length > 1 ? times[1]! - times[0]! : 1;
  for (const time of ticks)
    pen.fillText(tickText(time, [0, step]), left + ((time - from) / gap + 0.5) * cellWidth, height - 10);
}
