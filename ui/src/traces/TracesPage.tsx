/** Trace search: the query bar, a picture of what matches, and the list, page after page. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { fetchHeatmap, type FoundTrace, searchTraces } from "../api/traces";
import { publish } from "../app/probe";
import { currentRange, setRange } from "../app/range";
import { hrefWith, navigate, params, setParams } from "../app/router";
import { Button, Segmented, Select } from "../components/Controls";
import { EmptyState, ErrorBanner, ErrorState, Skeleton } from "../components/States";
import { count, t } from "../i18n";
import { formatCount } from "../lib/format";
import { rangeParams, resolve, type TimeRange } from "../lib/time";
import { useData } from "../lib/useData";
import { type Brush, heatGrid, usedWindow } from "./heat";
import { HeatMap } from "./HeatMap";
import { withTerm, writeDuration } from "./querySyntax";
import { Scatter } from "./Scatter";
import { mistakeOf, PICTURES, readState, type SearchState, SORTS, stateParams } from "./searchState";
import { ofFound } from "./summary";
import { QueryBar, TracesTabs } from "./TracesHead";
import { TraceTable } from "./TraceTable";
import { usePages } from "./usePages";

const PAGE = 50;
/** The heat map is asked again for the part of the window that has spans, where that is less than this. */
const USED = 0.5;

interface Found {
  traces: FoundTrace[];
  next: string | null;
  from: number;
  to: number;
}

export function TracesPage() {
  const state = readState(params.value);
  const range = currentRange();
  const key = `search ${JSON.stringify([state.q, state.sort, range])}`;
  const loaded = useData(key, async (signal): Promise<Found> => {
    const { from, to } = resolve(range, Date.now() / 1000);
    const query = { q: state.q, sort: state.sort, start: from, end: to, limit: PAGE };
    return { ...(await searchTraces(query, signal)), from, to };
  });
  const mistaken = loaded.error && mistakeOf(loaded.error.message, state.q);
  return (
    <div class="page">
      <TracesTabs here="search" />
      <QueryBar error={loaded.error} busy={loaded.loading || loaded.stale} />
      {loaded.error && !mistaken && loaded.data && <ErrorBanner error={loaded.error} retry={loaded.retry} />}
      {loaded.error && !mistaken && !loaded.data && (
        <section class="card">
          <ErrorState error={loaded.error} retry={loaded.retry} />
        </section>
      )}
      {loaded.loading && (
        <section class="card">
          <Skeleton rows={10} height={22} />
        </section>
      )}
      {loaded.data && (
        <Results
          key={loaded.data.from}
          found={loaded.data}
          state={state}
          stale={loaded.stale}
          range={range}
        />
      )}
    </div>
  );
}

function Results(props: { found: Found; state: SearchState; stale: boolean; range: TimeRange }) {
  const { found, state, stale, range } = props;
  const pages = usePages(found.traces, found.next, (cursor, signal) =>
    searchTraces({ q: state.q, sort: state.sort, limit: PAGE, cursor }, signal),
  );
  const traces = useMemo(() => pages.traces.map(ofFound), [pages.traces]);
  const [chosen, setChosen] = useState<readonly string[]>([]);
  useEffect(() => publish("traces", { ids: traces.map((trace) => trace.id) }), [traces]);
  if (traces.length === 0) return <NothingFound filtered={state.q !== ""} />;
  const choose = (id: string) =>
    setChosen(chosen.includes(id) ? chosen.filter((one) => one !== id) : [...chosen, id].slice(-2));
  return (
    <section class={`card ${stale ? "stale" : ""}`}>
      <header>
        <h2 data-testid="trace-count">
          {pages.next ? t("traces.more", { n: traces.length }) : count("traces.results", traces.length)}
        </h2>
        <span class="end result-tools">
          {chosen.length > 0 && (
            <Button
              tone={chosen.length === 2 ? "primary" : "plain"}
              disabled={chosen.length < 2}
              onClick={() => navigate(`/traces/compare?a=${chosen[0]}&b=${chosen[1]}`)}
            >
              {t("traces.compare", { n: chosen.length })}
            </Button>
          )}
          <Segmented
            label={t("traces.picture")}
            value={state.picture}
            options={PICTURES.map((value) => ({ value, label: t(`traces.picture.${value}`) }))}
            onChange={(picture) => setParams(stateParams({ picture }))}
          />
          <Select
            label={t("traces.sort")}
            value={state.sort}
            options={SORTS.map((value) => ({ value, label: t(`traces.sort.${value}`) }))}
            onChange={(sort) => setParams(stateParams({ sort }), false)}
            testId="trace-sort"
          />
        </span>
      </header>
      {state.picture === "heatmap" && <Heat q={state.q} found={found} range={range} />}
      {state.picture === "scatter" && <Scatter traces={traces} from={found.from} to={found.to} />}
      <TraceTable traces={traces} matches={state.q !== ""} chosen={chosen} onChoose={choose} />
      {(pages.next || pages.error) && (
        <footer class="more">
          {pages.error && <span class="text-bad">{pages.error.message}</span>}
          <Button disabled={pages.busy} data-testid="load-more" onClick={pages.load}>
            {pages.busy ? t("common.loading") : t("traces.loadMore")}
          </Button>
        </footer>
      )}
    </section>
  );
}

function Heat({ q, found, range }: { q: string; found: Found; range: TimeRange }) {
  const loaded = useData(`heat ${JSON.stringify([q, range, found.from])}`, async (signal) => {
    const asked = { q, start: found.from, end: found.to, columns: 96 };
    const whole = await fetchHeatmap(asked, signal);
    const used = usedWindow(whole, USED);
    return used ? fetchHeatmap({ ...asked, start: used.from, end: used.to }, signal) : whole;
  });
  const grid = useMemo(() => loaded.data && heatGrid(loaded.data), [loaded.data]);
  const zoom = (brush: Brush) => {
    const duration = `:[${writeDuration(brush.least)} TO ${writeDuration(brush.most)}]`;
    const times = rangeParams({ kind: "absolute", from: Math.floor(brush.from), to: Math.ceil(brush.to) });
    navigate(hrefWith({ ...stateParams({ q: withTerm(q, "duration", duration) }), ...times }));
  };
  if (loaded.error) return <ErrorBanner error={loaded.error} retry={loaded.retry} />;
  return (
    <div class="heat-place">
      {grid && <HeatMap grid={grid} onBrush={zoom} />}
      {grid && (
        <p class="muted heat-note">
          {t("heat.note", { spans: formatCount(grid.spans) })}
          <span class="heat-key">
            <i class="heat-few" /> {t("heat.few")} <i class="heat-many" /> {t("heat.many")}{" "}
            <i class="heat-bad" /> {t("metric.errors")}
          </span>
        </p>
      )}
    </div>
  );
}

function NothingFound({ filtered }: { filtered: boolean }) {
  return (
    <section class="card">
      <EmptyState
        title={filtered ? t("traces.empty.title") : t("traces.none.title")}
        text={filtered ? t("traces.empty.text") : t("traces.none.text")}
        icon="traces"
      >
        <Button onClick={() => setRange({ kind: "relative", seconds: 86_400 })}>
          {t("time.last", { duration: t("unit.d", { n: 1 }) })}
        </Button>
        {filtered && <Button onClick={() => setParams({ q: null }, false)}>{t("query.clear")}</Button>}
      </EmptyState>
    </section>
  );
}
