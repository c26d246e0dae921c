/** Ask why a service fails or is slow: which service, when, which signal; and the answer with what shows it. */

import { fetchServices, type ServiceRow } from "../api/own";
import { fetchWhy, SIGNALS, type Why } from "../api/why";
import { language } from "../app/prefs";
import { linkTo, params, setParams } from "../app/router";
import { Button, Segmented, Select } from "../components/Controls";
import { Icon } from "../components/Icon";
import { EmptyState, ErrorState, LoadStates, Skeleton } from "../components/States";
import { t } from "../i18n";
import { dateTime, fromInputTime, inputTime } from "../lib/time";
import { useData } from "../lib/useData";
import { Causes, EvidenceItem, Explanation } from "./Answer";
import { openIncidents } from "./events";
import { InsightTabs } from "./InsightTabs";
import { incidentHref } from "./links";
import { fullName } from "./model";
import { WhyPath } from "./PathView";
import { type Suggestion, suggestions } from "./suggest";

/** The services of the hour are offered: one that fell silent minutes ago is asked about too. */
const OFFERED = "1h";

export function WhyPage() {
  const service = params.value.get("service") ?? "";
  const at = Number(params.value.get("at")) || null;
  const services = useData(`services ${OFFERED} ${at}`, (signal) => fetchServices(OFFERED, at, signal));
  return (
    <div class="page why-page">
      <InsightTabs here="why" />
      <Question service={service} at={at} rows={services.data ?? []} />
      {service ? (
        <Answer service={service} at={at} />
      ) : (
        <>
          <LoadStates loaded={services} />
          {services.data && <Suggestions rows={services.data} />}
        </>
      )}
    </div>
  );
}

const signalOf = (text: string | null) => SIGNALS.find((one) => one === text) ?? "";

function Question({ service, at, rows }: { service: string; at: number | null; rows: ServiceRow[] }) {
  const names = [
    ...new Set([...rows.map((row) => fullName({ service: row.name, namespace: row.namespace })), service]),
  ]
    .filter(Boolean)
    .sort();
  return (
    <section class="card why-question">
      <Select
        label={t("why.ask.service")}
        value={service}
        options={[
          { value: "", label: t("why.ask.choose") },
          ...names.map((name) => ({ value: name, label: name })),
        ]}
        onChange={(next) => setParams({ service: next }, false)}
        testId="why-service"
      />
      <Segmented
        label={t("why.ask.signal")}
        value={signalOf(params.value.get("signal"))}
        options={[
          { value: "", label: t("why.signal.auto") },
          ...SIGNALS.map((value) => ({ value, label: t(`why.signal.${value}`) })),
        ]}
        onChange={(signal) => setParams({ signal })}
        testId="why-signal"
      />
      <Segmented
        label={t("why.ask.time")}
        value={at === null ? "now" : "at"}
        options={[
          { value: "now", label: t("why.ask.now") },
          { value: "at", label: t("why.ask.moment") },
        ]}
        onChange={(next) =>
          setParams({ at: next === "now" ? null : String(at ?? Math.floor(Date.now() / 1000)) })
        }
        testId="why-when"
      />
      {at !== null && (
        <input
          class="input"
          type="datetime-local"
          step="1"
          value={inputTime(at)}
          aria-label={t("why.ask.time")}
          data-testid="why-time"
          onChange={(event) => {
            const chosen = fromInputTime(event.currentTarget.value);
            setParams({ at: chosen === null ? null : String(Math.round(chosen)) });
          }}
        />
      )}
    </section>
  );
}

function Answer({ service, at }: { service: string; at: number | null }) {
  const signal = signalOf(params.value.get("signal"));
  const lang = language.value;
  const loaded = useData(
    `why ${JSON.stringify([service, at, signal, lang])}`,
    (aborted) => fetchWhy({ service, signal, time: at, lang }, aborted),
    { keep: false },
  );
  const why = loaded.data;
  if (loaded.error && !why)
    return (
      <section class="card">
        <ErrorState error={loaded.error} retry={loaded.retry} />
      </section>
    );
  if (!why)
    return (
      <section class="card">
        <Skeleton rows={8} height={18} />
      </section>
    );
  return why.causes.length === 0 ? <Healthy why={why} /> : <Answered why={why} />;
}

function Answered({ why }: { why: Why }) {
  return (
    <div class="stack" data-testid="why-answer">
      <section class="card">
        <header>
          <h2>{t("why.explanation")}</h2>
          <span class="end muted">{dateTime(why.at)}</span>
        </header>
        <Explanation why={why} />
        {why.notes.length > 0 && <Notes notes={why.notes} />}
      </section>
      <WhyPath why={why} />
      <Causes why={why} />
      <NearChanges why={why} />
    </div>
  );
}

const Notes = ({ notes }: { notes: string[] }) => (
  <ul class="why-notes muted">
    {notes.map((note) => (
      <li key={note}>{note}</li>
    ))}
  </ul>
);

function NearChanges({ why }: { why: Why }) {
  const changes = why.changes ?? [];
  if (changes.length === 0) return null;
  return (
    <section class="card">
      <header>
        <h2>{t("why.changes")}</h2>
      </header>
      <ul class="evidence evidence-card">
        {changes.map(({ at, text, ref = null }, index) => (
          <EvidenceItem key={index} one={{ kind: "change", text, at, ref }} />
        ))}
      </ul>
    </section>
  );
}

/** Nothing to explain is an answer too, and a good one. */
function Healthy({ why }: { why: Why }) {
  const name = fullName(why);
  const told = (why.explanation ?? []).map((one) => one.text).join("");
  const notes = why.notes.filter((note) => note !== told);
  return (
    <section class="card why-healthy" data-testid="why-healthy">
      <span class="why-healthy-icon">
        <Icon name="check" size={22} />
      </span>
      <h2>{t("why.healthy")}</h2>
      <p>{t("why.healthy.text", { service: name })}</p>
      {told && <Explanation why={why} />}
      {notes.length > 0 && (
        <div class="why-looked">
          <h3>{t("why.looked")}</h3>
          <Notes notes={notes} />
        </div>
      )}
      <p class="why-healthy-links">
        <a class="button button-plain" href={linkTo(`/services/${why.namespace}/${why.service}`)}>
          <Icon name="services" size={14} />
          <span>{name}</span>
        </a>
        <Button onClick={() => setParams({ service: null }, false)}>{t("why.suggested")}</Button>
      </p>
    </section>
  );
}

function Suggestions({ rows }: { rows: ServiceRow[] }) {
  const { first, others } = suggestions(rows, openIncidents.value);
  if (rows.length === 0)
    return (
      <section class="card">
        <EmptyState title={t("why.ask.title")} text={t("why.noServices")} icon="services" />
      </section>
    );
  return (
    <section class="card why-suggested">
      <header>
        <h2>{t("why.ask.title")}</h2>
      </header>
      <p class="card-body muted why-ask-text">{t("why.ask.text")}</p>
      {first.length > 0 && (
        <>
          <h3>{t("why.suggested")}</h3>
          <Chips list={first} />
        </>
      )}
      {others.length > 0 && (
        <>
          <h3>{first.length > 0 ? t("why.all") : t("why.suggested")}</h3>
          <Chips list={others} />
        </>
      )}
    </section>
  );
}

function Chips({ list }: { list: Suggestion[] }) {
  return (
    <ul class="why-chips">
      {list.map(({ name, tone, incident }) => (
        <li key={name}>
          <button type="button" class="chip" onClick={() => setParams({ service: name }, false)}>
            <span class={`health health-${tone}`}>
              <i />
              {name}
            </span>
          </button>
          {incident && (
            <a
              class="link"
              href={incidentHref(incident)}
              aria-label={`${t("why.suggested.incident")}: ${name}`}
              title={t("why.suggested.incident")}
            >
              <Icon name="insights" size={14} />
            </a>
          )}
        </li>
      ))}
    </ul>
  );
}
