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

export const NODE_WIDTH = 164;
export const NODE_HEIGHT = 44;
export const BOX_PADDING = { namespace: 20, app: 12 } as const;
export const BOX_TITLE = { namespace: 26, app: 22 } as const;

/** A node's rectangle around its centre. */
export function nodeRect(centre: Point): Rect {
  return { x: centre.x - NODE_WIDTH / 2, y: centre.y - NODE_HEIGHT / 2, width: NODE_WIDTH, height: NODE_HEIGHT };
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

/** A smooth path through points: Catmull–Rom as cubic Béziers, tension 1/2, flat at the ends. */
export function smoothPath(points: Point[]): string {
  if (points.length < 2) return "";
  const at = (index: number) => points[Math.max(0, Math.min(points.length - 1, index))]!;
  let path = `M${text(at(0))}`;
  for (let i = 0; i < points.length - 1; i += 1) {
    const [before, from, to, after] = [at(i - 1), at(i), at(i + 1), at(i + 2)];
    const c1 = { x: from.x + (to.x - before.x) / 6, y: from.y + (to.y - before.y) / 6 };
    const c2 = { x: to.x - (after.x - from.x) / 6, y: to.y - (after.y - from.y) / 6 };
    path += `C${text(c1)} ${text(c2)} ${text(to)}`;
  }
  return path;
}

/** A plain curve between two nodes for which no route was computed, and where its label goes. */
export function directPath(source: Point, target: Point): { path: string; middle: Point; } {
  const half = NODE_WIDTH / 2;
  if (source.x === target.x && source.y === target.y) {
    const top = source.y - NODE_HEIGHT / 2;
    const path = `M${text({ x: source.x - 20, y: top })}C${source.x - 40},${top - 44} ${source.x + 40},${top - 44} ${source.x + 20},${top}`;
    return { path, middle: { x: source.x, y: top - 33 } };
  }
  const forward = target.x > source.x + NODE_WIDTH * 0.6;
  const back = target.x < source.x - NODE_WIDTH * 0.6;
  const side = forward ? 1 : back ? -1 : 0;
  if (side === 0) {
    const down = target.y > source.y ? 1 : -1;
    const from = { x: source.x, y: source.y + (down * NODE_HEIGHT) / 2 };
    const to = { x: target.x, y: target.y - (down * NODE_HEIGHT) / 2 };
    const bend = (to.y - from.y) / 2;
    const path = `M${text(from)}C${from.x},${from.y + bend} ${to.x},${to.y - bend} ${text(to)}`;
    return { path, middle: { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 } };
  }
  const from = { x: source.x + side * half, y: source.y };
  const to = { x: target.x - side * half, y: target.y };
  const bend = Math.max(40, Math.abs(to.x - from.x) / 2) * side;
  const path = `M${text(from)}C${from.x + bend},${from.y} ${to.x - bend},${to.y} ${text(to)}`;
  return { path, middle: { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 } };
}

const text = (point: Point): string => `${round(point.x)},${round(point.y)}`;
const round = (value: number): number => Math.round(value * 10) / 10;
