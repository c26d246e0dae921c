/** The drawing: an SVG that pans, zooms, and lets nodes be chosen and moved. */

import { useState } from "preact/hooks";
import { IconButton } from "../components/Controls";
import { t } from "../i18n";
import { BoxView, EdgeLine, EdgePlate, NodeView } from "./GraphParts";
import type { Point } from "./geometry";
import type { Scene } from "./scene";
import { thingUnder, useGestures } from "./useGestures";
import { useViewport, type Viewport } from "./useViewport";

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

export function GraphCanvas(props: Props) {
  const viewport = useViewport(props.scene.area, props.fitKey);
  const gestures = useGestures(viewport, props);
  const [hovered, setHovered] = useState<string | null>(null);
  return (
    <div class="graph-canvas">
      <svg
        ref={viewport.svg}
        role="application"
        aria-label={t("graph.label")}
        tabIndex={0}
        data-testid="graph-canvas"
        class={props.motion ? "graph-motion" : ""}
        {...gestures}
        onPointerOver={(event) => {
          const { node, edge } = thingUnder(event);
          setHovered(node ?? edge);
        }}
        onPointerLeave={() => setHovered(null)}
      >
        <Markers />
        <g ref={viewport.world}>
          <World {...props} hovered={hovered} />
        </g>
      </svg>
      <ZoomButtons viewport={viewport} onRelayout={props.onRelayout} />
    </div>
  );
}

/** Boxes below, then lines, then their labels, then cards. */
function World({ scene, selected, found, hovered, onSelect }: Props & { hovered: string | null }) {
  const focus = hovered ?? selected;
  const near = focus ? neighbourhood(scene, focus) : found;
  const dim = (id: string) => near !== null && !near.has(id);
  return (
    <>
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
          onOpen={() => onSelect(one.node.id)}
        />
      ))}
    </>
  );
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

function ZoomButtons({ viewport, onRelayout }: { viewport: Viewport; onRelayout: () => void }) {
  return (
    <div class="graph-zoom">
      <IconButton label={t("graph.zoomIn")} icon="plus" onClick={() => viewport.zoomBy(1.25)} />
      <IconButton label={t("graph.zoomOut")} icon="minus" onClick={() => viewport.zoomBy(1 / 1.25)} />
      <IconButton label={t("graph.fit")} icon="fit" data-testid="graph-fit" onClick={viewport.fitAll} />
      <IconButton label={t("graph.relayout")} icon="layout" onClick={onRelayout} />
    </div>
  );
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
