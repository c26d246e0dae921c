/** Changes of the configuration as marks on charts: asked once for all charts, drawn by each. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type uPlot from "uplot";
import { fetchVersions } from "../api/config";
import { tick } from "../app/clock";
import { type ConfigMark, marksOf } from "./model";

const LIMIT = 200;
/** Pixels: the pointer so near to a mark is on it. */
export const NEAR = 5;

export const configMarks = signal<readonly ConfigMark[]>([]);
let asked = -1;

/** Keeps the marks fresh while a chart is on the screen. Without a history there are none. */
export function useConfigMarks(): readonly ConfigMark[] {
  const beat = tick.value;
  useEffect(() => {
    if (asked === beat) return;
    asked = beat;
    fetchVersions({ limit: LIMIT }, new AbortController().signal).then(
      (versions) => {
        const next = marksOf(versions);
        if (JSON.stringify(next) !== JSON.stringify(configMarks.peek())) configMarks.value = next;
      },
      () => undefined, // a chart is whole without its marks; the configuration's own page tells what is wrong
    );
  }, [beat]);
  return configMarks.value;
}

/** Dashed lines from top to bottom, under the chart's own lines. */
export function drawMarks(chart: uPlot, marks: readonly { time: number }[], colour: string): void {
  const { ctx, bbox } = chart;
  const { min, max } = chart.scales.x!;
  ctx.save();
  ctx.strokeStyle = colour;
  ctx.fillStyle = colour;
  ctx.lineWidth = devicePixelRatio;
  const size = 3.5 * devicePixelRatio;
  for (const mark of marks) {
    if (min == null || max == null || mark.time < min || mark.time > max) continue;
    const x = Math.round(chart.valToPos(mark.time, "x", true)) + 0.5;
    ctx.setLineDash([3 * devicePixelRatio, 3 * devicePixelRatio]);
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.setLineDash([]);
    ctx.beginPath();
    ctx.moveTo(x - size, bbox.top);
    ctx.lineTo(x + size, bbox.top);
    ctx.lineTo(x, bbox.top + 1.4 * size);
    ctx.fill();
  }
  ctx.restore();
}

/** Draws a chart again that shows other marks by now; one that has not drawn yet will draw the new ones. */
export function redrawMarks(chart: uPlot | null): void {
  if (chart?.status === 1 && chart.scales.x?.min != null) chart.redraw(false);
}

/** The mark at the pointer, if there is one. */
export function markAt<Mark extends { time: number }>(chart: uPlot, marks: readonly Mark[]): Mark | null {
  const left = chart.cursor.left ?? -1;
  if (left < 0) return null;
  const far = (mark: Mark) => Math.abs(chart.valToPos(mark.time, "x") - left);
  const nearest = [...marks].sort((a, b) => far(a) - far(b))[0];
  return nearest && far(nearest) <= NEAR ? nearest : null;
}
