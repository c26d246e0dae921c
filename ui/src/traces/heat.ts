/** The heat map's geometry: columns of time, bands of duration, and what a brushed part of it means. */

import type { TracesHeatmap } from "../api/traces";

export interface HeatGrid {
  /** Seconds since 1970 at the left edge, and seconds a column. */
  start: number;
  step: number;
  columns: number;
  /** The lowest band shown, and how many. */
  lowest: number;
  bands: number;
  perDecade: number;
  most: number;
  spans: number;
  cells: { column: number; row: number; spans: number; errors: number }[];
}

const FEWEST_BANDS = 10;

/** The bands that have spans, some room around them where they are few; rows count from the bottom. */
export function heatGrid(map: TracesHeatmap): HeatGrid | null {
  if (map.cells.length === 0) return null;
  let [low, high, most, spans] = [Infinity, -Infinity, 0, 0];
  for (const cell of map.cells) {
    low = Math.min(low, cell.band);
    high = Math.max(high, cell.band);
    most = Math.max(most, cell.spans);
    spans += cell.spans;
  }
  const missing = Math.max(0, FEWEST_BANDS - (high - low + 1));
  const lowest = Math.max(0, low - Math.floor(missing / 2));
  return {
    start: map.start,
    step: map.step_seconds,
    columns: map.columns,
    lowest,
    bands: Math.max(high - lowest + 1, FEWEST_BANDS),
    perDecade: map.bands_per_decade,
    most,
    spans,
    cells: map.cells.map(({ column, band, ...counts }) => ({ column, row: band - lowest, ...counts })),
  };
}

/** The window that the spans fill, when it is less than `part` of the map's; else null. */
export function usedWindow(map: TracesHeatmap, part: number): { from: number; to: number } | null {
  if (map.cells.length === 0) return null;
  const columns = map.cells.map((cell) => cell.column);
  const first = columns.reduce((a, b) => Math.min(a, b));
  const last = columns.reduce((a, b) => Math.max(a, b));
  if ((last - first + 1) / map.columns >= part) return null;
  return { from: map.start + first * map.step_seconds, to: map.start + (last + 1) * map.step_seconds };
}

/** Microseconds at the lower edge of a row. */
export const rowMicros = (grid: HeatGrid, row: number): number =>
  10 ** ((grid.lowest + row) / grid.perDecade) / 1000;

/** The row that a duration lies in, with its fraction: for marks on the axis. */
export const rowOf = (grid: HeatGrid, micros: number): number =>
  Math.log10(micros * 1000) * grid.perDecade - grid.lowest;

export interface Brush {
  from: number;
  to: number;
  least: number;
  most: number;
}

/** What two corners (column, row; fractions allowed) enclose, in whole cells: seconds and microseconds. */
export function brushed(grid: HeatGrid, a: [number, number], b: [number, number]): Brush {
  const within = (value: number, size: number) => Math.max(0, Math.min(size - 1, Math.floor(value)));
  const [left, right] = [a[0], b[0]].map((x) => within(x, grid.columns)).sort((x, y) => x - y);
  const [bottom, top] = [a[1], b[1]].map((y) => within(y, grid.bands)).sort((x, y) => x - y);
  return {
    from: grid.start + left! * grid.step,
    to: grid.start + (right! + 1) * grid.step,
    least: rowMicros(grid, bottom!),
    most: rowMicros(grid, top! + 1),
  };
}
