/**
 * Where everything goes. A first graph is laid out in layers, left to right (dagre, with the boxes
 * as clusters and room reserved for edge labels). Afterwards nothing moves: known nodes keep their
 * place, new ones are put near their neighbours, in free space of their own box.
 */

import * as dagre from "@dagrejs/dagre";
import { NODE_HEIGHT, NODE_WIDTH, nodeRect, overlaps, type Point, type Rect, union } from "./geometry";
import { separate } from "./separate";

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

const LABEL = { width: 52, height: 20 };
const GAP = 22;

/** A first layout, or one afresh. */
export function layOut(shape: Shape): Layout {
  const graph = new dagre.graphlib.Graph({ compound: true, multigraph: true });
  graph.setGraph({ rankdir: "LR", nodesep: 26, edgesep: 16, ranksep: 48, marginx: 24, marginy: 24 });
  graph.setDefaultEdgeLabel(() => ({}));
  const filled = filledBoxes(shape);
  for (const box of shape.boxes) if (filled.has(box.id)) graph.setNode(box.id, {});
  for (const node of shape.nodes) graph.setNode(node.id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  for (const child of [...shape.boxes, ...shape.nodes]) {
    if (child.parent && graph.hasNode(child.id) && graph.hasNode(child.parent))
      graph.setParent(child.id, child.parent);
  }
  for (const edge of shape.edges) {
    if (graph.hasNode(edge.source) && graph.hasNode(edge.target))
      graph.setEdge(edge.source, edge.target, { ...LABEL, labelpos: "c" }, edge.id);
  }
  dagre.layout(graph);
  return separate(read(graph, shape), shape);
}

function read(graph: dagre.graphlib.Graph, shape: Shape): Layout {
  const positions = new Map<string, Point>();
  for (const node of shape.nodes) {
    const { x, y } = graph.node(node.id) as Point;
    positions.set(node.id, { x, y });
  }
  const routes = new Map<string, Route>();
  for (const edge of shape.edges) {
    const found = graph.edge(edge.source, edge.target, edge.id) as (Point & { points?: Point[] }) | undefined;
    if (!found?.points) continue;
    const points = found.points.map(({ x, y }) => ({ x, y }));
    routes.set(edge.id, { points, label: { x: found.x, y: found.y } });
  }
  return { positions, routes };
}

function filledBoxes(shape: Shape): Set<string> {
  const parents = new Map(shape.boxes.map((box) => [box.id, box.parent]));
  const filled = new Set<string>();
  for (const node of shape.nodes) {
    for (let box = node.parent; box && !filled.has(box); box = parents.get(box) ?? null) filled.add(box);
  }
  return filled;
}

/** The layout for a changed graph: everything known stays; a graph that is mostly new starts afresh. */
export function keepLayout(before: Layout | null, shape: Shape): Layout {
  if (!before || before.positions.size === 0) return layOut(shape);
  const fresh = shape.nodes.filter((node) => !before.positions.has(node.id));
  if (fresh.length === 0) return before;
  if (fresh.length > Math.max(3, shape.nodes.length * 0.5)) return layOut(shape);
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
  const step = NODE_WIDTH + LABEL.width + 40;
  for (const edge of shape.edges) {
    const caller = edge.target === node.id ? positions.get(edge.source) : undefined;
    const called = edge.source === node.id ? positions.get(edge.target) : undefined;
    if (caller) wishes.push({ x: caller.x + step, y: caller.y });
    if (called) wishes.push({ x: called.x - step, y: called.y });
  }
  if (wishes.length) return mean(wishes);
  const all = union([...positions.values()].map(nodeRect));
  return all ? { x: all.x + NODE_WIDTH / 2, y: all.y + all.height + NODE_HEIGHT + GAP } : { x: 0, y: 0 };
}

/** Boxes that the node does not belong to: their area is not free for it. */
function otherBoxes(node: Shape["nodes"][number], shape: Shape, positions: Map<string, Point>): Rect[] {
  const mine = ancestors(node.parent, shape);
  return shape.boxes
    .filter((box) => !mine.has(box.id))
    .flatMap((box) => {
      const inside = shape.nodes.filter(
        (other) => ancestors(other.parent, shape).has(box.id) && positions.has(other.id),
      );
      const area = union(inside.map((other) => nodeRect(positions.get(other.id)!)));
      return area ? [area] : [];
    });
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
