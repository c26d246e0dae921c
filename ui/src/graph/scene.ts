/** Everything the canvas paints, computed from graph, layout and settings: pure, so that it can be tested. */

import { formatByteRate, formatMs, formatRate, formatRatio } from "../lib/format";
import { type PlacedBox, placeBoxes } from "./boxes";
import { nodeRect, type Point, type Rect, union } from "./geometry";
import type { Layout } from "./layout";
import type { Graph, GraphEdge, GraphNode } from "./model";
import { placePorts, routePath } from "./ports";
import type { EdgeLabel, GraphSettings } from "./settings";

export interface SceneNode {
  node: GraphNode;
  at: Point;
  title: string;
  detail: string;
}

export interface SceneEdge {
  edge: GraphEdge;
  path: string;
  label: Point;
  width: number;
  parts: { text: string; bad: boolean }[];
  lock: "locked" | "open" | null;
}

export interface Scene {
  boxes: PlacedBox[];
  nodes: SceneNode[];
  edges: SceneEdge[];
  area: Rect;
}

export function buildScene(graph: Graph, layout: Layout, settings: GraphSettings): Scene {
  const { positions } = layout;
  const boxes = settings.boxes ? placeBoxes(graph.boxes, graph.nodes, positions) : [];
  const boxed = new Set(boxes.filter((box) => box.kind === "app").map((box) => box.id));
  const nodes = graph.nodes.flatMap((node) => {
    const at = positions.get(node.id);
    return at ? [{ node, at, ...nodeTexts(node, boxed.has(node.parent ?? "")) }] : [];
  });
  const largest = { requests: greatest(graph.edges, false), bytes: greatest(graph.edges, true) };
  const ports = placePorts(graph.edges, positions, layout.routes);
  const edges = graph.edges.flatMap((edge) => {
    const port = ports.get(edge.id);
    if (!port) return [];
    const route = routePath(port, layout.routes.get(edge.id));
    return [
      {
        edge,
        path: route.path,
        label: route.label,
        width: edgeWidth(edge, edge.protocol === "tcp" ? largest.bytes : largest.requests),
        parts: labelParts(edge, settings.labels),
        lock: settings.mtls ? lockOf(edge) : null,
      },
    ];
  });
  const rects = [...boxes.map((box) => box.rect), ...nodes.map((node) => nodeRect(node.at))];
  return { boxes, nodes, edges, area: union(rects) ?? { x: 0, y: 0, width: 1, height: 1 } };
}

function nodeTexts(node: GraphNode, boxed: boolean): { title: string; detail: string } {
  const version = node.version && node.version !== "latest" && node.version !== "unknown" ? node.version : "";
  const rate = node.rate > 0 ? formatRate(node.rate) : "";
  if (boxed && version) return { title: version, detail: rate || node.workload };
  return { title: node.title, detail: [version, rate].filter(Boolean).join(" · ") };
}

const greatest = (edges: GraphEdge[], tcp: boolean): number =>
  Math.max(0, ...edges.filter((edge) => (edge.protocol === "tcp") === tcp).map((edge) => edge.rate));

/** From 1.25 to 4.5 px by the square root of the traffic, so that small flows stay visible. */
export function edgeWidth(edge: GraphEdge, largest: number): number {
  return edge.rate > 0 && largest > 0 ? 1.25 + 3.25 * Math.sqrt(edge.rate / largest) : 1.25;
}

function lockOf(edge: GraphEdge): "locked" | "open" | null {
  if (edge.mtls === null || edge.health === "idle") return null;
  return edge.mtls >= 0.9995 ? "locked" : "open";
}

export function labelParts(edge: GraphEdge, labels: EdgeLabel[]): { text: string; bad: boolean }[] {
  if (edge.health === "idle") return [];
  const tcp = edge.protocol === "tcp";
  const parts: { text: string; bad: boolean }[] = [];
  const add = (text: string, bad = false) => parts.push({ text, bad });
  if (labels.includes("rate")) add(tcp ? formatByteRate(edge.rate) : formatRate(edge.rate));
  if (labels.includes("share") && edge.share !== null && !tcp) add(formatRatio(edge.share));
  if (labels.includes("p95") && edge.p95 !== null && !tcp) add(formatMs(edge.p95));
  if (labels.includes("throughput") && edge.throughput !== null && !(tcp && labels.includes("rate")))
    add(formatByteRate(edge.throughput));
  if (!tcp && edge.errorRatio > 0 && (labels.includes("errors") || labels.includes("rate")))
    add(formatRatio(edge.errorRatio), true);
  else if (!tcp && labels.includes("errors")) add("0%");
  return parts;
}

/** A label's width at 11 px tabular figures: close enough to draw its plate without measuring. */
export function labelWidth(parts: { text: string }[], lock: boolean): number {
  const characters = parts.reduce((sum, part) => sum + part.text.length, 0);
  const gaps = Math.max(0, parts.length - 1) * 8;
  return 12 + characters * 6.35 + gaps + (lock ? (parts.length ? 15 : 8) : 0);
}
