/** A handful of traces of a service (and of one caller of it), newest first, errors marked. */

import { findTraces, type RawTrace } from "../api/jaeger";
import { currentRange } from "../app/range";
import { linkTo } from "../app/router";
import { ErrorState, Skeleton } from "../components/States";
import { t } from "../i18n";
import { formatMicros } from "../lib/format";
import { clockTime, resolve } from "../lib/time";
import { useData } from "../lib/useData";
import { chartRange } from "../lib/useSignals";
import { writeValue } from "../traces/querySyntax";
import { summarize, type TraceSummary } from "../traces/summary";
import { PanelSection } from "./SidePanel";
import { traceQuery } from "./target";

const SHOWN = 6;

export function SampleTraces({ service, caller }: { service: string; caller?: string }) {
  const range = chartRange(currentRange());
  const key = service ? `samples ${JSON.stringify([service, caller, range])}` : null;
  const loaded = useData(
    key,
    async (signal) => {
      const { from, to } = resolve(range, Date.now() / 1000);
      const traces = await findTraces(traceQuery(service, from, to, 30), signal);
      return traces
        .filter((trace) => !caller || calls(trace, caller))
        .map(summarize)
        .slice(0, SHOWN);
    },
    { keep: false },
  );
  if (!service) return null;
  return (
    <PanelSection
      title={t("panel.traces")}
      extra={<a href={linkTo("/traces", { q: `service:${writeValue(service)}` })}>{t("panel.traces.all")}</a>}
    >
      {loaded.error && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {loaded.loading && <Skeleton rows={3} height={18} />}
      {loaded.data?.length === 0 && <p class="muted">{t("panel.traces.none")}</p>}
      <ul class="trace-list">
        {loaded.data?.map((trace) => (
          <Item key={trace.id} trace={trace} />
        ))}
      </ul>
    </PanelSection>
  );
}

const calls = (trace: RawTrace, caller: string): boolean =>
  Object.values(trace.processes).some((process) => process.serviceName === caller);

function Item({ trace }: { trace: TraceSummary }) {
  return (
    <li>
      <a href={`/traces/${trace.id}`}>
        <i class={`dot ${trace.errors ? "dot-failing" : "dot-healthy"}`} />
        <span class="truncate">{trace.operation}</span>
        <span>{formatMicros(trace.duration)}</span>
        <time class="muted">{clockTime(trace.start / 1e6)}</time>
      </a>
    </li>
  );
}
