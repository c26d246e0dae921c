/** Lines, one a row; a click shows all of one. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { LogLine } from "../api/logs";
import { Icon } from "../components/Icon";
import { codeTone } from "../graph/outcomes";
import { t } from "../i18n";
import { formatMs } from "../lib/format";
import { memo } from "../lib/memo";
import { clockTime, dateTime } from "../lib/time";
import { isoMicros } from "../traces/summary";
import { severityColour } from "./bars";
import { LogDetails } from "./LogDetails";
import type { TailItem } from "./tail";

interface Props {
  items: readonly TailItem[];
  wrap: boolean;
  /** What stands in the first column, where it is not the time of day. */
  time?: (line: LogLine) => string;
  /** Narrows the query by a condition. */
  onFilter: (condition: string, exclude: boolean) => void;
  /** Where a line's span can be shown on this page. */
  onSpan?: (id: string) => void;
}

export function LogList({ items, wrap, time = timeOfDay, onFilter, onSpan }: Props) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set());
  const toggle = (id: string) =>
    setOpen((before) => {
      const next = new Set(before);
      if (!next.delete(id)) next.add(id);
      return next;
    });
  return (
    <ul class={`log-lines ${wrap ? "log-wrap" : ""}`} data-testid="log-lines">
      {items.map((item) =>
        item.kind === "skipped" ? (
          <li key={item.id} class="log-skipped" data-testid="log-skipped">
            <Icon name="warning" size={14} /> {t("logs.skipped", { n: item.lines.toLocaleString("en-US") })}
          </li>
        ) : (
          <li key={item.line.id} class={open.has(item.line.id) ? "log-open" : ""}>
            <Row
              line={item.line}
              time={time(item.line)}
              open={open.has(item.line.id)}
              onToggle={() => toggle(item.line.id)}
            />
            {open.has(item.line.id) && <LogDetails line={item.line} onFilter={onFilter} onSpan={onSpan} />}
          </li>
        ),
      )}
    </ul>
  );
}

const timeOfDay = (line: LogLine): string => clockTime(isoMicros(line.time) / 1e6, true);

const Row = memo(function Row(props: { line: LogLine; time: string; open: boolean; onToggle: () => void }) {
  const { line, open } = props;
  return (
    <button
      type="button"
      class="log-row"
      aria-expanded={open}
      data-testid="log-line"
      onClick={() => {
        // A text that was just marked is being read, not opened.
        if (!window.getSelection()?.toString()) props.onToggle();
      }}
    >
      <i class="log-severity" style={{ background: `var(${severityColour(line.severity)})` }} />
      <time title={dateTime(isoMicros(line.time) / 1e6, true)}>{props.time}</time>
      <span class={`log-level log-${line.severity || "none"}`}>{line.severity || "–"}</span>
      <span class="log-service truncate" title={line.service}>
        {line.service || t("common.unknown")}
      </span>
      <span class="log-body">{line.entry ? <Call entry={line.entry} body={line.body} /> : line.body}</span>
      {line.trace_id ? (
        <span class="log-traced" title={t("logs.hasTrace")}>
          <Icon name="traces" size={12} />
        </span>
      ) : (
        <span />
      )}
    </button>
  );
});

/** An access-log entry in reading order: what came of it, who was asked what, how long it took. */
function Call({ entry, body }: { entry: NonNullable<LogLine["entry"]>; body: string }) {
  const text = (name: string): string => (typeof entry[name] === "string" ? (entry[name] as string) : "");
  const code = String(entry.response_code ?? "");
  const flags = text("response_flags");
  const why = [text("response_code_details"), text("upstream_failure")]
    .filter((one) => one && one !== "via_upstream" && one !== "-")
    .join(" ");
  const parts: ComponentChildren = text("method") ? (
    <>
      <b>{text("method")}</b> <span class="muted">{text("authority")}</span>
      {text("path")}
    </>
  ) : (
    body
  );
  return (
    <>
      {code !== "0" && <span class={`code code-${codeTone(code)}`}>{code}</span>} {parts}
      {flags && flags !== "-" && <span class="code code-bad">{flags}</span>}
      {why && <span class="muted"> {why}</span>}
      <span class="log-took">
        {formatMs(Number(entry.duration_ns) / 1e6)}
        {" · "}
        {entry.reporter === "source" ? t("log.reporter.source") : t("log.reporter.destination")}
      </span>
    </>
  );
}
