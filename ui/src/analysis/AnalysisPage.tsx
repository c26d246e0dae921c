/** What the analyses share: tabs, the query bar, and what is shown before and instead of an answer. */

import type { ComponentChildren } from "preact";
import { EmptyState, LoadStates } from "../components/States";
import { Facts } from "../graph/SidePanel";
import { t } from "../i18n";
import { formatCount, formatMs } from "../lib/format";
import type { Loaded } from "../lib/useData";
import { mistakeOf } from "../traces/searchState";
import { QueryBar, TracesTabs, type TracesPageName } from "../traces/TracesHead";

interface Props {
  here: TracesPageName;
  q: string;
  loaded: Loaded<{ traces: number }>;
  /** Between the query bar and the answer: shown whatever the answer. */
  controls?: ComponentChildren;
  children: ComponentChildren;
}

export function AnalysisPage({ here, q, loaded, controls, children }: Props) {
  const mistaken = loaded.error && mistakeOf(loaded.error.message, q);
  return (
    <div class="page">
      <TracesTabs here={here} />
      <QueryBar error={loaded.error} busy={loaded.loading || loaded.stale} />
      {controls}
      {!mistaken && <LoadStates loaded={loaded} />}
      {loaded.data?.traces === 0 && (
        <section class="card">
          <EmptyState title={t("traces.empty.title")} text={t("traces.empty.text")} icon="traces" />
        </section>
      )}
      {loaded.data && loaded.data.traces > 0 && <div class={loaded.stale ? "stale" : ""}>{children}</div>}
    </div>
  );
}

/** How much was read, and how long its traces took. */
export function ReadFacts(props: {
  answer: {
    traces: number;
    spans: number;
    truncated: boolean;
    duration_ms?: { p50: number; p95: number; p99: number };
  };
}) {
  const { traces, spans, truncated, duration_ms: duration } = props.answer;
  return (
    <section class="card head-facts">
      <Facts
        facts={[
          { label: t("analysis.traces"), value: formatCount(traces) },
          { label: t("trace.waterfall"), value: formatCount(spans) },
          ...(duration
            ? (["p50", "p95", "p99"] as const).map((name) => ({
                label: name,
                value: formatMs(duration[name]),
              }))
            : []),
        ]}
      />
      {truncated && <span class="muted">{t("analysis.truncated", { n: formatCount(traces) })}</span>}
    </section>
  );
}
