/** Log search: the query bar, counts over time, and lines, page after page or as they are stored. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { fetchLogHistogram, type LogLine, searchLogs } from "../api/logs";
import { currentRange, setRange } from "../app/range";
import { params, setParams } from "../app/router";
import { Button, Segmented, Select } from "../components/Controls";
import { EmptyState, ErrorBanner, ErrorState, Skeleton } from "../components/States";
import { t } from "../i18n";
import { resolve, type TimeRange } from "../lib/time";
import { useData } from "../lib/useData";
import { mistakeOf } from "../traces/searchState";
import { usePages } from "../traces/usePages";
import { barsOf } from "./bars";
import { narrowed, withSeries } from "./fields";
import { Histogram } from "./Histogram";
import { LogList } from "./LogList";
import { LogBar, LogsTabs, runLogQuery } from "./LogsHead";
import { BYS, logParams, type LogState, readLogState, SORTS } from "./state";
import { idOf, type TailItem } from "./tail";
import { type TailStatus, useTail } from "./useTail";

const PAGE = 100;
/** While lines are followed, their counts are asked again so often. */
const COUNTED_MS = 10_000;

interface Found {
  lines: LogLine[];
  next: string | null;
  from: number;
  to: number;
}

export function LogsPage() {
  const state = readLogState(params.value);
  const range = currentRange();
  const { q, kind, live } = state;
  const sort = live ? "newest" : state.sort;
  const loaded = useData(
    `logs ${JSON.stringify([q, kind, sort, range, live])}`,
    async (signal): Promise<Found> => {
      const { from, to } = resolve(range, Date.now() / 1000);
      return {
        ...(await searchLogs({ q, kind, sort, start: from, end: to, limit: PAGE }, signal)),
        from,
        to,
      };
    },
  );
  const mistaken = loaded.error && mistakeOf(loaded.error.message, q);
  return (
    <div class="page">
      <LogsTabs here="lines" />
      <LogBar error={loaded.error} busy={loaded.loading || loaded.stale} />
      {loaded.error && !mistaken && loaded.data && <ErrorBanner error={loaded.error} retry={loaded.retry} />}
      {loaded.error && !mistaken && !loaded.data && (
        <section class="card">
          <ErrorState error={loaded.error} retry={loaded.retry} />
        </section>
      )}
      {loaded.loading && (
        <section class="card">
          <Skeleton rows={12} height={18} />
        </section>
      )}
      {loaded.data && !mistaken && (
        <Results found={loaded.data} state={state} stale={loaded.stale} range={range} />
      )}
    </div>
  );
}

function Results(props: { found: Found; state: LogState; stale: boolean; range: TimeRange }) {
  const { found, state, stale, range } = props;
  const { q, kind, sort, live } = state;
  const [paused, setPaused] = useState(false);
  const tail = useTail(live ? { q, kind } : null, paused);
  const pages = usePages(found.lines, found.next, async (cursor, signal) => {
    const page = await searchLogs({ q, kind, sort: live ? "newest" : sort, limit: PAGE, cursor }, signal);
    return { rows: page.lines, next: page.next };
  });
  const items = useMemo(() => {
    const known = new Set(tail.items.map(idOf));
    const read = pages.rows.filter((line) => !known.has(line.id));
    return [...(live ? tail.items : []), ...read.map((line): TailItem => ({ kind: "line", line }))];
  }, [tail.items, pages.rows, live]);
  return (
    <section class={`card ${stale ? "stale" : ""}`}>
      <Tools
        state={state}
        status={tail.status}
        paused={paused}
        onPause={setPaused}
        total={items.length}
        more={pages.next !== null}
      />
      <Counts state={state} range={range} found={found} />
      {items.length === 0 ? (
        <Nothing filtered={q !== "" || kind !== "all"} live={live} />
      ) : (
        <LogList
          items={items}
          wrap={state.wrap}
          onFilter={(condition, exclude) => runLogQuery(narrowed(q, condition, exclude))}
        />
      )}
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

interface ToolsProps {
  state: LogState;
  status: TailStatus;
  paused: boolean;
  onPause: (paused: boolean) => void;
  total: number;
  more: boolean;
}

function Tools({ state, status, paused, onPause, total, more }: ToolsProps) {
  const { live } = state;
  return (
    <header>
      <h2 data-testid="log-count">
        {t(more ? "logs.shown.more" : "logs.shown", { n: total.toLocaleString("en-US") })}
      </h2>
      {live && (
        <span class={`log-status log-status-${status}`} data-testid="log-status" role="status">
          <i />
          {t(`logs.tail.${status}`)}
        </span>
      )}
      <span class="end result-tools">
        {live && (
          <Button icon={paused ? "play" : "pause"} data-testid="log-pause" onClick={() => onPause(!paused)}>
            {paused ? t("refresh.resume") : t("refresh.pause")}
          </Button>
        )}
        <Button
          tone={live ? "primary" : "plain"}
          icon={live ? "close" : "play"}
          data-testid="log-live"
          onClick={() => {
            onPause(false);
            setParams(logParams({ live: !live }), false);
          }}
        >
          {live ? t("logs.stop") : t("logs.live")}
        </Button>
        <Button
          aria-pressed={state.wrap}
          data-testid="log-wrap"
          onClick={() => setParams(logParams({ wrap: !state.wrap }))}
        >
          {t("logs.wrap")}
        </Button>
        <Segmented
          label={t("logs.by")}
          value={state.by}
          options={BYS.map((value) => ({ value, label: t(`logs.by.${value}`) }))}
          onChange={(by) => setParams(logParams({ by }))}
          testId="log-by"
        />
        {!live && (
          <Select
            label={t("traces.sort")}
            value={state.sort}
            options={SORTS.map((value) => ({ value, label: t(`traces.sort.${value}`) }))}
            onChange={(sort) => setParams(logParams({ sort }), false)}
            testId="log-sort"
          />
        )}
      </span>
    </header>
  );
}

function Counts({ state, range, found }: { state: LogState; range: TimeRange; found: Found }) {
  const { q, kind, by, live } = state;
  const beat = useBeat(live ? COUNTED_MS : 0);
  const loaded = useData(
    `log counts ${JSON.stringify([q, kind, by, range, found.from, beat])}`,
    async (signal) => {
      const { from, to } = beat > 0 ? resolve(range, Date.now() / 1000) : found;
      return barsOf(await fetchLogHistogram({ q, kind, by, start: from, end: to, buckets: 90 }, signal), to);
    },
  );
  const bars = loaded.data;
  if (loaded.error) return <ErrorBanner error={loaded.error} retry={loaded.retry} />;
  return (
    <div class="log-histogram-place">
      {bars && (
        <Histogram
          bars={bars}
          onBrush={(from, to) => setRange({ kind: "absolute", from, to: Math.max(to, from + 1) })}
          onSeries={(name) => runLogQuery(withSeries(q, bars.by, name))}
        />
      )}
    </div>
  );
}

/** Rises while `milliseconds` is not 0. */
function useBeat(milliseconds: number): number {
  const [beat, setBeat] = useState(0);
  useEffect(() => {
    setBeat(0);
    if (!milliseconds) return;
    const timer = window.setInterval(() => setBeat((n) => n + 1), milliseconds);
    return () => window.clearInterval(timer);
  }, [milliseconds]);
  return beat;
}

function Nothing({ filtered, live }: { filtered: boolean; live: boolean }) {
  return (
    <EmptyState
      title={filtered ? t("logs.empty.title") : t("logs.none.title")}
      text={live ? t("logs.waiting") : filtered ? t("logs.empty.text") : t("logs.none.text")}
      icon="list"
    >
      <Button onClick={() => setRange({ kind: "relative", seconds: 86_400 })}>
        {t("time.last", { duration: t("unit.d", { n: 1 }) })}
      </Button>
      {filtered && (
        <Button onClick={() => setParams({ q: null, kind: null }, false)}>{t("query.clear")}</Button>
      )}
    </EmptyState>
  );
}
