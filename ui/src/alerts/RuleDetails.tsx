/** A rule opened: its expression, labels, annotations, last error, and its active alerts. */

import type { ActiveAlert, Rule, RuleGroup } from "../api/rules";
import type { Labels } from "../api/prometheus";
import { Icon } from "../components/Icon";
import { type Column, Table } from "../components/Table";
import { durationWords, t } from "../i18n";
import { incidentHref } from "../insights/links";
import { explorerHref } from "../metrics/state";
import { formatShort } from "../metrics/units";
import { Ago } from "../targets/Ago";
import { LabelList } from "../targets/LabelList";
import { ordered, seconds } from "./model";

export function RuleDetails({ rule, group }: { rule: Rule; group: RuleGroup }) {
  const alerting = rule.type === "alerting";
  return (
    <div class="rule-details">
      <div class="rule-query">
        <code class="wrap">{rule.query}</code>
        <a
          class="button button-ghost"
          href={explorerHref([rule.query], {
            kind: "relative",
            seconds: Math.max(3600, group.interval * 60),
          })}
        >
          <Icon name="metrics" size={14} />
          <span>{t("alerts.explore")}</span>
        </a>
      </div>
      {rule.lastError && (
        <p class="query-message text-bad" role="alert">
          <Icon name="warning" size={14} />
          <span>{rule.lastError}</span>
        </p>
      )}
      <dl class="pairs">
        {alerting && (
          <div>
            <dt>{t("alerts.for")}</dt>
            <dd>{rule.duration ? durationWords(rule.duration) : t("alerts.atOnce")}</dd>
          </div>
        )}
        {alerting && rule.keepFiringFor ? (
          <div>
            <dt>{t("alerts.keepFiring")}</dt>
            <dd>{durationWords(rule.keepFiringFor)}</dd>
          </div>
        ) : null}
        {Object.keys(rule.labels ?? {}).length > 0 && (
          <div>
            <dt>{t("alerts.labels")}</dt>
            <dd>
              <LabelList labels={rule.labels!} />
            </dd>
          </div>
        )}
        {alerting && <Annotations annotations={rule.annotations ?? {}} />}
      </dl>
      {alerting && (rule.alerts?.length ?? 0) > 0 && (
        <Table
          label={t("alerts.activeTitle", { name: rule.name })}
          columns={columns(rule.labels ?? {})}
          rows={ordered(rule.alerts!)}
          rowKey={(alert) => JSON.stringify(alert.labels)}
          testId="active-alerts"
        />
      )}
    </div>
  );
}

function Annotations({ annotations }: { annotations: Labels }) {
  return (
    <>
      {Object.entries(annotations).map(([name, text]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {/^https?:\/\//.test(text) ? (
              <a href={text} target="_blank" rel="noreferrer">
                {text}
              </a>
            ) : (
              text
            )}
          </dd>
        </div>
      ))}
    </>
  );
}

/** Labels that the rule itself sets are the same for all its alerts and so left out. */
const columns = (own: Labels): Column<ActiveAlert>[] => [
  {
    id: "labels",
    title: t("alerts.labels"),
    cell: (alert) => (
      <LabelList
        labels={Object.fromEntries(
          Object.entries(alert.labels).filter(([name, value]) => name !== "alertname" && own[name] !== value),
        )}
      />
    ),
  },
  {
    id: "state",
    title: t("alerts.state"),
    cell: (alert) => (
      <span class={`health health-${alert.state === "firing" ? "bad" : "warn"}`}>
        <i />
        {t(`alerts.state.${alert.state}`)}
      </span>
    ),
  },
  { id: "since", title: t("alerts.since"), cell: (alert) => <Ago time={seconds(alert.activeAt)} /> },
  {
    id: "summary",
    title: t("alerts.summary"),
    cell: (alert) => (
      <span class="wrap">
        {alert.annotations.summary ?? alert.annotations.description ?? ""}
        {alert.labels.incident && (
          <>
            {" "}
            <a href={incidentHref(alert.labels.incident)}>{t("events.alert")}</a>
          </>
        )}
      </span>
    ),
  },
  { id: "value", title: t("alerts.value"), numeric: true, cell: (alert) => formatShort(Number(alert.value)) },
];
