/** The drawing: an SVG that pans, zooms, and lets nodes be chosen and moved. */

import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { IconButton } from "../components/Controls";
import { BoxView, EdgeLine, EdgePlate, NodeView } from "./GraphParts";
import type { Point } from "./geometry";
import type { Scene } from "./scene";
import { fit, type View, zoomAt } from "./viewport";

interface Props {
  scene: Scene;
  selected: string | null;
  /** Ids that the find expression matched; null when there is none. */
  found: Set<string> | null;
  motion: boolean;
  /** A new value fits the drawing to the window. */
  fitKey: string;
  onSelect: (id: string | null) => void;
  onMove: (id: string, to: Point) => void;
  onRelayout: () => void;
}

interface Drag {
  start: Point;
  last: Point;
  node: { id: string; at: Point } | null;
  edge: string | null;
  moved: boolean;
}

export function GraphCanvas(props: Props) {
  const { scene, selected, found } = props;
  const svg = useRef<SVGSVGElement>(null);
  const world = useRef<SVGGElement>(null);
  const view = useRef<View>({ x: 0, y: 0, scale: 1 });
  const touched = useRef(false);
  const drag = useRef<Drag | null>(null);
  const fingers = useRef(new Map<number, Point>());
  const [hovered, setHovered] = useState<string | null>(null);

  const apply = (next: View) => {
    view.current = next;
    world.current?.setAttribute("transform", `translate(${next.x} ${next.y}) scale(${next.scale})`);
    svg.current?.classList.toggle("graph-far", next.scale < 0.42);
  };
  const fitAll = () => {
    const box = svg.current?.getBoundingClientRect();
    if (box?.width) apply(fit(scene.area, box));
    touched.current = false;
  };
  const zoomBy = (factor: number, at?: Point) => {
    const box = svg.current!.getBoundingClientRect();
    touched.current = true;
    apply(zoomAt(view.current, factor, at ?? { x: box.width / 2, y: box.height / 2 }));
  };
  const panBy = (dx: number, dy: number) => {
    touched.current = true;
    apply({ ...view.current, x: view.current.x + dx, y: view.current.y + dy });
  };

  useLayoutEffect(fitAll, [props.fitKey]);
  const refit = useRef(fitAll);
  refit.current = fitAll;
  useEffect(() => {
    const element = svg.current!;
    const observer = new ResizeObserver(() => {
      if (!touched.current) refit.current();
    });
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const box = element.getBoundingClientRect();
      const speed = event.ctrlKey ? 0.01 : 0.0016;
      zoomBy(Math.exp(-event.deltaY * speed), { x: event.clientX - box.x, y: event.clientY - box.y });
    };
    observer.observe(element);
    element.addEventListener("wheel", wheel, { passive: false });
    return () => {
      observer.disconnect();
      element.removeEventListener("wheel", wheel);
    };
  }, []);

  const down = (event: PointerEvent) => {
    if (event.button !== 0) return;
    const at = { x: event.clientX, y: event.clientY };
    fingers.current.set(event.pointerId, at);
    const target = event.target as Element;
    const id = target.closest("[data-node]")?.getAttribute("data-node") ?? null;
    const node = id === null ? undefined : scene.nodes.find((one) => one.node.id === id);
    drag.current = {
      start: at,
      last: at,
      node: node ? { id: node.node.id, at: node.at } : null,
      edge: target.closest("[data-edge]")?.getAttribute("data-edge") ?? null,
      moved: false,
    };
    svg.current!.setPointerCapture(event.pointerId);
  };
  const move = (event: PointerEvent) => {
    const at = { x: event.clientX, y: event.clientY };
    const before = fingers.current.get(event.pointerId);
    if (before && fingers.current.size === 2) pinch(event.pointerId, before, at);
    if (before) fingers.current.set(event.pointerId, at);
    const state = drag.current;
    if (!state || fingers.current.size > 1) return;
    if (!state.moved && Math.hypot(at.x - state.start.x, at.y - state.start.y) < 4) return;
    state.moved = true;
    if (state.node) {
      const scale = view.current.scale;
      const { id, at: origin } = state.node;
      props.onMove(id, { x: origin.x + (at.x - state.start.x) / scale, y: origin.y + (at.y - state.start.y) / scale });
    } else panBy(at.x - state.last.x, at.y - state.last.y);
    state.last = at;
  };
  const pinch = (id: number, before: Point, now: Point) => {
    const other = [...fingers.current].find(([key]) => key !== id)?.[1];
    if (!other) return;
    const box = svg.current!.getBoundingClientRect();
    const factor = Math.hypot(now.x - other.x, now.y - other.y) / Math.hypot(before.x - other.x, before.y - other.y);
    zoomBy(factor, { x: (now.x + other.x) / 2 - box.x, y: (now.y + other.y) / 2 - box.y });
  };
  const up = (event: PointerEvent) => {
    fingers.current.delete(event.pointerId);
    const state = drag.current;
    drag.current = null;
    if (!state || state.moved || event.type === "pointercancel") return;
    props.onSelect(state.node?.id ?? state.edge);
  };
  const key = (event: KeyboardEvent) => {
    const steps: Record<string, () => void> = {
      "+": () => zoomBy(1.2),
      "=": () => zoomBy(1.2),
      "-": () => zoomBy(1 / 1.2),
      "0": fitAll,
      ArrowLeft: () => panBy(60, 0),
      ArrowRight: () => panBy(-60, 0),
      ArrowUp: () => panBy(0, 60),
      ArrowDown: () => panBy(0, -60),
    };
    const step = event.ctrlKey || event.metaKey || event.altKey ? undefined : steps[event.key];
    if (!step) return;
    event.preventDefault();
    step();
  };

  const focus = hovered ?? selected;
  const near = focus ? neighbourhood(scene, focus) : null;
  const dim = (id: string) => (near !== null && !near.has(id)) || (near === null && found !== null && !found.has(id));
  return (
    <div class="graph-canvas">
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: the drawing itself takes the zoom and pan keys */}
      <svg
        ref={svg}
        role="group"
        aria-label={t("graph.label")}
        tabIndex={0}
        data-testid="graph-canvas"
        class={props.motion ? "graph-motion" : ""}
        onPointerDown={down}
        onPointerMove={move}
        onPointerUp={up}
        onPointerCancel={up}
        onPointerOver={(event) => setHovered(idUnder(event))}
        onPointerLeave={() => setHovered(null)}
        onKeyDown={key}
      >
        <Markers />
        <g ref={world}>
          {scene.boxes.map((box) => (
            <BoxView key={box.id} box={box} />
          ))}
          {scene.edges.map((one) => (
            <EdgeLine key={one.edge.id} item={one} dim={dim(one.edge.id)} selected={selected === one.edge.id} />
          ))}
          {scene.edges.map((one) => (
            <EdgePlate key={one.edge.id} item={one} dim={dim(one.edge.id)} selected={selected === one.edge.id} />
          ))}
          {scene.nodes.map((one) => (
            <NodeView
              key={one.node.id}
              item={one}
              dim={dim(one.node.id)}
              found={found?.has(one.node.id) ?? false}
              selected={selected === one.node.id}
              onOpen={() => props.onSelect(one.node.id)}
            />
          ))}
        </g>
      </svg>
      <div class="graph-zoom button-group-vertical">
        <IconButton label={t("graph.zoomIn")} icon="plus" onClick={() => zoomBy(1.25)} />
        <IconButton label={t("graph.zoomOut")} icon="minus" onClick={() => zoomBy(1 / 1.25)} />
        <IconButton label={t("graph.fit")} icon="fit" data-testid="graph-fit" onClick={fitAll} />
        <IconButton label={t("graph.relayout")} icon="layout" onClick={props.onRelayout} />
      </div>
    </div>
  );
}

function idUnder(event: PointerEvent): string | null {
  const target = event.target as Element;
  const hit = target.closest("[data-node], [data-edge]");
  return hit?.getAttribute("data-node") ?? hit?.getAttribute("data-edge") ?? null;
}

/** A thing and what it touches: a node with its edges and their other ends, an edge with its ends. */
function neighbourhood(scene: Scene, id: string): Set<string> {
  const near = new Set([id]);
  for (const { edge } of scene.edges) {
    if (edge.id === id || edge.source === id || edge.target === id) {
      near.add(edge.id).add(edge.source).add(edge.target);
    }
  }
  return near;
}

/** One arrow head a colour: SVG markers cannot take the colour of their line everywhere. */
function Markers() {
  return (
    <defs>
      {["healthy", "degraded", "failing", "tcp", "idle"].map((health) => (
        <marker
          key={health}
          id={`arrow-${health}`}
          class={`arrow-${health}`}
          viewBox="0 0 8 8"
          refX="7"
          refY="4"
          markerWidth="8"
          markerHeight="8"
          markerUnits="userSpaceOnUse"
          orient="auto"
        >
          <path d="M0.5 0.8 7.5 4 0.5 7.2z" />
        </marker>
      ))}
    </defs>
  );
}
