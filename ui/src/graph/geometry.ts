/** Sizes, curves and rectangles of the drawing, in its own units (CSS pixels at zoom 1). */

export interface Point {
  x: number;
  y: number;
}

export interface Rect {
  x: number;
  y: number;
  width: number;
  height: number;
}

export const NODE_WIDTH = 156;
export const NODE_HEIGHT = 44;
export const BOX_PADDING = { namespace: 20, app: 12 } as const;
export const BOX_TITLE = { namespace: 26, app: 22 } as const;

/** A node's rectangle around its centre. */
export function nodeRect(centre: Point): Rect {
  return {
    x: centre.x - NODE_WIDTH / 2,
    y: centre.y - NODE_HEIGHT / 2,
    width: NODE_WIDTH,
    height: NODE_HEIGHT,
  };
}

export function union(rects: Rect[]): Rect | null {
  if (rects.length === 0) return null;
  const left = Math.min(...rects.map((rect) => rect.x));
  const top = Math.min(...rects.map((rect) => rect.y));
  const right = Math.max(...rects.map((rect) => rect.x + rect.width));
  const bottom = Math.max(...rects.map((rect) => rect.y + rect.height));
  return { x: left, y: top, width: right - left, height: bottom - top };
}

export function overlaps(a: Rect, b: Rect, gap = 0): boolean {
  return (
    a.x < b.x + b.width + gap &&
    b.x < a.x + a.width + gap &&
    a.y < b.y + b.height + gap &&
    b.y < a.y + a.height + gap
  );
}

/**
 * A smooth path through points that go steadily right (or steadily left): cubic Hermite with monotone
 * tangents (Fritsch–Carlson 1980), so that the curve never swings above or below its points.
 */
export function monotonePath(points: Point[]): string {
  if (points.length < 2) return "";
  const slopes = tangents(points);
  let path = `M${text(points[0]!)}`;
  for (let i = 0; i < points.length - 1; i += 1) {
    const [from, to] = [points[i]!, points[i + 1]!];
    const third = (to.x - from.x) / 3;
    const c1 = { x: from.x + third, y: from.y + third * slopes[i]! };
    const c2 = { x: to.x - third, y: to.y - third * slopes[i + 1]! };
    path += `C${text(c1)} ${text(c2)} ${text(to)}`;
  }
  return path;
}

/** Slopes dy/dx at each point; level at both ends, where the line meets a card. */
function tangents(points: Point[]): number[] {
  const secants = points.slice(1).map((to, i) => (to.y - points[i]!.y) / (to.x - points[i]!.x || 1e-6));
  return points.map((_, i) => {
    const [before, after] = [secants[i - 1], secants[i]];
    if (before === undefined || after === undefined || before * after <= 0) return 0;
    return (2 * before * after) / (before + after);
  });
}

export const text = (point: Point): string => `${round(point.x)},${round(point.y)}`;
const round = (value: number): number => Math.round(value * 10) / 10;
