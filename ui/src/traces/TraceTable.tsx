/** Found traces, one a row: what, how long, how many spans, which services. */

import { count, t } from "../i18n";
import { formatMicros } from "../lib/format";
import { assignColours } from "../lib/palette";
import { clockTime, dateTime } from "../lib/time";
import type { TraceSummary } from "./summary";

const MOST_SERVICES = 8;

export function TraceTable({ traces }: { traces: TraceSummary[] }) {
  const longest = Math.max(1, ...traces.map((trace) => trace.duration));
  const colours = assignColours(traces.flatMap((trace) => trace.services.map((service) => service.name)));
  return (
    <ul class="traces" data-testid="trace-results">
      {traces.map((trace) => (
        <li key={trace.id}>
          <a href={`/traces/${trace.id}`} class="trace-row">
            <span class="trace-name">
              <span class="truncate">
                <b>{trace.service || t("common.unknown")}</b> {trace.operation}
              </span>
              <span class="trace-services">
                {trace.services.slice(0, MOST_SERVICES).map((service) => (
                  <span key={service.name} title={service.name}>
                    <i style={{ background: `var(--c${colours.get(service.name)})` }} />
                    {service.name.split(".")[0]}
                    <em>{service.spans}</em>
                  </span>
                ))}
                {trace.services.length > MOST_SERVICES && (
                  <span>+{trace.services.length - MOST_SERVICES}</span>
                )}
              </span>
            </span>
            <span class="trace-numbers">
              {trace.errors > 0 && <span class="code code-bad">{count("traces.errors", trace.errors)}</span>}
              <span class="muted">{count("traces.spans", trace.spans)}</span>
            </span>
            <span class="trace-duration">
              <span>{formatMicros(trace.duration)}</span>
              <i
                class={trace.errors ? "bad" : ""}
                style={{ width: `${Math.max(1, (trace.duration / longest) * 100)}%` }}
              />
            </span>
            <time class="muted" title={dateTime(trace.start / 1e6, true)}>
              {clockTime(trace.start / 1e6)}
            </time>
          </a>
        </li>
      ))}
    </ul>
  );
}
