/** Alerting and recording rules: how each stands, what fires, since when, and why. */

import { useEffect, useState } from "preact/hooks";
import { fetchRules, type Rule, type RuleGroup } from "../api/rules";
import { params, setParams } from "../app/router";
import { TextField } from "../components/Controls";
import { Icon } from "../components/Icon";
import { EmptyState, LoadStates } from "../components/States";
import { count, durationWords, t } from "../i18n";
import { openIncidents } from "../insights/events";
import { IncidentLinks } from "../insights/IncidentBanner";
import { ordered } from "../insights/model";
import { formatMs } from "../lib/format";
import { useData } from "../lib/useData";
import { Ago } from "../targets/Ago";
import { countStandings, filterGroups, seconds, STANDINGS, type Standing, standing, TONES } from "./model";
import { RuleDetails } from "./RuleDetails";

export function AlertsPage() {
  useEffect(() => {
    document.title = `${t("nav.alerts")} · Windvane`;
  });
  const loaded = useData("rules", fetchRules);
  const chosen = (params.value.get("state") ?? "").split(",").filter(Boolean) as Standing[];
  const text = params.value.get("q") ?? "";
  const groups = loaded.data && filterGroups(loaded.data, chosen, text);
  const counts = countStandings(loaded.data ?? []);
  const toggle = (one: Standing) => {
    const next = chosen.includes(one) ? chosen.filter((other) => other !== one) : [...chosen, one];
    setParams({ state: next.join(",") });
  };
  return (
    <div class="page">
      <div class="page-head">
        <h1>{t("alerts.title")}</h1>
        <div class="chips" role="group" aria-label={t("alerts.filterState")}>
          {STANDINGS.filter((one) => counts[one] > 0 || chosen.includes(one)).map((one) => (
            <button
              key={one}
              type="button"
              class="chip"
              aria-pressed={chosen.includes(one)}
              data-testid={`state-${one}`}
              onClick={() => toggle(one)}
            >
              <span class={`health health-${TONES[one]}`}>
                <i />
                {t(`alerts.state.${one}`)}
              </span>
              <b>{counts[one]}</b>
            </button>
          ))}
        </div>
        {(loaded.data?.length ?? 0) > 0 && (
          <div class="end">
            <TextField
              label={t("alerts.filter")}
              placeholder={t("alerts.filter")}
              icon="search"
              value={text}
              onInput={(q) => setParams({ q })}
              testId="alerts-filter"
            />
          </div>
        )}
      </div>
      <OpenIncidents />
      <LoadStates loaded={loaded} />
      {loaded.data?.length === 0 && (
        <section class="card">
          <EmptyState title={t("alerts.empty.title")} text={t("alerts.empty.text")} icon="bell" />
        </section>
      )}
      {groups?.length === 0 && loaded.data!.length > 0 && (
        <section class="card">
          <EmptyState title={t("alerts.noMatch")} text={text} icon="search">
            <button
              type="button"
              class="button button-plain"
              onClick={() => setParams({ q: null, state: null })}
            >
              {t("alerts.clear")}
            </button>
          </EmptyState>
        </section>
      )}
      <div class="stack">
        {groups?.map((group) => (
          <Group key={`${group.file} ${group.name}`} group={group} />
        ))}
      </div>
    </div>
  );
}

/** Incidents notify as alerts do, without a rule: they are told here, and lead to their own page. */
function OpenIncidents() {
  const open = openIncidents.value;
  if (open.length === 0) return null;
  return <IncidentLinks title={t("events.open")} incidents={ordered(open)} />;
}

function Group({ group }: { group: RuleGroup }) {
  return (
    <section class="card rule-group" data-testid="rule-group">
      <header>
        <h2>{group.name}</h2>
        <span class="muted truncate mono" title={group.file}>
          {group.file}
        </span>
        <span class="end muted">
          {t("alerts.every", { duration: durationWords(group.interval) })}
          {" · "}
          <Ago time={seconds(group.lastEvaluation)} />
          {group.evaluationTime ? ` · ${formatMs(group.evaluationTime * 1000)}` : ""}
        </span>
      </header>
      <ul>
        {group.rules.map((rule, index) => (
          <RuleItem key={`${rule.name} ${index}`} rule={rule} group={group} />
        ))}
      </ul>
    </section>
  );
}

function RuleItem({ rule, group }: { rule: Rule; group: RuleGroup }) {
  const stands = standing(rule);
  const [open, setOpen] = useState(stands === "firing" || stands === "broken");
  const active = rule.type === "alerting" ? (rule.alerts?.length ?? 0) : 0;
  return (
    <li class="rule" data-testid="rule" data-state={stands}>
      <button type="button" class="rule-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name={open ? "down" : "right"} size={12} />
        <b class={rule.type === "recording" ? "mono" : ""}>{rule.name}</b>
        <span class={`health health-${TONES[stands]}`}>
          <i />
          {t(`alerts.state.${stands}`)}
        </span>
        {active > 0 && <span class="tag">{count("alerts.active", active)}</span>}
        {rule.labels?.severity && (
          <span class={`tag ${stands === "inactive" ? "" : `severity-${rule.labels.severity}`}`}>
            {rule.labels.severity}
          </span>
        )}
        <span class="end muted">
          <Ago time={seconds(rule.lastEvaluation)} />
          {rule.evaluationTime === undefined ? "" : ` · ${formatMs(rule.evaluationTime * 1000)}`}
        </span>
      </button>
      {open && <RuleDetails rule={rule} group={group} />}
    </li>
  );
}
