/** A trace's numbers, its services by colour, and what can be taken away from it. */

import { useState } from "preact/hooks";
import { getJson } from "../api/client";
import { linkTo } from "../app/router";
import { CopyButton } from "../components/CopyButton";
import { Icon } from "../components/Icon";
import { Popover } from "../components/Popover";
import { messageFor } from "../components/States";
import { Facts } from "../graph/SidePanel";
import { count, t } from "../i18n";
import { formatMicros } from "../lib/format";
import { assignColours } from "../lib/palette";
import { dateTime } from "../lib/time";
import type { CriticalPath } from "./criticalPath";
import { spanTitle } from "./summary";
import type { Trace } from "./tree";

export function TraceHead({ trace, critical }: { trace: Trace; critical: CriticalPath }) {
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
        <p class="trace-id">
          <code class="muted" data-testid="trace-id-shown">
            {trace.id}
          </code>
          <CopyButton label={t("trace.copyId")} text={() => trace.id} />
        </p>
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
      <span class="button-group trace-actions">
        <CopyButton label={t("metrics.share")} icon="link" text={() => window.location.href} />
        <Export id={trace.id} />
      </span>
      <ul class="service-key">
        {trace.services.map((service) => (
          <li key={service.name} title={count("traces.spans", service.spans)}>
            <i style={{ background: `var(--c${colours.get(service.name)})` }} />
            {service.name}
          </li>
        ))}
        {critical.total > 0 && (
          <li>
            <i class="critical-key" />
            {t("trace.critical")}
          </li>
        )}
        {trace.errors > 0 && (
          <li class="text-bad">
            <Icon name="target" size={12} /> {t("trace.errorRoot")}
          </li>
        )}
      </ul>
    </header>
  );
}

/** The trace as files: Jaeger's JSON, and OTLP's as `resourceSpans`. */
function Export({ id }: { id: string }) {
  const [problem, setProblem] = useState("");
  const take = async (name: string, read: () => Promise<unknown>) => {
    try {
      setProblem("");
      save(`${id}.${name}.json`, await read());
    } catch (error) {
      setProblem(messageFor(error as Error));
    }
  };
  const ask = (path: string) => getJson<{ result?: unknown }>(path, {}, AbortSignal.timeout(60_000));
  const formats = {
    jaeger: () => ask(`/api/traces/${id}`),
    otlp: async () => (await ask(`/api/v3/traces/${id}`)).result,
  };
  return (
    <Popover label={t("trace.export")} align="right" testId="trace-export">
      {(close) => (
        <div class="menu">
          {(Object.keys(formats) as (keyof typeof formats)[]).map((name) => (
            <button
              key={name}
              type="button"
              class="menu-item"
              data-testid={`export-${name}`}
              onClick={() => void take(name, formats[name]).then(close)}
            >
              {t(`trace.export.${name}`)}
            </button>
          ))}
          {problem && <p class="field-problem">{problem}</p>}
        </div>
      )}
    </Popover>
  );
}

function save(name: string, body: unknown): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([JSON.stringify(body)], { type: "application/json" }));
  link.download = name;
  link.click();
  URL.revokeObjectURL(link.href);
}
