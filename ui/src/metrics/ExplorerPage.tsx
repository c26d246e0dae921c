/** The metrics explorer: PromQL in, graph, table or heatmap out, and what it cost.
 *
 * Its path is /explore, for /metrics is where the server tells its own metrics to scrapers.
 */

import { useEffect, useMemo, useState } from "preact/hooks";
import { refreshNow } from "../app/clock";
import { currentRange } from "../app/range";
import { navigate, params } from "../app/router";
import { Button, Segmented, Select } from "../components/Controls";
import { CopyButton } from "../components/CopyButton";
import { RecentQueries } from "../components/RecentQueries";
import { EmptyState, ErrorState, Skeleton } from "../components/States";
import { durationWords, t } from "../i18n";
import { EventsToggle } from "../insights/EventsToggle";
import { remember } from "../lib/recent";
import { durationText } from "../lib/time";
import { useData } from "../lib/useData";
import { Examples } from "./Examples";
import { ExplainPanel } from "./ExplainPanel";
import { GraphView } from "./GraphView";
import { HeatmapView } from "./HeatmapView";
import { loadQueries } from "./load";
import { QueryRow } from "./QueryRow";
import { type ExplorerState, type Query, readState, stepOf, type View, writeState } from "./state";
import { TableView } from "./TableView";

const STEPS = [5, 10, 15, 30, 60, 300, 900, 3600, 21_600];

export function ExplorerPage() {
  useEffect(() => {
    document.title = `${t("nav.metrics")} · Windvane`;
  });
  const state = readState(params.value);
  const range = currentRange();
  const asked = state.queries.some((query) => query.expr.trim());
  const key = asked ? `metrics ${JSON.stringify([state, range])}` : null;
  const loaded = useData(key, (signal) => loadQueries(state, range, signal));
  const go = (next: Partial<ExplorerState>) =>
    navigate(`/explore?${writeState({ ...state, ...next }, params.value)}`);
  return (
    <div class="page explorer">
      <div class="page-head">
        <h1>{t("nav.metrics")}</h1>
        <div class="end">
          <CopyButton label={t("metrics.share")} icon="link" text={() => window.location.href} />
        </div>
      </div>
      <Queries
        state={state}
        go={go}
        results={loaded.data?.results ?? []}
        stale={loaded.stale || loaded.loading}
      />
      {asked && (
        <section class="card results" data-testid="results">
          <header>
            <Segmented
              label={t("metrics.view")}
              value={state.view}
              options={(["graph", "table", "heatmap"] as View[]).map((value) => ({
                value,
                label: t(`metrics.view.${value}`),
              }))}
              onChange={(view) => go({ view })}
              testId="metrics-view"
            />
            <span class="end result-tools">
              {state.view === "graph" && (
                <Button
                  tone="ghost"
                  aria-pressed={state.exemplars}
                  data-testid="exemplars-toggle"
                  onClick={() => go({ exemplars: !state.exemplars })}
                >
                  {t("metrics.exemplars")}
                </Button>
              )}
              {state.view === "graph" && <EventsToggle />}
              <Button
                tone="ghost"
                aria-pressed={state.explain}
                data-testid="explain-toggle"
                onClick={() => go({ explain: !state.explain })}
              >
                {t("metrics.explain")}
              </Button>
              {state.view !== "table" && (
                <Select
                  label={t("metrics.step")}
                  value={state.step ? durationText(state.step) : ""}
                  options={[
                    {
                      value: "",
                      label: t("metrics.step.auto", {
                        step: durationWords(stepOf({ ...state, step: null }, range)),
                      }),
                    },
                    ...steps(state.step).map((step) => ({
                      value: durationText(step),
                      label: t("metrics.step.each", { step: durationWords(step) }),
                    })),
                  ]}
                  onChange={(text) =>
                    go({
                      step: text ? (STEPS.find((step) => durationText(step) === text) ?? state.step) : null,
                    })
                  }
                />
              )}
            </span>
          </header>
          {loaded.error && !loaded.data && <ErrorState error={loaded.error} retry={loaded.retry} />}
          {loaded.loading && <Skeleton rows={8} height={18} />}
          {loaded.data && (
            <div class={loaded.stale ? "outdated" : ""}>
              {state.view === "graph" && <GraphView loaded={loaded.data} />}
              {state.view === "table" && <TableView loaded={loaded.data} />}
              {state.view === "heatmap" && <HeatmapView loaded={loaded.data} />}
            </div>
          )}
        </section>
      )}
      {asked && state.explain && loaded.data && <ExplainPanel results={loaded.data.results} />}
      {!asked && (
        <section class="card">
          <EmptyState title={t("metrics.empty.title")} text={t("metrics.empty.text")} icon="metrics">
            <Examples onPick={(expr) => go({ queries: [{ expr, hidden: false }] })} />
          </EmptyState>
        </section>
      )}
    </div>
  );
}

const steps = (chosen: number | null): number[] =>
  chosen && !STEPS.includes(chosen) ? [...STEPS, chosen].sort((a, b) => a - b) : STEPS;

/** The rows being edited; the URL changes only when they are run. */
function Queries(props: {
  state: ExplorerState;
  go: (next: Partial<ExplorerState>) => void;
  results: Parameters<typeof GraphView>[0]["loaded"]["results"];
  stale: boolean;
}) {
  const { state, go, results } = props;
  const inUrl = JSON.stringify(state.queries);
  const [rows, setRows] = useState<Query[]>(() => orOne(state.queries));
  useEffect(() => setRows(orOne(state.queries)), [inUrl]);
  const set = (index: number, change: Partial<Query>) =>
    rows.map((row, at) => (at === index ? { ...row, ...change } : row));
  const run = (next: Query[]) => {
    const kept = next.filter((row) => row.expr.trim());
    remember(
      "windvane.recent-queries",
      kept.map((row) => row.expr),
    );
    if (JSON.stringify(kept) === inUrl) refreshNow();
    else go({ queries: kept });
  };
  const several = rows.length > 1;
  const fresh = useMemo(() => rows.length, []);
  return (
    <section class="card queries" aria-label={t("metrics.queries")}>
      {rows.map((row, index) => (
        <QueryRow
          key={index}
          index={index}
          query={row}
          several={several}
          focus={index === 0 ? !state.queries.length : index >= fresh && !row.expr}
          result={state.queries[index]?.expr === row.expr ? (results[index] ?? null) : null}
          busy={props.stale}
          onInput={(expr) => setRows(set(index, { expr }))}
          onRun={() => run(rows)}
          onHide={() => run(set(index, { hidden: !row.hidden }))}
          onRemove={() => {
            const left = rows.filter((_, at) => at !== index);
            setRows(orOne(left));
            run(left);
          }}
        />
      ))}
      <footer>
        <Button
          icon="plus"
          tone="ghost"
          data-testid="add-query"
          onClick={() => setRows([...rows, { expr: "", hidden: false }])}
        >
          {t("metrics.add")}
        </Button>
        <RecentQueries
          list="windvane.recent-queries"
          onPick={(expr) => {
            const empty = rows.findIndex((row) => !row.expr.trim());
            const row = { expr, hidden: false };
            const next =
              empty < 0 ? [...rows.slice(0, -1), row] : rows.map((one, at) => (at === empty ? row : one));
            setRows(next);
            run(next);
          }}
        />
        <span class="muted key-hint">
          <kbd>Enter</kbd> {t("metrics.keys.run")} <kbd>Shift+Enter</kbd> {t("metrics.keys.line")}{" "}
          <kbd>Ctrl+Space</kbd> {t("metrics.keys.complete")}
        </span>
      </footer>
    </section>
  );
}

const orOne = (queries: Query[]): Query[] => (queries.length ? queries : [{ expr: "", hidden: false }]);
