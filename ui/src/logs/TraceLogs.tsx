/** The lines of one trace: its programs' logs and its proxies' access logs, in the order of time. */

import { useMemo } from "preact/hooks";
import { fetchTraceLogs, type LogLine } from "../api/logs";
import { linkTo, navigate, params, setParams } from "../app/router";
import { Button } from "../components/Controls";
import { EmptyState, ErrorState, Skeleton } from "../components/States";
import { t } from "../i18n";
import { formatMs } from "../lib/format";
import { useData } from "../lib/useData";
import { isoMicros } from "../traces/summary";
import type { ViewProps } from "../traces/TracePage";
import { LogList } from "./LogList";
import { logParams, readLogState } from "./state";

/** Seconds around a trace that a search for lines like its own looks at. */
const AROUND = 300;

export function TraceLogs({ trace, select, tabs }: ViewProps) {
  const loaded = useData(`trace logs ${trace.id}`, (signal) => fetchTraceLogs(trace.id, signal), {
    live: false,
  });
  const { wrap } = readLogState(params.value);
  const items = useMemo(
    () => (loaded.data?.lines ?? []).map((line) => ({ kind: "line" as const, line })),
    [loaded.data],
  );
  const search = (condition: string, exclude: boolean) => {
    const q = exclude ? `trace_id:${trace.id} -${condition}` : condition;
    const start = trace.start / 1e6;
    const times = {
      range: null,
      from: String(Math.floor(start - AROUND)),
      to: String(Math.ceil(start + trace.duration / 1e6 + AROUND)),
    };
    navigate(linkTo("/logs", { q, ...times }));
  };
  return (
    <section class="trace-logs" aria-label={t("trace.view.logs")} data-testid="trace-logs">
      <div class="waterfall-bar">
        {tabs}
        <span class="end result-tools">
          {loaded.data && (
            <span class="muted">
              {t(loaded.data.more ? "logs.shown.more" : "logs.shown", {
                n: loaded.data.lines.length.toLocaleString("en-US"),
              })}
            </span>
          )}
          <Button aria-pressed={wrap} onClick={() => setParams(logParams({ wrap: !wrap }))}>
            {t("logs.wrap")}
          </Button>
        </span>
      </div>
      <div class="trace-logs-lines">
        {loaded.loading && <Skeleton rows={8} />}
        {loaded.error && <ErrorState error={loaded.error} retry={loaded.retry} />}
        {loaded.data?.lines.length === 0 && (
          <EmptyState title={t("logs.trace.none")} text={t("logs.trace.none.text")} icon="list" />
        )}
        <LogList
          items={items}
          wrap={wrap}
          time={(line: LogLine) => offset(isoMicros(line.time) - trace.start)}
          onFilter={search}
          onSpan={(id) => select(trace.index.get(id) ?? null)}
        />
      </div>
    </section>
  );
}

const offset = (micros: number): string => `${micros < 0 ? "−" : "+"}${formatMs(Math.abs(micros) / 1000)}`;
