/** The live service graph: asks for it, keeps its layout steady, and shows details of what is chosen. */

import { useEffect, useMemo } from "preact/hooks";
import { fetchGraph, fetchNamespaces } from "../api/kiali";
import { paused } from "../app/clock";
import { publish } from "../app/probe";
import { currentRange, setRange } from "../app/range";
import { Button } from "../components/Controls";
import { EmptyState, ErrorBanner, ErrorState } from "../components/States";
import { t } from "../i18n";
import { clockTime, rangeSeconds } from "../lib/time";
import { useData } from "../lib/useData";
import { hide, parseFilter } from "./filter";
import { GraphCanvas } from "./GraphCanvas";
import { GraphToolbar } from "./GraphToolbar";
import { Legend } from "./Legend";
import { type Graph, parseGraph } from "./model";
import { SidePanel } from "./SidePanel";
import { buildScene } from "./scene";
import { type GraphSettings, readSettings, writeSettings } from "./settings";
import { useLayout } from "./useLayout";

export function GraphPage() {
  useEffect(() => {
    document.title = `${t("nav.graph")} · Windvane`;
  });
  const settings = readSettings();
  const namespaces = useData("namespaces", fetchNamespaces);
  const all = namespaces.data ?? [];
  const loaded = useGraph(settings, all, namespaces.data !== undefined);
  const findFilter = parseFilter(settings.find);
  const hideFilter = parseFilter(settings.hide);
  const graph = loaded.data && hide(loaded.data, hideFilter);
  const found = graph && settings.find.trim() && !findFilter.problem ? matches(graph, findFilter) : null;
  useGraphKeys();

  return (
    <div class="graph-page">
      <GraphToolbar
        settings={settings}
        namespaces={all}
        findProblem={findFilter.problem}
        hideProblem={hideFilter.problem}
        foundCount={found?.size ?? null}
      />
      <div class="graph-body">
        <div class="graph-stage">
          {loaded.error && graph && <ErrorBanner error={loaded.error} retry={loaded.retry} />}
          <Stage
            graph={graph}
            whole={loaded.data}
            error={loaded.error ?? namespaces.error}
            retry={() => {
              namespaces.retry();
              loaded.retry();
            }}
            settings={settings}
            found={found}
          />
        </div>
        {graph && <SidePanel graph={graph} selected={settings.selected} />}
      </div>
    </div>
  );
}

function useGraph(settings: GraphSettings, all: string[], ready: boolean) {
  const range = currentRange();
  const namespaces = settings.namespaces.length ? settings.namespaces : all;
  const { type: graphType, serviceNodes, idle } = settings;
  const key =
    ready && namespaces.length ? JSON.stringify([graphType, namespaces, range, serviceNodes, idle]) : null;
  const loaded = useData(key, (signal) =>
    fetchGraph(
      {
        graphType,
        namespaces,
        serviceNodes,
        idle,
        seconds: rangeSeconds(range),
        to: range.kind === "absolute" ? range.to : null,
      },
      signal,
    ).then(parseGraph),
  );
  const nothing: Graph | undefined =
    ready && namespaces.length === 0
      ? { timestamp: 0, duration: 0, boxes: [], nodes: [], edges: [] }
      : undefined;
  return { ...loaded, data: loaded.data ?? nothing };
}

function matches(graph: Graph, filter: ReturnType<typeof parseFilter>): Set<string> {
  return new Set([
    ...graph.nodes.filter(filter.node).map((node) => node.id),
    ...graph.edges.filter(filter.edge).map((edge) => edge.id),
  ]);
}

interface StageProps {
  graph: Graph | undefined;
  whole: Graph | undefined;
  error: Error | undefined;
  retry: () => void;
  settings: GraphSettings;
  found: Set<string> | null;
}

function Stage({ graph, whole, error, retry, settings, found }: StageProps) {
  const { layout, fitKey, move, again } = useLayout(graph, settings);
  const scene = useMemo(
    () => (graph && layout ? buildScene(graph, layout, settings) : null),
    [graph, layout, JSON.stringify(settings)],
  );
  useEffect(() => {
    if (!graph || !layout) return;
    publish("graph", {
      nodes: graph.nodes,
      edges: graph.edges,
      positions: Object.fromEntries(layout.positions),
    });
  }, [graph, layout]);
  if (error && !graph) return <ErrorState error={error} retry={retry} />;
  if (graph?.nodes.length === 0) return <NothingToDraw hidden={(whole?.nodes.length ?? 0) > 0} />;
  if (!graph || !scene) return <GraphSkeleton />;
  return (
    <>
      <GraphCanvas
        scene={scene}
        selected={settings.selected}
        found={found}
        motion={settings.motion}
        fitKey={fitKey}
        onSelect={(selected) => writeSettings({ selected })}
        onMove={move}
        onRelayout={again}
      />
      <p class="graph-note">
        {t("graph.summary", { nodes: graph.nodes.length, edges: graph.edges.length })}
        <span> · {t("graph.updated", { time: clockTime(graph.timestamp) })}</span>
      </p>
      <Legend />
    </>
  );
}

function NothingToDraw({ hidden }: { hidden: boolean }) {
  if (hidden) {
    return (
      <EmptyState title={t("graph.empty.filtered")} text={t("graph.empty.filteredText")} icon="eye">
        <Button onClick={() => writeSettings({ hide: "" })}>{t("graph.empty.clear")}</Button>
      </EmptyState>
    );
  }
  return (
    <EmptyState title={t("graph.empty.title")} text={t("graph.empty.text")}>
      <Button onClick={() => setRange({ kind: "relative", seconds: 3600 })}>{t("graph.empty.longer")}</Button>
    </EmptyState>
  );
}

function GraphSkeleton() {
  return (
    <div class="graph-skeleton" role="status" aria-busy="true" aria-label={t("common.loading")}>
      {Array.from({ length: 7 }, (_, index) => (
        <span key={index} />
      ))}
    </div>
  );
}

/** Keys that work wherever the focus is, unless it is in a field. */
function useGraphKeys(): void {
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      const typing = (event.target as Element).closest("input, select, textarea");
      if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
      if (event.key === "Escape") writeSettings({ selected: null });
      else if (event.key === "p") paused.value = !paused.value;
      else if (event.key === "/") document.getElementById("graph-find")?.focus();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}
