/** What lies under a chart's lines: the band of what was expected, odd stretches, and moments. */

import type uPlot from "uplot";

/** What was expected at each time, with its bounds; null where it is not known. */
export interface Band {
  /** What is expected, where a chart's several lines leave that open. */
  name?: string;
  times: readonly number[];
  low: readonly (number | null)[];
  expected: readonly (number | null)[];
  high: readonly (number | null)[];
}

/** A time in which something was odd. */
export interface Stretch {
  key: string;
  from: number;
  /** null while it goes on. */
  to: number | null;
  text: string;
  tone: "bad" | "warn";
}

/** A single moment, as a line with a dot: where it went wrong first. */
export interface Point {
  time: number;
  text: string;
  tone: "bad" | "mark";
}

export interface Overlay {
  band?: Band | null | undefined;
  stretches?: readonly Stretch[];
  points?: readonly Point[];
  /** Stretches that may have nothing to do with the lines: hardly shaded. */
  faint?: boolean;
}

type Colours = (token: string) => string;

/** Stretches lowest, then the band, then the moments; the chart's own lines come over all. */
export function drawOverlay(chart: uPlot, overlay: Overlay | undefined, colour: Colours): void {
  const { min, max } = chart.scales.x!;
  if (!overlay || min == null || max == null) return;
  const { ctx, bbox } = chart;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const one of overlay.stretches ?? []) drawStretch(chart, one, colour, overlay.faint ? "0d" : "1c");
  if (overlay.band) drawBand(chart, overlay.band, colour);
  for (const one of overlay.points ?? []) drawPoint(chart, one, colour);
  ctx.restore();
}

/** Shaded, with a bar on top that is seen where the shade is not. */
function drawStretch(chart: uPlot, one: Stretch, colour: Colours, alpha: string): void {
  const { ctx, bbox, scales } = chart;
  const right = Math.min(one.to ?? Infinity, scales.x!.max!);
  if (one.from > scales.x!.max! || right < scales.x!.min!) return;
  const left = chart.valToPos(Math.max(one.from, scales.x!.min!), "x", true);
  const width = Math.max(chart.valToPos(right, "x", true) - left, 2 * devicePixelRatio);
  const tone = colour(`--${one.tone}`);
  ctx.fillStyle = `${tone}${alpha}`;
  ctx.fillRect(left, bbox.top, width, bbox.height);
  ctx.fillStyle = tone;
  ctx.fillRect(left, bbox.top, width, 2.5 * devicePixelRatio);
}

function drawBand(chart: uPlot, band: Band, colour: Colours): void {
  const { ctx } = chart;
  ctx.fillStyle = `${colour("--c2")}2e`;
  for (const [from, to] of runs(band)) {
    ctx.beginPath();
    for (let at = from; at <= to; at += 1) lineTo(chart, at === from, band.times[at]!, band.high[at]!);
    for (let at = to; at >= from; at -= 1) lineTo(chart, false, band.times[at]!, band.low[at]!);
    ctx.fill();
  }
  ctx.strokeStyle = colour("--c2");
  ctx.lineWidth = 1.25 * devicePixelRatio;
  ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
  ctx.beginPath();
  band.times.forEach((time, at) => {
    const value = band.expected[at];
    if (value != null) lineTo(chart, band.expected[at - 1] == null, time, value);
  });
  ctx.stroke();
  ctx.setLineDash([]);
}

function lineTo(chart: uPlot, start: boolean, time: number, value: number): void {
  const x = chart.valToPos(time, "x", true);
  const y = chart.valToPos(value, "y", true);
  if (start) chart.ctx.moveTo(x, y);
  else chart.ctx.lineTo(x, y);
}

/** First and last index of each run of times whose bounds are known. */
export function runs(band: Pick<Band, "low" | "high">): [number, number][] {
  const found: [number, number][] = [];
  for (let at = 0; at < band.low.length; at += 1) {
    if (band.low[at] == null || band.high[at] == null) continue;
    const last = found.at(-1);
    if (last && last[1] === at - 1) last[1] = at;
    else found.push([at, at]);
  }
  return found;
}

function drawPoint(chart: uPlot, one: Point, colour: Colours): void {
  const { ctx, bbox, scales } = chart;
  if (one.time < scales.x!.min! || one.time > scales.x!.max!) return;
  const x = Math.round(chart.valToPos(one.time, "x", true)) + 0.5;
  ctx.strokeStyle = ctx.fillStyle = colour(`--${one.tone}`);
  ctx.lineWidth = 1.25 * devicePixelRatio;
  ctx.beginPath();
  ctx.moveTo(x, bbox.top);
  ctx.lineTo(x, bbox.top + bbox.height);
  ctx.stroke();
  ctx.beginPath();
  ctx.arc(x, bbox.top + 4 * devicePixelRatio, 3.5 * devicePixelRatio, 0, 2 * Math.PI);
  ctx.fill();
}

/** The highest bound within an interval, so that the value axis shows the band whole. */
export function bandTop(overlay: Overlay | undefined, from: number, to: number): number {
  const band = overlay?.band;
  if (!band) return 0;
  let top = 0;
  band.times.forEach((time, at) => {
    if (time >= from && time <= to) top = Math.max(top, band.high[at] ?? 0, band.expected[at] ?? 0);
  });
  return top;
}

/** The stretches that hold a time, the one that began last first. */
export const stretchesAt = (stretches: readonly Stretch[], time: number): Stretch[] =>
  stretches.filter((one) => one.from <= time && time <= (one.to ?? Infinity)).sort((a, b) => b.from - a.from);
