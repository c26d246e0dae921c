/** A panel in its card: asks while it is in view, and leads to the explorer and to its own page. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Dashboard, Panel } from "../api/dashboards";
import { currentRange } from "../app/range";
import { Icon } from "../components/Icon";
import { messageFor } from "../components/States";
import { t } from "../i18n";
import { rangeSeconds } from "../lib/time";
import { useData } from "../lib/useData";
import { explorerHref } from "../metrics/state";
import { loadPanel, type PanelData, panelQueries, panelStep, type Settled } from "./load";
import { PanelBody } from "./PanelBody";
import type { Pool } from "./pool";

interface Props {
  panel: Panel;
  dashboard: Dashboard;
  settled: Settled;
  requests: Pool;
  /** On the dashboard's grid, at the panel's own place. */
  placed?: boolean;
  zoom: string;
  zoomed?: boolean;
}

export function PanelCard({
  panel,
  dashboard,
  settled,
  requests,
  placed = false,
  zoom,
  zoomed = false,
}: Props) {
  const root = useRef<HTMLElement>(null);
  const { seen, width, height } = useSight(root);
  const range = currentRange();
  // Steps change with doublings of the width only, so that a window being resized asks no more.
  const step = panelStep(range, 2 ** Math.round(Math.log2(Math.max(width, 200))));
  const queries = panelQueries(panel, dashboard.variables, settled.values, {
    step,
    seconds: rangeSeconds(range),
  });
  const key = seen ? `panel ${JSON.stringify([queries, range, step])}` : null;
  const loaded = useData(key, (signal) => loadPanel(panel, queries, range, step, requests, signal));
  const data = loaded.data;
  const failure = loaded.error ?? data?.error;
  return (
    <article
      class={`card panel-card panel-${panel.kind} ${loaded.stale ? "outdated" : ""}`}
      ref={root}
      style={placed ? gridPlace(panel, data) : {}}
      aria-label={panel.title}
      data-testid="panel"
      data-state={data ? "shown" : failure ? "failed" : "loading"}
    >
      <header>
        <h3 class="truncate" title={panel.description || panel.title}>
          {panel.title}
        </h3>
        {failure && (
          <span
            class="panel-problem text-bad"
            title={messageFor(failure)}
            role="img"
            aria-label={messageFor(failure)}
          >
            <Icon name="warning" size={14} />
          </span>
        )}
        <span class="panel-actions">
          <a
            class="button button-ghost button-icon"
            href={explorerHref(
              queries,
              range,
              panel.kind === "heatmap" ? "heatmap" : panel.kind === "table" ? "table" : "graph",
            )}
            aria-label={t("dashboards.explore", { panel: panel.title })}
            title={t("dashboards.exploreShort")}
          >
            <Icon name="metrics" size={14} />
          </a>
          <a
            class="button button-ghost button-icon"
            href={zoom}
            aria-label={zoomed ? t("dashboards.back") : t("dashboards.zoom", { panel: panel.title })}
            title={zoomed ? t("dashboards.back") : t("dashboards.zoomShort")}
            data-testid="panel-zoom"
          >
            <Icon name={zoomed ? "close" : "fit"} size={14} />
          </a>
        </span>
      </header>
      <div class="panel-body">
        {!data && !failure && <div class="panel-wait chart-loading" aria-busy="true" />}
        {!data && failure && <p class="panel-nothing text-bad">{messageFor(failure)}</p>}
        {data && (
          <PanelBody
            panel={panel}
            data={data}
            dashboard={dashboard}
            settled={settled}
            height={height}
            zoomed={zoomed}
          />
        )}
      </div>
    </article>
  );
}

/** Columns as defined; rows follow from the order. A table across the page is no higher than its rows need. */
function gridPlace({ kind, grid }: Panel, data: PanelData | undefined): Record<string, string> {
  const rows = Math.max(1, ...(data?.answers ?? []).map((answer) => answer?.samples.length ?? 0));
  const needed = kind === "table" && grid.w === 24 && data ? Math.ceil((rows * 29 + 84) / GRID_ROW) : grid.h;
  return {
    gridColumn: `${grid.x + 1} / span ${grid.w}`,
    gridRow: `span ${Math.min(grid.h, Math.max(3, needed))}`,
  };
}

/** A row of the grid with its gap, in pixels (the style sheet's). */
const GRID_ROW = 35;

/** Whether an element was ever near the window, and how large it is. */
function useSight(root: { current: HTMLElement | null }) {
  const [seen, setSeen] = useState(false);
  const [size, setSize] = useState({ width: 0, height: 0 });
  useEffect(() => {
    const element = root.current!;
    const sight = new IntersectionObserver(
      (entries) => setSeen((before) => before || entries.some((entry) => entry.isIntersecting)),
      { rootMargin: "200px" },
    );
    sight.observe(element);
    const measure = new ResizeObserver(() =>
      setSize({ width: element.clientWidth, height: element.clientHeight }),
    );
    measure.observe(element);
    return () => {
      sight.disconnect();
      measure.disconnect();
    };
  }, []);
  return { seen: seen && size.width > 0, ...size };
}
