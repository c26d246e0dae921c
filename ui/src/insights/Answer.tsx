/** What root cause analysis answered: a paragraph whose claims lead to what shows them, and causes with evidence. */

import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import type { Cause, Evidence, Ref, Why } from "../api/why";
import { Icon, type IconName } from "../components/Icon";
import { t } from "../i18n";
import type { PlainKey } from "../i18n";
import { formatRatio } from "../lib/format";
import { clockTime, dateTime } from "../lib/time";
import { refHref } from "./links";
import { signalValue } from "./model";

/** The paragraph. Without one: the first cause or the notes, or `fallback` where there is no answer yet. */
export function Explanation(props: { why: Why | null; fallback?: string | null; over?: boolean }) {
  const { why, fallback, over } = props;
  const segments = why?.explanation ?? [];
  if (!why && !fallback) return <p class="card-body muted">{t(over ? "why.explanation.never" : "why.explanation.none")}</p>;
  return (
    <div class="explanation" data-testid="explanation">
      <p>
        {segments.length > 0
          ? segments.map((one, index) => (
              <Claim key={index} reference={one.ref}>
                {one.text}
              </Claim>
            ))
          : (why?.causes[0]?.text ?? fallback ?? why?.notes.join(" "))}
      </p>
    </div>
  );
}

/** Text that can be checked is a link to what shows it. */
function Claim({ reference, children }: { reference: Ref | null; children: ComponentChildren }) {
  if (!reference) return <>{children}</>;
  return (
    <a class="claim" href={refHref(reference)} title={refTitle(reference)}>
      {children}
    </a>
  );
}

function refTitle(ref: Ref): string {
  switch (ref.kind) {
    case "query":
      return `${t("incidents.look.metrics")}: ${ref.query}`;
    case "trace":
      return `${t("why.evidence.trace")} ${ref.id}`;
    case "version":
      return t("config.version", { n: ref.number });
    case "service":
      return `${ref.name}.${ref.namespace}`;
  }
}

export function Causes({ why }: { why: Why }) {
  if (why.causes.length === 0) return null;
  const since = why.onset ?? why.since;
  return (
    <section class="card" data-testid="causes">
      <header>
        <h2>{t("why.causes")}</h2>
        <span class="end muted">
          {since !== null && `${t("why.since", { time: clockTime(since) })} · `}
          {t("why.kept", { time: dateTime(why.at).slice(5, 16) })}
        </span>
      </header>
      <ol class="causes">
        {why.causes.map((cause, index) => (
          <CauseItem key={index} cause={cause} rank={index + 1} signal={why.signal} />
        ))}
      </ol>
    </section>
  );
}

function CauseItem({ cause, rank, signal }: { cause: Cause; rank: number; signal: string | null }) {
  const evidence = cause.evidence ?? [];
  const [open, setOpen] = useState(rank === 1);
  const name = `${cause.service}.${cause.namespace}`;
  return (
    <li class="cause">
      <button type="button" class="cause-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <span class="cause-rank">{rank}</span>
        <span class="cause-name">
          <b>
            {cause.caller ? `${cause.caller} → ${name}` : name}
            {cause.only && <span class="tag">{cause.only.value}</span>}
          </b>
          <span class="muted">{usualAndNow(cause, signal)}</span>
        </span>
        <Confidence share={cause.confidence} explains={cause.explains} />
        <Icon name={open ? "down" : "right"} size={12} />
      </button>
      {open && (
        <div class="cause-body">
          <p>{cause.text}</p>
          {evidence.length > 0 ? (
            <ul class="evidence" aria-label={t("why.evidence")}>
              {evidence.map((one, index) => (
                <EvidenceItem key={index} one={one} />
              ))}
            </ul>
          ) : (
            <p class="muted">{t("why.evidence.none")}</p>
          )}
        </div>
      )}
    </li>
  );
}

const UNITS: Record<string, string> = { latency: "ms", errors: "share", rate: "/min" };

function usualAndNow({ usual, now }: Cause, signal: string | null): string {
  const unit = signal && UNITS[signal];
  if (!unit) return "";
  const format = (value: number) => signalValue(value, unit);
  return `${t("why.usual")} ${format(usual)}, ${t("why.now")} ${format(now)}`;
}

function Confidence({ share, explains }: { share: number; explains: number }) {
  return (
    <span class="confidence">
      <span class="confidence-bar" aria-hidden="true">
        <i style={{ width: `${Math.round(100 * share)}%` }} />
      </span>
      <span>
        {t("why.confidence", { share: formatRatio(share, 0) })}
        <span class="muted"> · {t("why.explains", { share: formatRatio(explains, 0) })}</span>
      </span>
    </span>
  );
}

const ICONS: Record<string, IconName> = {
  series: "metrics",
  edge: "route",
  trace: "traces",
  "self-time": "clock",
  flags: "fault",
  codes: "list",
  change: "config",
  version: "layout",
  demand: "status",
};

export function EvidenceItem({ one }: { one: Evidence }) {
  const kind = ICONS[one.kind] ? t(`why.evidence.${one.kind}` as PlainKey) : one.kind;
  const body = (
    <>
      <Icon name={ICONS[one.kind] ?? "list"} size={14} />
      <span class="evidence-kind">{kind}</span>
      <span class="evidence-text">{one.text}</span>
      {one.at !== null && <time title={dateTime(one.at)}>{clockTime(one.at).slice(0, 5)}</time>}
      {one.ref && <Icon name="right" size={12} />}
    </>
  );
  return (
    <li>
      {one.ref ? (
        <a class="evidence-row" href={refHref(one.ref)} title={refTitle(one.ref)}>
          {body}
        </a>
      ) : (
        <span class="evidence-row">{body}</span>
      )}
    </li>
  );
}
