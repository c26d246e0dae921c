/** A flame graph's geometry: nodes as wide as the work in them and below, in rows by depth. */

import type { FlameNode } from "../api/analysis";

export interface FlameBox {
  node: FlameNode;
  index: number;
  /** Left and right edge as parts of the whole. */
  from: number;
  to: number;
  children: number[];
}

export interface Flame {
  boxes: FlameBox[];
  rows: number[][];
  depth: number;
}

/** Parents come before their children in `nodes`, as the server sends them.
 *
 * A node's width is its own self time and that of all below: calls side by side may take longer together than
 * their caller, but self times add up. Below its caller, the widest comes first.
 */
export function layOut(nodes: readonly FlameNode[]): Flame {
  const weight = nodes.map((node) => node.self_ms);
  const children: number[][] = nodes.map(() => []);
  const tops: number[] = [];
  for (let index = nodes.length - 1; index >= 0; index -= 1) {
    const parent = nodes[index]!.parent;
    if (parent >= 0) {
      weight[parent]! += weight[index]!;
      children[parent]!.push(index);
    } else tops.push(index);
  }
  const widestFirst = (list: number[]) => list.sort((a, b) => weight[b]! - weight[a]! || a - b);
  const whole = tops.reduce((sum, index) => sum + weight[index]!, 0) || 1;
  const boxes = nodes.map<FlameBox>((node, index) => ({
    node,
    index,
    from: 0,
    to: 0,
    children: children[index]!,
  }));
  const rows: number[][] = [];
  const place = (list: number[], left: number) => {
    let from = left;
    for (const index of widestFirst(list)) {
      boxes[index]!.from = from;
      from += weight[index]! / whole;
      boxes[index]!.to = from;
    }
  };
  place(tops, 0);
  for (const box of boxes) {
    place(box.children, box.from);
    (rows[box.node.depth] ??= []).push(box.index);
  }
  for (const row of rows) row.sort((a, b) => boxes[a]!.from - boxes[b]!.from);
  return { boxes, rows, depth: rows.length };
}

/** The box in a row at a place (0 to 1); -1 where there is none. */
export function boxAt(flame: Flame, row: number, at: number): number {
  const list = flame.rows[row] ?? [];
  let [low, high] = [0, list.length - 1];
  while (low <= high) {
    const middle = (low + high) >> 1;
    const box = flame.boxes[list[middle]!]!;
    if (at < box.from) high = middle - 1;
    else if (at >= box.to) low = middle + 1;
    else return box.index;
  }
  return -1;
}

export type Direction = "up" | "down" | "left" | "right";

/** Where an arrow key leads from a box; the same box where it leads nowhere. */
export function neighbour(flame: Flame, index: number, direction: Direction): number {
  const box = flame.boxes[index];
  if (!box) return flame.rows[0]?.[0] ?? -1;
  if (direction === "up") return box.node.parent >= 0 ? box.node.parent : index;
  if (direction === "down") return box.children[0] ?? index;
  const row = flame.rows[box.node.depth]!;
  return row[row.indexOf(index) + (direction === "right" ? 1 : -1)] ?? index;
}

/** Names along the way from the top to a box. */
export function wayTo(flame: Flame, index: number): FlameNode[] {
  const way: FlameNode[] = [];
  for (let at = index; at >= 0; at = flame.boxes[at]!.node.parent) way.unshift(flame.boxes[at]!.node);
  return way;
}
