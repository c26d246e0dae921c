/**
 * Where edges meet the cards. They leave on the right and arrive on the left, spread over the side
 * in the order of their other ends, so that lines neither cross at the card nor share an arrow head.
 */

import { monotonePath, NODE_HEIGHT, NODE_WIDTH, type Point, text } from "./geometry";
import type { Route } from "./layout";

type Routes = Map<string, Route>;

export interface Port {
  from: Point;
  to: Point;
  /** How the edge runs: rightwards, leftwards, to a node above or below, or back to itself. */
  run: "right" | "left" | "vertical" | "self";
}

interface End {
  id: string;
  source: string;
  target: string;
}

const SPREAD = NODE_HEIGHT - 16;
const WIDEST_GAP = 11;
/** The least distance along the flow between points of a line: closer ones would make it kink. */
const ROOM = 28;

export function placePorts(edges: End[], positions: Map<string, Point>, routes: Routes): Map<string, Port> {
  const ports = new Map<string, Port>();
  const sides = new Map<string, { port: Port; end: "from" | "to"; order: number }[]>();
  const join = (key: string, entry: { port: Port; end: "from" | "to"; order: number }) =>
    sides.set(key, [...(sides.get(key) ?? []), entry]);
  for (const edge of edges) {
    const [source, target] = [positions.get(edge.source), positions.get(edge.target)];
    if (!source || !target) continue;
    const port = basePort(source, target);
    ports.set(edge.id, port);
    if (port.run !== "right" && port.run !== "left") continue;
    const [out, into] = port.run === "right" ? ["right", "left"] : ["left", "right"];
    const inner = steady(port, routes.get(edge.id));
    join(`${edge.source} ${out}`, { port, end: "from", order: (inner[0] ?? target).y + target.y / 1e4 });
    join(`${edge.target} ${into}`, {
      port,
      end: "to",
      order: (inner[inner.length - 1] ?? source).y + source.y / 1e4,
    });
  }
  for (const entries of sides.values()) spread(entries);
  return ports;
}

function basePort(source: Point, target: Point): Port {
  const half = NODE_WIDTH / 2;
  if (source.x === target.x && source.y === target.y) return { from: source, to: target, run: "self" };
  if (Math.abs(target.x - source.x) < NODE_WIDTH * 0.75) {
    const down = target.y > source.y ? 1 : -1;
    const edge = (at: Point, side: number) => ({ x: at.x, y: at.y + (side * NODE_HEIGHT) / 2 });
    return { from: edge(source, down), to: edge(target, -down), run: "vertical" };
  }
  const side = target.x > source.x ? 1 : -1;
  return {
    from: { x: source.x + side * half, y: source.y },
    to: { x: target.x - side * half, y: target.y },
    run: side > 0 ? "right" : "left",
  };
}

function spread(entries: { port: Port; end: "from" | "to"; order: number }[]): void {
  if (entries.length < 2) return;
  const gap = Math.min(WIDEST_GAP, SPREAD / (entries.length - 1));
  entries.sort((a, b) => a.order - b.order);
  entries.forEach(({ port, end }, index) => {
    const offset = (index - (entries.length - 1) / 2) * gap;
    port[end] = { x: port[end].x, y: port[end].y + offset };
  });
}

/** The line of an edge, through its route where the layout gave one, and the place of its label. */
export function routePath(port: Port, route: Route | undefined): { path: string; label: Point } {
  if (port.run === "self") return loop(port.from);
  if (port.run === "vertical") return curve(port, "y");
  const between = steady(port, route);
  if (between.length === 0) return curve(port, "x");
  return { path: monotonePath([port.from, ...between, port.to]), label: route!.label };
}

/** The inner points of a route that go steadily from one end to the other. */
function steady({ from, to, run }: Port, route: Route | undefined): Point[] {
  if (!route) return [];
  const sign = run === "right" ? 1 : -1;
  const inner = [...route.points.slice(1, -1), route.label].sort((a, b) => sign * (a.x - b.x));
  let last = from.x;
  return inner.filter((point) => {
    const fits = sign * (point.x - last) > ROOM && sign * (to.x - point.x) > ROOM;
    if (fits) last = point.x;
    return fits;
  });
}

function curve({ from, to }: Port, axis: "x" | "y"): { path: string; label: Point } {
  const bend = (to[axis] - from[axis]) / 2;
  const c1 = { ...from, [axis]: from[axis] + bend };
  const c2 = { ...to, [axis]: to[axis] - bend };
  return {
    path: `M${text(from)}C${text(c1)} ${text(c2)} ${text(to)}`,
    label: { x: (from.x + to.x) / 2, y: (from.y + to.y) / 2 },
  };
}

function loop(centre: Point): { path: string; label: Point } {
  const top = centre.y - NODE_HEIGHT / 2;
  const [a, b] = [
    { x: centre.x - 20, y: top },
    { x: centre.x + 20, y: top },
  ];
  const [c1, c2] = [
    { x: centre.x - 42, y: top - 46 },
    { x: centre.x + 42, y: top - 46 },
  ];
  return { path: `M${text(a)}C${text(c1)} ${text(c2)} ${text(b)}`, label: { x: centre.x, y: top - 34 } };
}
