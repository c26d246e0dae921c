/** One trace: its numbers, the waterfall, and the details of the chosen span. */

import { useEffect, useMemo } from "preact/hooks";
import { ApiError } from "../api/client";
import { fetchTrace } from "../api/jaeger";
import { publish } from "../app/probe";
import { linkTo } from "../app/router";
import { Icon } from "../components/Icon";
import { EmptyState, ErrorState, Skeleton } from "../components/States";
import { Facts } from "../graph/SidePanel";
import { count, t } from "../i18n";
import { formatMicros } from "../lib/format";
import { assignColours } from "../lib/palette";
import { dateTime } from "../lib/time";
import { useData } from "../lib/useData";
import { spanTitle } from "./summary";
import { buildTrace, type Trace } from "./tree";
import { Waterfall } from "./Waterfall";

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
  return (
    <div class="trace-page">
      <TraceHead trace={trace} />
      <Waterfall key={trace.id} trace={trace} />
    </div>
  );
}

function TraceHead({ trace }: { trace: Trace }) {
  const root = trace.nodes[0];
  const colours = assignColours(trace.services.map((service) => service.name));
  return (
    <header class="trace-head">
      <div class="trace-title">
        <a class="breadcrumb" href={linkTo("/traces")}>
          <Icon name="left" size={12} />
          {t("trace.back")}
        </a>
        <h1>
          {root?.service} <span>{root && spanTitle(root.span)}</span>
        </h1>
        <code class="muted" data-testid="trace-id-shown">
          {trace.id}
        </code>
      </div>
      <Facts
        facts={[
          { label: t("trace.total"), value: formatMicros(trace.duration) },
          { label: t("trace.waterfall"), value: trace.nodes.length.toLocaleString("en-US") },
          { label: t("trace.services"), value: trace.services.length },
          { label: t("trace.depth"), value: trace.depth },
          { label: t("metric.errors"), value: trace.errors, tone: trace.errors ? "text-bad" : "" },
          { label: t("trace.started"), value: dateTime(trace.start / 1e6, true) },
        ]}
      />
      <ul class="service-key">
        {trace.services.map((service) => (
          <li key={service.name} title={count("traces.spans", service.spans)}>
            <i style={{ background: `var(--c${colours.get(service.name)})` }} />
            {service.name}
          </li>
        ))}
      </ul>
    </header>
  );
}
