/** Found traces, one a row: what, how long, how many spans, which services, and which spans matched. */

import type { SpanMatch } from "../api/traces";
import { count, t } from "../i18n";
import { formatMicros, formatMs } from "../lib/format";
import { assignColours } from "../lib/palette";
import { clockTime, dateTime } from "../lib/time";
import { shortOperation, type TraceSummary } from "./summary";

const MOST_SERVICES = 8;

interface Props {
  traces: TraceSummary[];
  /** Show the spans that matched below each trace. */
  matches?: boolean;
  /** Ids chosen for a comparison; without `onChoose` none can be. */
  chosen?: readonly string[];
  onChoose?: (id: string) => void;
}

export function TraceTable({ traces, matches, chosen, onChoose }: Props) {
  const longest = traces.reduce((most, trace) => Math.max(most, trace.duration), 1);
  const colours = assignColours(traces.flatMap((trace) => trace.services.map((service) => service.name)));
  return (
    <ul class={`traces ${onChoose ? "traces-choosable" : ""}`} data-testid="trace-results">
      {traces.map((trace) => (
        <li key={trace.id}>
          {onChoose && (
            <label class="check trace-check" title={t("traces.choose")}>
              <input
                type="checkbox"
                aria-label={t("traces.choose")}
                checked={chosen?.includes(trace.id) ?? false}
                onChange={() => onChoose(trace.id)}
              />
              <span class="check-mark" />
            </label>
          )}
          <Row trace={trace} longest={longest} colours={colours} />
          {matches && (trace.matches?.length ?? 0) > 0 && <Matched trace={trace} matches={trace.matches!} />}
        </li>
      ))}
    </ul>
  );
}

function Row(props: { trace: TraceSummary; longest: number; colours: Map<string, number> }) {
  const { trace, longest, colours } = props;
  return (
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
          {trace.services.length > MOST_SERVICES && <span>+{trace.services.length - MOST_SERVICES}</span>}
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
  );
}

function Matched({ trace, matches }: { trace: TraceSummary; matches: SpanMatch[] }) {
  const more = (trace.matched ?? 0) - matches.length;
  return (
    <ul class="trace-matches" data-testid="trace-matches">
      {matches.map((span) => (
        <li key={span.span_id}>
          <a href={`/traces/${trace.id}?span=${span.span_id}`} class="truncate" title={span.name}>
            {span.service.split(".")[0]} <span class="span-kind">{span.kind}</span>{" "}
            {shortOperation(span.name)}{" "}
            <span class={span.status === "error" ? "text-bad" : "muted"}>{formatMs(span.duration_ms)}</span>
          </a>
        </li>
      ))}
      {more > 0 && <li class="muted">+{more}</li>}
    </ul>
  );
}
