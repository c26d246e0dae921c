/** The rectangles of boxes: drawn around whatever is inside them now. */

import { BOX_PADDING, BOX_TITLE, nodeRect, type Point, type Rect, union } from "./geometry";
import type { GraphBox } from "./model";

type Box = Pick<GraphBox, "id" | "kind" | "parent">;
type Member = { id: string; parent: string | null };

export type Placed<B extends Box> = B & { rect: Rect };
export type PlacedBox = Placed<GraphBox>;

/** Outer boxes first, so that inner ones are painted over them. Empty boxes are left out. */
export function placeBoxes<B extends Box>(
  boxes: B[],
  nodes: Member[],
  positions: Map<string, Point>,
): Placed<B>[] {
  const rects = new Map<string, Rect>();
  const inner = [...boxes].sort((a, b) => depth(b, boxes) - depth(a, boxes));
  for (const box of inner) {
    const content: Rect[] = [];
    for (const node of nodes) {
      const position = positions.get(node.id);
      if (node.parent === box.id && position) content.push(nodeRect(position));
    }
    for (const child of boxes) {
      const rect = rects.get(child.id);
      if (child.parent === box.id && rect) content.push(rect);
    }
    const area = union(content);
    if (area) rects.set(box.id, padded(area, box.kind));
  }
  return inner.reverse().flatMap((box) => {
    const rect = rects.get(box.id);
    return rect ? [{ ...box, rect }] : [];
  });
}

function padded(area: Rect, kind: GraphBox["kind"]): Rect {
  const pad = BOX_PADDING[kind];
  const title = BOX_TITLE[kind];
  return {
    x: area.x - pad,
    y: area.y - pad - title + 6,
    width: area.width + 2 * pad,
    height: area.height + 2 * pad + title - 6,
  };
}

function depth(box: Box, boxes: Box[]): number {
  const parent = boxes.find((other) => other.id === box.parent);
  return parent ? 1 + depth(parent, boxes) : 0;
}
