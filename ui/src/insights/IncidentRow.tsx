/** One incident of the list: how bad, what, why, since when, and what was said of it. */

import type { Incident } from "../api/incidents";
import { Icon } from "../components/Icon";
import { t, uptimeWords } from "../i18n";
import { intervalText } from "../lib/time";
import { Ago } from "../targets/Ago";
import { fullName, servicesOf, signalsOf } from "./model";
import { signalName, titleOf } from "./words";

/** Services named in a row; the others are counted. */
const NAMED = 3;

export function IncidentRow(props: { one: Incident; href: string; chosen: boolean; narrow: boolean }) {
  const { one, href, chosen, narrow } = props;
  return (
    <a
      id={`incident-${one.id}`}
      class={`incident-row ${narrow ? "incident-row-narrow" : ""} ${one.open ? "incident-open" : ""}`}
      href={href}
      aria-current={chosen ? "true" : undefined}
      data-testid="incident-row"
    >
      <SeverityMark one={one} />
      <span class="incident-what">
        <b class="incident-title">{titleOf(one)}</b>
        <span class="incident-cause">
          {one.cause?.text ?? (
            <span class="muted">{t(one.open ? "incidents.cause.notYet" : "incidents.cause.none")}</span>
          )}
        </span>
        {narrow && <When one={one} />}
      </span>
      {!narrow && <Involved one={one} />}
      {!narrow && (
        <span class="incident-when">
          <When one={one} />
          <Said one={one} />
        </span>
      )}
      {narrow && one.feedback && <Said one={one} />}
    </a>
  );
}

/** A shape and a word, so that it is never the colour alone. */
export function SeverityMark({ one }: { one: Incident }) {
  const tone = !one.open ? "idle" : one.severity === "page" ? "bad" : "warn";
  const text = one.open ? t(`incidents.severity.${one.severity}`) : t("incidents.over");
  return (
    <span class={`incident-severity health health-${tone}`}>
      <i />
      {text}
    </span>
  );
}

function Involved({ one }: { one: Incident }) {
  const [lead, ...others] = servicesOf(one);
  const shown = others.slice(0, NAMED - 1);
  return (
    <span class="incident-involved">
      <span class="incident-tags" title={servicesOf(one).join(", ")}>
        <span class="tag tag-lead">{lead}</span>
        {shown.map((name) => (
          <span key={name} class="tag">
            {name}
          </span>
        ))}
        {others.length > shown.length && <span class="tag">+{others.length - shown.length}</span>}
      </span>
      <span class="incident-signals muted">
        {signalsOf(one).map(signalName).join(" · ")}
        {one.changes.length > 0 && (
          <span class="with-icon chart-mark">
            <Icon name="config" size={12} />
            {one.changes.length}
          </span>
        )}
      </span>
    </span>
  );
}

/** Since when it goes on, or when it was and how long. */
export function When({ one }: { one: Incident }) {
  const now = Date.now() / 1000;
  if (one.open || one.end === null)
    return (
      <span class="incident-time">
        <Ago time={one.start} />
      </span>
    );
  return (
    <span class="incident-time muted" title={fullName(one)}>
      {intervalText(one.start, one.end, now)}
      <span>{uptimeWords(Math.max(60, one.end - one.start))}</span>
    </span>
  );
}

export function Said({ one }: { one: Incident }) {
  if (!one.feedback) return null;
  const tone = one.feedback.verdict === "confirmed" ? "code-ok" : "";
  return (
    <span class={`code ${tone}`} title={one.feedback.note}>
      {t(`incidents.verdict.${one.feedback.verdict}`)}
    </span>
  );
}
