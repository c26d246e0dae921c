/** What all charts share: marks of the time axis, the width of the value axis, dragging to zoom. */

import type uPlot from "uplot";
import { setRange } from "../app/range";
import { clockTime, dateTime } from "../lib/time";

export const TIME_STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
  604_800, 2_592_000,
];

export const POWERS_OF_TWO = Array.from({ length: 44 }, (_, power) => 2 ** power);

export function tickText(time: number, ticks: number[]): string {
  const step = ticks.length > 1 ? ticks[1]! - ticks[0]! : 60;
  if (step >= 86_400) return dateTime(time).slice(5, 10);
  return step < 60 ? clockTime(time) : clockTime(time).slice(0, 5);
}

/** As wide as the longest mark at 11 px. */
export const axisWidth = (_: uPlot, marks: string[] | null): number =>
  14 + 6.4 * Math.max(4, ...(marks ?? []).map((mark) => mark.length));

/** Dragging over a chart sets the page's time range. */
export function zoomTo(chart: uPlot): void {
  const { left, width } = chart.select;
  if (width < 8) return;
  const from = chart.posToVal(left, "x");
  const to = chart.posToVal(left + width, "x");
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  if (to - from >= 10) setRange({ kind: "absolute", from, to });
}

/** The style sheet's colours as a canvas needs them. */
export function readColours(): (token: string) => string {
  const style = getComputedStyle(document.documentElement);
  return (token) => style.getPropertyValue(token).trim();
}
