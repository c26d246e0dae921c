/** The layout on the screen: kept between refreshes, moved by the reader, computed in a worker. */

import { useEffect, useMemo, useState } from "preact/hooks";
import type { Point } from "./geometry";
import type { LayoutRequest } from "./layered.worker";
import { keepLayout, type Layout, type Shape, shapeKey } from "./layout";
import type { Graph } from "./model";
import type { GraphSettings } from "./settings";

/** Layouts by what is drawn: coming back to one finds everything where it was. */
const memory = new Map<string, Layout>();

/** Rises with every layout made afresh: the view is then fitted to it. */
let generation = 0;

export function useLayout(graph: Graph | undefined, settings: GraphSettings) {
  const [, redraw] = useState(0);
  const numbers = settings.labels.length;
  const family = [settings.type, settings.serviceNodes, numbers, ...settings.namespaces].join(" ");
  const shape = graph ? shapeKey(graph) : "";
  const kept = useMemo(() => {
    if (!graph || graph.nodes.length === 0) return null;
    const next = keepLayout(memory.get(family) ?? null, graph);
    if (next) memory.set(family, next);
    return next;
  }, [family, shape]);
  const needed = graph !== undefined && graph.nodes.length > 0 && kept === null;
  const layOutAgain = () =>
    compute(shapeOf(graph!), numbers, (layout) => {
      memory.set(family, layout);
      generation += 1;
      redraw((n) => n + 1);
    });
  useEffect(() => {
    if (needed) return layOutAgain();
    return undefined;
  }, [family, shape, needed]);
  return {
    layout: graph && graph.nodes.length > 0 ? (memory.get(family) ?? null) : null,
    fitKey: `${family} ${generation}`,
    move: (id: string, to: Point) => {
      const layout = memory.get(family);
      if (!layout || !graph) return;
      memory.set(family, withMoved(layout, graph, id, to));
      redraw((n) => n + 1);
    },
    again: layOutAgain,
  };
}

/** What the worker needs, without the numbers. */
function shapeOf({ boxes, nodes, edges }: Graph): Shape {
  return {
    boxes: boxes.map(({ id, parent, kind }) => ({ id, parent, kind })),
    nodes: nodes.map(({ id, parent }) => ({ id, parent })),
    edges: edges.map(({ id, source, target }) => ({ id, source, target })),
  };
}

function withMoved(layout: Layout, graph: Graph, id: string, to: Point): Layout {
  const touched = graph.edges
    .filter((edge) => edge.source === id || edge.target === id)
    .map((edge) => edge.id);
  const routes = new Map(layout.routes);
  for (const edge of touched) routes.delete(edge);
  return { positions: new Map(layout.positions).set(id, to), routes };
}

let worker: Worker | null = null;
let requests = 0;

/** Asks the worker; the answer is dropped when the returned function was called before it came. */
function compute(shape: Shape, numbers: number, done: (layout: Layout) => void): () => void {
  worker ??= new Worker(new URL("./layered.worker.ts", import.meta.url), { type: "module" });
  requests += 1;
  const request: LayoutRequest = { id: requests, shape, numbers };
  const answer = (event: MessageEvent<{ id: number; layout: Layout }>) => {
    if (event.data.id !== request.id) return;
    cancel();
    done(event.data.layout);
  };
  const cancel = () => worker?.removeEventListener("message", answer);
  worker.addEventListener("message", answer);
  worker.postMessage(request);
  return cancel;
}
