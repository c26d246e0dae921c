/** Everything about one span, and what the proxies logged about the same request. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { KeyValue } from "../api/jaeger";
import { IconButton, Segmented } from "../components/Controls";
import { CopyButton } from "../components/CopyButton";
import { Icon } from "../components/Icon";
import { Facts } from "../graph/SidePanel";
import { count, t } from "../i18n";
import { formatMicros } from "../lib/format";
import { AccessLogs } from "./AccessLogs";
import type { CriticalPath } from "./criticalPath";
import { spanTitle, tagOf } from "./summary";
import { requestId, type SpanNode, type Trace } from "./tree";

interface Props {
  trace: Trace;
  critical: CriticalPath;
  node: SpanNode;
  onClose: () => void;
}

export function SpanPanel({ trace, critical, node, onClose }: Props) {
  const { span } = node;
  const [raw, setRaw] = useState(false);
  const onPath = critical.owned.get(span.spanID);
  return (
    <aside class="side-panel span-panel" aria-label={span.operationName} data-testid="span-panel">
      <header class="panel-header">
        <div>
          <p class="panel-kind">
            {node.service} · {String(tagOf(span.tags, "span.kind") ?? "")}
          </p>
          <h1 class="span-operation">{spanTitle(span)}</h1>
          <p class="muted span-operation">{span.operationName}</p>
        </div>
        <IconButton label={t("common.close")} icon="close" onClick={onClose} />
      </header>
      <Facts
        facts={[
          {
            label: t("span.duration"),
            value: formatMicros(node.duration),
            tone: node.error ? "text-bad" : "",
          },
          { label: t("span.self"), value: formatMicros(node.self) },
          ...(onPath ? [{ label: t("span.onPath"), value: formatMicros(Math.round(onPath)) }] : []),
          { label: t("span.start"), value: `+${formatMicros(node.start)}` },
        ]}
      />
      <div class="span-actions">
        <code>{span.spanID}</code>
        <CopyButton label={t("span.copyId")} text={() => span.spanID} />
        <CopyButton
          label={t("span.copyLink")}
          icon="link"
          text={() => `${window.location.origin}/traces/${trace.id}?span=${span.spanID}`}
        />
        <span class="end">
          <Segmented
            label={t("span.form")}
            value={raw ? "raw" : "details"}
            options={[
              { value: "details", label: t("span.form.details") },
              { value: "raw", label: t("span.form.raw") },
            ]}
            onChange={(form) => setRaw(form === "raw")}
            testId="span-form"
          />
        </span>
      </div>
      {raw ? (
        <pre class="span-raw" data-testid="span-raw">
          {JSON.stringify(span, null, 2)}
        </pre>
      ) : (
        <Details trace={trace} node={node} />
      )}
      <p class="muted span-foot">{count("traces.spans", node.below + 1)}</p>
    </aside>
  );
}

function Details({ trace, node }: { trace: Trace; node: SpanNode }) {
  const { span } = node;
  const warnings = [...(span.warnings ?? []), ...(node.orphan ? [t("span.orphan")] : [])];
  const links = (span.references ?? []).filter((reference) => reference.refType !== "CHILD_OF");
  return (
    <>
      {warnings.length > 0 && (
        <Section title={t("span.warnings")}>
          {warnings.map((warning) => (
            <p key={warning} class="banner banner-warn">
              <Icon name="warning" />
              {warning}
            </p>
          ))}
        </Section>
      )}
      <AccessLogs traceId={trace.id} requestId={requestId(trace)} node={node} traceStart={trace.start} />
      <Section title={t("span.tags")}>
        <Tags tags={inReadingOrder(span.tags ?? [])} />
      </Section>
      {(span.logs?.length ?? 0) > 0 && (
        <Section title={t("span.events")}>
          {span.logs!.map((log, index) => (
            <div key={index} class="span-event">
              <p class="muted">+{formatMicros(log.timestamp - span.startTime)}</p>
              <Tags tags={log.fields} />
            </div>
          ))}
        </Section>
      )}
      {links.length > 0 && (
        <Section title={t("span.references")}>
          {links.map((link) => (
            <a key={link.spanID} class="mono" href={`/traces/${link.traceID}?span=${link.spanID}`}>
              {link.traceID.slice(0, 8)}… / {link.spanID}
            </a>
          ))}
        </Section>
      )}
      <Section title={t("span.process")}>
        <Tags tags={[{ key: "service.name", value: node.service }, ...node.processTags]} />
      </Section>
    </>
  );
}

export function Section({ title, children }: { title: string; children: ComponentChildren }) {
  return (
    <section class="panel-section">
      <h2>{title}</h2>
      {children}
    </section>
  );
}

/** What instrumentation says about itself comes last. */
function inReadingOrder(tags: KeyValue[]): KeyValue[] {
  const late = (tag: KeyValue) =>
    Number(tag.key.startsWith("otel.scope.") || tag.value === "" || tag.value === "-");
  return [...tags].sort((a, b) => late(a) - late(b));
}

function Tags({ tags }: { tags: KeyValue[] }) {
  return (
    <dl class="pairs tags">
      {tags.map((tag, index) => (
        <div key={`${tag.key} ${index}`}>
          <dt>{tag.key}</dt>
          <dd class={tone(tag)}>{String(tag.value)}</dd>
        </div>
      ))}
    </dl>
  );
}

function tone({ key, value }: KeyValue): string {
  const text = String(value);
  if (key === "error" || (key === "otel.status_code" && text === "ERROR")) return "mono text-bad";
  if (key === "http.status_code" && /^[45]/.test(text))
    return text.startsWith("5") ? "mono text-bad" : "mono text-warn";
  return key === "response_flags" && text !== "-" ? "mono text-bad" : "mono";
}
