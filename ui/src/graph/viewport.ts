/** Pan and zoom: a transform, and the steps that change it. */

import type { Point, Rect } from "./geometry";

export interface View {
  x: number;
  y: number;
  scale: number;
}

export const SMALLEST = 0.12;
export const LARGEST = 2.5;

/** Room around a fitted drawing: more where the zoom buttons and the note stand. */
const MARGIN = { left: 24, right: 64, top: 20, bottom: 52 };

const clamp = (value: number, low: number, high: number): number => Math.min(high, Math.max(low, value));

/** Zooms by a factor and keeps the drawing's point under `at` (view coordinates) where it is. */
export function zoomAt(view: View, factor: number, at: Point): View {
  const scale = clamp(view.scale * factor, SMALLEST, LARGEST);
  const ratio = scale / view.scale;
  return { scale, x: at.x - (at.x - view.x) * ratio, y: at.y - (at.y - view.y) * ratio };
}

/** Shows all of `area` in the middle of a window of this size, never larger than life. */
export function fitView(area: Rect, size: { width: number; height: number }): View {
  const width = size.width - MARGIN.left - MARGIN.right;
  const height = size.height - MARGIN.top - MARGIN.bottom;
  const scale = clamp(Math.min(width / area.width, height / area.height), SMALLEST, 1.15);
  return {
    scale,
    x: MARGIN.left + (width - area.width * scale) / 2 - area.x * scale,
    y: MARGIN.top + (height - area.height * scale) / 2 - area.y * scale,
  };
}

/** From a place on the screen (relative to the window's corner) to a place in the drawing. */
export function toDrawing(view: View, at: Point): Point {
  return { x: (at.x - view.x) / view.scale, y: (at.y - view.y) / view.scale };
}
