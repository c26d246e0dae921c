/**
 * Where everything goes, and that it stays there. A first graph is laid out in layers; afterwards
 * nothing moves: known nodes keep their place, new ones are put near their neighbours, in free space
 * of their own box.
 */

import { placeBoxes } from "./boxes";
import { NODE_HEIGHT, NODE_WIDTH, nodeRect, overlaps, type Point, type Rect, union } from "./geometry";

/** What a layout depends on: names and structure, never numbers. */
export interface Shape {
  boxes: { id: string; parent: string | null; kind: "namespace" | "app" }[];
  nodes: { id: string; parent: string | null }[];
  edges: { id: string; source: string; target: string }[];
}

export interface Route {
  points: Point[];
  label: Point;
}

export interface Layout {
  /** Centres by node id. Nodes that went away keep their entry, and their place if they return. */
  positions: Map<string, Point>;
  /** Routes by edge id, for edges whose ends stayed where the layout put them. */
  routes: Map<string, Route>;
}

const GAP = 22;
/** How far a new node stands from its caller: a card, a label and some line. */
const STEP = NODE_WIDTH + 116;

/**
 * The layout for a changed graph, everything known in its place; null where so much is new that the
 * graph should be laid out afresh.
 */
export function keepLayout(before: Layout | null, shape: Shape): Layout | null {
  if (!before || before.positions.size === 0) return null;
  const fresh = shape.nodes.filter((node) => !before.positions.has(node.id));
  if (fresh.length === 0) return before;
  if (fresh.length > Math.max(3, shape.nodes.length * 0.5)) return null;
  const positions = new Map(before.positions);
  for (const node of fresh) positions.set(node.id, placeFor(node, shape, positions));
  return { positions, routes: before.routes };
}

function placeFor(node: Shape["nodes"][number], shape: Shape, positions: Map<string, Point>): Point {
  const present = shape.nodes.filter((other) => other.id !== node.id && positions.has(other.id));
  const taken = present.map((other) => nodeRect(positions.get(other.id)!));
  const siblings = node.parent ? present.filter((other) => other.parent === node.parent) : [];
  const foreign = otherBoxes(node, shape, positions);
  const start = siblings.length
    ? below(siblings.map((s) => positions.get(s.id)!))
    : nextTo(node, shape, positions);
  return freeSpot(start, [...taken, ...foreign]);
}

function below(points: Point[]): Point {
  const lowest = points.reduce((a, b) => (b.y > a.y ? b : a));
  return { x: lowest.x, y: lowest.y + NODE_HEIGHT + GAP };
}

/** Right of its callers, left of those it calls, at their mean height. */
function nextTo(node: Shape["nodes"][number], shape: Shape, positions: Map<string, Point>): Point {
  const wishes: Point[] = [];
  for (const edge of shape.edges) {
    const caller = edge.target === node.id ? positions.get(edge.source) : undefined;
    const called = edge.source === node.id ? positions.get(edge.target) : undefined;
    if (caller) wishes.push({ x: caller.x + STEP, y: caller.y });
    if (called) wishes.push({ x: called.x - STEP, y: called.y });
  }
  if (wishes.length) return mean(wishes);
  const all = union([...positions.values()].map(nodeRect));
  return all ? { x: all.x + NODE_WIDTH / 2, y: all.y + all.height + NODE_HEIGHT + GAP } : { x: 0, y: 0 };
}

/** Boxes that the node does not belong to: their area is not free for it. */
function otherBoxes(node: Shape["nodes"][number], shape: Shape, positions: Map<string, Point>): Rect[] {
  const mine = ancestors(node.parent, shape);
  const placed = placeBoxes(shape.boxes, shape.nodes, positions);
  return placed.filter((box) => !mine.has(box.id)).map((box) => box.rect);
}

function ancestors(parent: string | null, shape: Shape): Set<string> {
  const result = new Set<string>();
  for (let id = parent; id && !result.has(id); id = shape.boxes.find((box) => box.id === id)?.parent ?? null)
    result.add(id);
  return result;
}

/** The nearest free place around `start`, looking down first, in growing rings. */
function freeSpot(start: Point, taken: Rect[]): Point {
  const clear = (point: Point) => taken.every((rect) => !overlaps(nodeRect(point), rect, GAP - 2));
  for (let ring = 0; ring < 60; ring += 1) {
    for (const [dx, dy] of RING) {
      const point = {
        x: start.x + dx * ring * (NODE_WIDTH / 4),
        y: start.y + dy * ring * ((NODE_HEIGHT + GAP) / 2),
      };
      if (clear(point)) return point;
    }
  }
  return start;
}

const RING: [number, number][] = [
  [0, 1],
  [0, -1],
  [1, 1],
  [-1, 1],
  [1, -1],
  [-1, -1],
  [1, 0],
  [-1, 0],
];

function mean(points: Point[]): Point {
  const size = points.length;
  return { x: points.reduce((s, p) => s + p.x, 0) / size, y: points.reduce((s, p) => s + p.y, 0) / size };
}

/** A string that changes when the structure does: cheap to compare between refreshes. */
export function shapeKey(shape: Shape): string {
  return [
    ...shape.nodes.map((node) => `${node.id}<${node.parent ?? ""}`),
    ...shape.edges.map((edge) => edge.id),
  ]
    .sort()
    .join("|");
}
