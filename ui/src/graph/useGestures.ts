/** Pointers and keys over the drawing: pan, pinch, move a node, choose a node or an edge. */

import { useRef } from "preact/hooks";
import type { Point } from "./geometry";
import type { Scene } from "./scene";
import type { Viewport } from "./useViewport";

interface Drag {
  start: Point;
  last: Point;
  node: { id: string; at: Point } | null;
  edge: string | null;
  moved: boolean;
}

interface Actions {
  scene: Scene;
  onSelect: (id: string | null) => void;
  onMove: (id: string, to: Point) => void;
}

/** A pointer that went less far than this has clicked. */
const CLICK = 4;

export function useGestures(viewport: Viewport, { scene, onSelect, onMove }: Actions) {
  const drag = useRef<Drag | null>(null);
  const fingers = useRef(new Map<number, Point>());

  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    const at = { x: event.clientX, y: event.clientY };
    fingers.current.set(event.pointerId, at);
    const { node: id, edge } = thingUnder(event);
    const node = scene.nodes.find((one) => one.node.id === id);
    drag.current = {
      start: at,
      last: at,
      node: node ? { id: node.node.id, at: node.at } : null,
      edge,
      moved: false,
    };
    viewport.svg.current!.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent) => {
    const at = { x: event.clientX, y: event.clientY };
    const before = fingers.current.get(event.pointerId);
    if (before && fingers.current.size === 2) pinch(event.pointerId, before, at);
    if (before) fingers.current.set(event.pointerId, at);
    if (fingers.current.size < 2) pull(at);
  };
  const pull = (at: Point) => {
    const state = drag.current;
    if (!state) return;
    const [dx, dy] = [at.x - state.start.x, at.y - state.start.y];
    if (!state.moved && Math.hypot(dx, dy) < CLICK) return;
    state.moved = true;
    const { scale } = viewport.view.current;
    if (state.node)
      onMove(state.node.id, { x: state.node.at.x + dx / scale, y: state.node.at.y + dy / scale });
    else viewport.panBy(at.x - state.last.x, at.y - state.last.y);
    state.last = at;
  };
  const pinch = (id: number, before: Point, now: Point) => {
    const other = [...fingers.current].find(([key]) => key !== id)?.[1];
    if (!other) return;
    const box = viewport.svg.current!.getBoundingClientRect();
    const distance = (point: Point) => Math.hypot(point.x - other.x, point.y - other.y);
    const middle = { x: (now.x + other.x) / 2 - box.x, y: (now.y + other.y) / 2 - box.y };
    viewport.zoomBy(distance(now) / distance(before), middle);
  };
  const up = (event: PointerEvent) => {
    fingers.current.delete(event.pointerId);
    const state = drag.current;
    drag.current = null;
    if (!state || state.moved || event.type === "pointercancel") return;
    onSelect(state.node?.id ?? state.edge);
  };
  const key = (event: KeyboardEvent) => {
    const step = event.ctrlKey || event.metaKey || event.altKey ? undefined : keySteps(viewport)[event.key];
    if (!step) return;
    event.preventDefault();
    step();
  };
  return { onPointerDown: down, onPointerMove: move, onPointerUp: up, onPointerCancel: up, onKeyDown: key };
}

function keySteps({ zoomBy, panBy, fitAll }: Viewport): Record<string, (() => void) | undefined> {
  return {
    "+": () => zoomBy(1.2),
    "=": () => zoomBy(1.2),
    "-": () => zoomBy(1 / 1.2),
    "0": fitAll,
    ArrowLeft: () => panBy(60, 0),
    ArrowRight: () => panBy(-60, 0),
    ArrowUp: () => panBy(0, 60),
    ArrowDown: () => panBy(0, -60),
  };
}

export function thingUnder(event: PointerEvent): { node: string | null; edge: string | null } {
  const target = event.target as Element;
  return {
    node: target.closest("[data-node]")?.getAttribute("data-node") ?? null,
    edge: target.closest("[data-edge]")?.getAttribute("data-edge") ?? null,
  };
}
