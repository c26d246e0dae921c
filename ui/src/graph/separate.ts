/**
 * The layout engine knows the boxes' contents but not their titles and padding: boxes that touch
 * because of those are moved apart with all that is in them.
 */

import { placeBoxes } from "./boxes";
import { overlaps, type Point, type Rect } from "./geometry";
import type { Layout, Route, Shape } from "./layout";

const GAP = 20;

export function separate(layout: Layout, shape: Shape): Layout {
  const outer = placeBoxes(shape.boxes, shape.nodes, layout.positions).filter((box) => box.parent === null);
  const shifts = verticalShifts(outer);
  if (shifts.size === 0) return layout;
  const shiftOf = nodeShifts(shape, shifts);
  const positions = new Map<string, Point>();
  for (const [id, at] of layout.positions) positions.set(id, { x: at.x, y: at.y + (shiftOf.get(id) ?? 0) });
  const routes = new Map<string, Route>();
  for (const edge of shape.edges) {
    const route = layout.routes.get(edge.id);
    if (route)
      routes.set(edge.id, moved(route, shiftOf.get(edge.source) ?? 0, shiftOf.get(edge.target) ?? 0));
  }
  return { positions, routes };
}

/**
 * How far each box must go so that none touches another: the larger stay, the smaller step aside,
 * up or down, whichever is nearer.
 */
export function verticalShifts(boxes: { id: string; rect: Rect }[]): Map<string, number> {
  const shifts = new Map<string, number>();
  const placed: Rect[] = [];
  const area = (rect: Rect) => rect.width * rect.height;
  for (const { id, rect } of [...boxes].sort((a, b) => area(b.rect) - area(a.rect))) {
    const up = clear(rect, placed, -1);
    const down = clear(rect, placed, 1);
    const shift = -up < down ? up : down;
    if (shift !== 0) shifts.set(id, shift);
    placed.push({ ...rect, y: rect.y + shift });
  }
  return shifts;
}

/** The way in one direction until the rectangle is free of the others. */
function clear(rect: Rect, placed: Rect[], direction: 1 | -1): number {
  let y = rect.y;
  for (let again = true; again;) {
    again = false;
    for (const other of placed) {
      if (!overlaps({ ...rect, y }, other, GAP)) continue;
      y = direction > 0 ? other.y + other.height + GAP : other.y - rect.height - GAP;
      again = true;
    }
  }
  return y - rect.y;
}

function nodeShifts(shape: Shape, shifts: Map<string, number>): Map<string, number> {
  const parents = new Map(shape.boxes.map((box) => [box.id, box.parent]));
  const result = new Map<string, number>();
  for (const node of shape.nodes) {
    let box = node.parent;
    while (box && parents.get(box)) box = parents.get(box) ?? null;
    if (box && shifts.has(box)) result.set(node.id, shifts.get(box)!);
  }
  return result;
}

/** A route whose ends moved: its points move with them, gradually from one end to the other. */
function moved(route: Route, atSource: number, atTarget: number): Route {
  const last = Math.max(1, route.points.length - 1);
  const by = (part: number) => atSource + (atTarget - atSource) * part;
  return {
    points: route.points.map((point, index) => ({ x: point.x, y: point.y + by(index / last) })),
    label: { x: route.label.x, y: route.label.y + by(0.5) },
  };
}
