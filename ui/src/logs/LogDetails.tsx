/** All fields of a line: each value can be added to the query or excluded; links to its trace and its surroundings. */

import type { LogLine } from "../api/logs";
import { hrefWith } from "../app/router";
import { IconButton } from "../components/Controls";
import { CopyButton } from "../components/CopyButton";
import { Icon } from "../components/Icon";
import { t } from "../i18n";
import { dateTime } from "../lib/time";
import { isoMicros } from "../traces/summary";
import { fieldGroups, type LineField } from "./fields";

interface Props {
  line: LogLine;
  onFilter: (condition: string, exclude: boolean) => void;
  onSpan?: ((id: string) => void) | undefined;
}

/** Seconds before and after a line that are its surroundings. */
const AROUND = 15;

export function LogDetails({ line, onFilter, onSpan }: Props) {
  return (
    <div class="log-details" data-testid="log-details">
      <div class="log-actions">
        <time class="mono">{dateTime(isoMicros(line.time) / 1e6, true)}</time>
        <Links line={line} onSpan={onSpan} />
        <CopyButton label={t("logs.copy")} text={() => JSON.stringify(line, null, 2)} />
      </div>
      <div class="log-groups">
        {fieldGroups(line).map((group) => (
          <section key={group.name} class={`log-group log-group-${group.name}`}>
            <h3>{t(`logs.group.${group.name}`)}</h3>
            <dl>
              {group.fields.map((field) => (
                <Field key={field.name} field={field} onFilter={onFilter} />
              ))}
            </dl>
          </section>
        ))}
      </div>
    </div>
  );
}

function Links({ line, onSpan }: Pick<Props, "line" | "onSpan">) {
  const at = isoMicros(line.time) / 1e6;
  const around = { from: String(Math.floor(at - AROUND)), to: String(Math.ceil(at + AROUND)), range: null };
  if (onSpan) {
    return line.span_id ? (
      <button type="button" class="link" onClick={() => onSpan(line.span_id)}>
        {t("logs.span")}
      </button>
    ) : null;
  }
  return (
    <>
      {line.trace_id && (
        <a
          class="log-link"
          data-testid="log-trace"
          href={`/traces/${line.trace_id}${line.span_id ? `?span=${line.span_id}` : ""}`}
        >
          <Icon name="traces" size={14} />
          {line.span_id ? t("logs.traceAndSpan") : t("logs.trace")}
        </a>
      )}
      <a class="log-link" href={hrefWith({ ...around, q: null, kind: null, live: null })}>
        <Icon name="list" size={14} />
        {t("logs.around")}
      </a>
      {line.trace_by === "request_id" && <span class="muted">{t("logs.byRequest")}</span>}
    </>
  );
}

function Field({ field, onFilter }: { field: LineField; onFilter: Props["onFilter"] }) {
  return (
    <div class="log-field">
      <dt>{field.name}</dt>
      <dd>
        <span class="mono log-value">{field.value}</span>
        {field.condition && (
          <span class="log-filter">
            <IconButton
              label={`${t("logs.add")}: ${field.condition}`}
              icon="plus"
              onClick={() => onFilter(field.condition, false)}
            />
            <IconButton
              label={`${t("logs.exclude")}: ${field.condition}`}
              icon="minus"
              onClick={() => onFilter(field.condition, true)}
            />
          </span>
        )}
      </dd>
    </div>
  );
}
