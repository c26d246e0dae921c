/** The edges in layers, drawn as on the graph page. A service narrows the page to it; a call leads to its traces. */

import { useMemo } from "preact/hooks";
import { linkTo, navigate, setParams } from "../app/router";
import { Skeleton } from "../components/States";
import { GraphCanvas } from "../graph/GraphCanvas";
import { buildScene } from "../graph/scene";
import type { GraphSettings } from "../graph/settings";
import { useLayout } from "../graph/useLayout";
import { type Edge, edgeId, graphOf, traceQueryOf } from "./model";

/** Its own drawing, apart from those of the graph page. */
const SETTINGS: GraphSettings = {
  type: "service",
  namespaces: ["dependencies"],
  labels: ["rate", "p95"],
  mtls: false,
  serviceNodes: false,
  idle: false,
  boxes: true,
  motion: false,
  find: "",
  hide: "",
  selected: null,
};

export function DependencyGraph(props: { edges: Edge[]; seconds: number; service: string }) {
  const { edges, seconds, service } = props;
  const graph = useMemo(() => graphOf(edges, seconds), [edges, seconds]);
  const settings = useMemo(() => ({ ...SETTINGS, namespaces: [...SETTINGS.namespaces, service] }), [service]);
  const { layout, fitKey, move, again } = useLayout(graph, settings);
  const scene = useMemo(
    () => (layout ? buildScene(graph, layout, settings) : null),
    [graph, layout, settings],
  );
  if (graph.nodes.length === 0) return null;
  const select = (id: string | null) => {
    const edge = edges.find((one) => edgeId(one) === id);
    if (edge) navigate(linkTo("/traces", { q: traceQueryOf(edge, false) }));
    else if (id) setParams({ service: id === service ? null : id });
  };
  return (
    <div class="dependency-graph">
      {scene ? (
        <GraphCanvas
          scene={scene}
          selected={service || null}
          found={null}
          motion={false}
          fitKey={fitKey}
          onSelect={select}
          onMove={move}
          onRelayout={again}
        />
      ) : (
        <Skeleton rows={6} />
      )}
    </div>
  );
}
