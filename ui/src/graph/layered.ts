/**
 * A layout in layers, left to right (dagre), with the boxes as clusters and room reserved for edge
 * labels. Takes from milliseconds to seconds, so pages ask a worker for it.
 */

import * as dagre from "@dagrejs/dagre";
import { NODE_HEIGHT, NODE_WIDTH, type Point } from "./geometry";
import type { Layout, Route, Shape } from "./layout";
import { separate } from "./separate";

/** Room for an edge label of one number, and for each number more. */
const LABEL = { width: 52, more: 40, height: 20 };

/** Nodes and edges from which the best ranking (network simplex) takes too long. */
const LARGE = 150;

/** A first layout, or one afresh, with room for labels of so many numbers. */
export function layOut(shape: Shape, numbers = 1): Layout {
  const large = shape.nodes.length + shape.edges.length > LARGE;
  const graph = new dagre.graphlib.Graph({ compound: true, multigraph: true });
  const ranker = large ? "tight-tree" : "network-simplex";
  graph.setGraph({ rankdir: "LR", nodesep: 26, edgesep: 16, ranksep: 48, ranker });
  graph.setDefaultEdgeLabel(() => ({}));
  const filled = filledBoxes(shape);
  for (const box of shape.boxes) if (filled.has(box.id)) graph.setNode(box.id, {});
  for (const node of shape.nodes) graph.setNode(node.id, { width: NODE_WIDTH, height: NODE_HEIGHT });
  for (const child of [...shape.boxes, ...shape.nodes]) {
    if (child.parent && graph.hasNode(child.id) && graph.hasNode(child.parent))
      graph.setParent(child.id, child.parent);
  }
  const label = {
    width: LABEL.width + LABEL.more * Math.max(0, numbers - 1),
    height: LABEL.height,
    labelpos: "c",
  };
  for (const edge of shape.edges) {
    if (graph.hasNode(edge.source) && graph.hasNode(edge.target))
      graph.setEdge(edge.source, edge.target, { ...label }, edge.id);
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
