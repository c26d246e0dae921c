/** One trace: its numbers, four ways to look at it, and the details of the chosen span. */

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { fetchTracePath } from "../api/analysis";
import { ApiError } from "../api/client";
import { fetchTrace } from "../api/jaeger";
import { publish } from "../app/probe";
import { linkTo, params, setParams } from "../app/router";
import { Segmented } from "../components/Controls";
import { EmptyState, ErrorState, Skeleton } from "../components/States";
import { t } from "../i18n";
import { useData } from "../lib/useData";
import { type CriticalPath, layOver, NO_PATH } from "./criticalPath";
import { KeyHelp } from "./KeyHelp";
import { SpanPanel } from "./SpanPanel";
import { SpanTable } from "./SpanTable";
import { Statistics } from "./Statistics";
import { TraceFlame } from "./TraceFlame";
import { TraceHead } from "./TraceHead";
import { buildTrace, type Trace } from "./tree";
import { useKeys } from "./useKeys";
import { useSelection } from "./useSelection";
import { Waterfall } from "./Waterfall";

export const VIEWS = ["waterfall", "flame", "table", "statistics"] as const;
export type TraceView = (typeof VIEWS)[number];

export function TracePage({ id }: { id: string }) {
  useEffect(() => {
    document.title = `${t("traces.id")} ${id.slice(0, 8)} · Windvane`;
  });
  const loaded = useData(`trace ${id}`, (signal) => fetchTrace(id, signal), { live: false, keep: false });
  const trace = useMemo(() => loaded.data && buildTrace(loaded.data), [loaded.data]);
  useEffect(() => {
    if (!trace) return;
    const services = trace.services.map((service) => service.name);
    publish("trace", { id: trace.id, spans: trace.nodes.length, roots: trace.roots, services });
  }, [trace]);
  const missing = loaded.data === null || (loaded.error instanceof ApiError && loaded.error.status === 404);
  if (missing) {
    return (
      <EmptyState title={t("trace.missing.title")} text={t("trace.missing.text", { id })} icon="search">
        <a class="button button-plain" href={linkTo("/traces")}>
          {t("trace.back")}
        </a>
      </EmptyState>
    );
  }
  if (loaded.error) return <ErrorState error={loaded.error} retry={loaded.retry} />;
  if (!trace) return <Skeleton rows={14} height={20} />;
  return <Shown key={trace.id} trace={trace} />;
}

export interface ViewProps {
  trace: Trace;
  critical: CriticalPath;
  selected: number;
  select: (index: number | null) => void;
  tabs: ComponentChildren;
  openHelp: () => void;
}

function Shown({ trace }: { trace: Trace }) {
  const view = VIEWS.find((one) => one === params.value.get("view")) ?? "waterfall";
  const [selected, select] = useSelection(trace);
  const [help, setHelp] = useState(false);
  const path = useData(`critical ${trace.id}`, (signal) => fetchTracePath(trace.id, signal), { live: false });
  const critical = useMemo(() => (path.data ? layOver(path.data, trace) : NO_PATH), [path.data, trace]);
  const show = (next: TraceView) => setParams({ view: next === "waterfall" ? null : next });
  useKeys((key) => {
    const at = Number(key) - 1;
    if (VIEWS[at]) show(VIEWS[at]);
    else if (key === "?") setHelp(true);
    else if (key === "Escape" && selected >= 0) select(null);
    else return false;
    return true;
  });
  const tabs = (
    <Segmented
      label={t("trace.view")}
      value={view}
      options={VIEWS.map((value) => ({ value, label: t(`trace.view.${value}`) }))}
      onChange={show}
      testId="trace-view"
    />
  );
  const props: ViewProps = { trace, critical, selected, select, tabs, openHelp: () => setHelp(true) };
  return (
    <div class="trace-page">
      <TraceHead trace={trace} critical={critical} />
      <div class="trace-body">
        {view === "waterfall" && <Waterfall {...props} />}
        {view === "flame" && <TraceFlame {...props} />}
        {view === "table" && <SpanTable {...props} />}
        {view === "statistics" && <Statistics {...props} />}
        {selected >= 0 && (
          <SpanPanel
            trace={trace}
            critical={critical}
            node={trace.nodes[selected]!}
            onClose={() => select(null)}
          />
        )}
      </div>
      {help && <KeyHelp onClose={() => setHelp(false)} />}
    </div>
  );
}
