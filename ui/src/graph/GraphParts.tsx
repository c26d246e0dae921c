/** The parts of the drawing: boxes, edges with their label plates, nodes. */

import { iconPath } from "../components/Icon";
import { t } from "../i18n";
import { incidentsOf } from "../insights/events";
import { titleOf } from "../insights/words";
import { formatRate, formatRatio } from "../lib/format";
import { ellipsize } from "../lib/measure";
import { memo } from "../lib/memo";
import type { PlacedBox } from "./boxes";
import { NODE_HEIGHT, NODE_WIDTH } from "./geometry";
import { labelWidth, type SceneEdge, type SceneNode } from "./scene";

const TITLE_FONT = '600 13px "Inter Variable"';
const DETAIL_FONT = '400 11.5px "Inter Variable"';

export const BoxView = memo(function BoxView({ box }: { box: PlacedBox }) {
  const { x, y, width, height } = box.rect;
  const left = box.kind === "namespace" ? 14 : 10;
  const top = box.kind === "namespace" ? 19 : 16;
  return (
    <g class={`box box-${box.kind}`} transform={`translate(${x} ${y})`}>
      <rect width={width} height={height} rx={box.kind === "namespace" ? 12 : 9} />
      <text x={left} y={top}>
        {box.title}
      </text>
    </g>
  );
});

interface EdgeProps {
  item: SceneEdge;
  dim: boolean;
  selected: boolean;
}

export const EdgeLine = memo(function EdgeLine({ item, dim, selected }: EdgeProps) {
  const { edge, path, width } = item;
  return (
    <g class={`edge edge-${edge.health} ${dim ? "dim" : ""} ${selected ? "chosen" : ""}`} data-edge={edge.id}>
      <path class="edge-hit" d={path} />
      {selected && <path class="edge-halo" d={path} stroke-width={width + 6} />}
      <path class="edge-line" d={path} stroke-width={width} marker-end={`url(#arrow-${edge.health})`} />
      <path class="edge-flow" d={path} stroke-width={width} />
    </g>
  );
});

export const EdgePlate = memo(function EdgePlate({ item, dim, selected }: EdgeProps) {
  const { edge, label, parts, lock } = item;
  if (parts.length === 0 && !lock) return null;
  const width = labelWidth(parts, lock !== null);
  const textAt = lock ? 20 : 6;
  return (
    <g
      class={`plate ${dim ? "dim" : ""} ${selected ? "chosen" : ""}`}
      data-edge={edge.id}
      transform={`translate(${label.x - width / 2} ${label.y - 9})`}
    >
      <rect width={width} height={18} rx={9} />
      {lock && (
        <path
          class={`lock lock-${lock}`}
          d={iconPath(lock === "locked" ? "lock" : "unlock")}
          transform="translate(5.5 2.2) scale(0.84)"
        />
      )}
      {parts.length > 0 && (
        <text x={textAt} y={12.6}>
          {parts.map((part, index) => (
            <tspan key={index} class={part.bad ? "bad" : ""} dx={index ? 7 : 0}>
              {part.text}
            </tspan>
          ))}
        </text>
      )}
    </g>
  );
});

interface NodeProps {
  item: SceneNode;
  dim: boolean;
  found: boolean;
  selected: boolean;
  onOpen: () => void;
}

export const NodeView = memo(function NodeView({ item, dim, found, selected, onOpen }: NodeProps) {
  const { node, at, title, detail } = item;
  const share = node.share === null ? "" : formatRatio(node.share);
  const room = NODE_WIDTH - 38 - (share ? 54 : 7);
  return (
    <g
      class={`node node-${node.health} node-kind-${node.kind} ${dim ? "dim" : ""} ${found ? "found" : ""} ${selected ? "chosen" : ""}`}
      transform={`translate(${at.x - NODE_WIDTH / 2} ${at.y - NODE_HEIGHT / 2})`}
      data-node={node.id}
      data-testid="graph-node"
      role="button"
      tabIndex={0}
      aria-label={describe(item)}
      aria-pressed={selected}
      onKeyDown={(event) => {
        if (event.key !== "Enter" && event.key !== " ") return;
        event.preventDefault();
        event.stopPropagation();
        onOpen();
      }}
    >
      <title>{describe(item)}</title>
      <rect class="node-card" width={NODE_WIDTH} height={NODE_HEIGHT} rx={8} />
      <rect class="node-health" x={0.75} y={0.75} width={29} height={NODE_HEIGHT - 1.5} rx={7.25} />
      <path class="node-icon" d={iconPath(node.kind)} transform={`translate(7.3 ${NODE_HEIGHT / 2 - 8})`} />
      <text class="node-title" x={38} y={detail ? 19 : 26.5}>
        {ellipsize(title, TITLE_FONT, room)}
      </text>
      {detail && (
        <text class="node-detail" x={38} y={34}>
          {ellipsize(detail, DETAIL_FONT, room)}
        </text>
      )}
      {share && (
        <text class="node-share" x={NODE_WIDTH - 10} y={26.5}>
          {share}
        </text>
      )}
      <Badges item={item} />
      <OddMark item={item} />
    </g>
  );
});

/** An open incident that the service takes part in: a mark at the card's left upper corner. */
function OddMark({ item }: { item: SceneNode }) {
  const open = incidentsOf(item.node);
  if (open.length === 0) return null;
  const urgent = open.some((one) => one.severity === "page");
  return (
    <g class={`node-odd ${urgent ? "node-odd-bad" : ""}`} transform="translate(4 2)" data-testid="node-odd">
      <title>{`${t("events.node")}: ${open.map(titleOf).join("; ")}`}</title>
      <circle class="node-odd-ring" r={12} />
      <circle r={8.5} />
      <path d="M0-4.2V.8M0 3.6v.01" />
    </g>
  );
}

/** Small marks over the card's upper edge for what the configuration does to this node. */
function Badges({ item }: { item: SceneNode }) {
  const { routing, breaker, fault } = item.node;
  const marks = [
    routing ? ({ icon: "route", key: "graph.badge.vs" } as const) : null,
    breaker ? ({ icon: "breaker", key: "graph.badge.cb" } as const) : null,
    fault ? ({ icon: "fault", key: "graph.badge.fi" } as const) : null,
  ].filter((mark) => mark !== null);
  return (
    <>
      {marks.map((mark, index) => (
        <g key={mark.key} class="node-badge" transform={`translate(${NODE_WIDTH - 14 - index * 18} 0)`}>
          <title>{t(mark.key)}</title>
          <circle r={8} />
          <path d={iconPath(mark.icon)} transform="translate(-5.6 -5.6) scale(0.7)" />
        </g>
      ))}
    </>
  );
}

function describe({ node, title, detail }: SceneNode): string {
  const name = node.title === title ? title : `${node.title} ${title}`;
  const share = node.share === null ? "" : `, ${formatRatio(node.share)}`;
  const errors = node.errorRatio > 0 ? `, ${formatRatio(node.errorRatio)} ${t("metric.errors")}` : "";
  return `${name} (${t(`graph.kind.${node.kind}`)}, ${node.namespace}) ${node.rate > 0 ? formatRate(node.rate) : detail}${share}${errors}`;
}
