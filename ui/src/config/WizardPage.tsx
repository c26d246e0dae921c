/** A change of the configuration: a form, what it would change, a trial on real Envoys, and into the files. */

import { useEffect, useState } from "preact/hooks";
import { type ConfigResources, type Drafted, fetchResources, postDraft } from "../api/config";
import { params, setParams } from "../app/router";
import { Icon } from "../components/Icon";
import { EmptyState, ErrorBanner, ErrorState, LoadStates, Skeleton } from "../components/States";
import { t } from "../i18n";
import { useData } from "../lib/useData";
import { useRested } from "../lib/useRested";
import { Findings } from "../status/ConfigCard";
import { ApplyCard } from "./ApplyCard";
import { ConfigTabs } from "./ConfigTabs";
import { DiffCounts, DiffView } from "./DiffView";
import {
  type Answers,
  choices,
  EMPTY,
  formOf,
  forService,
  type Intent,
  INTENTS,
  isIntent,
  missing,
  serviceKey,
} from "./forms";
import { nameOf, shortFile } from "./model";
import { TrialCard } from "./TrialCard";
import { WizardForm } from "./WizardForm";

const REST_MS = 350;

export function WizardPage() {
  const loaded = useData("config resources", fetchResources);
  const data = loaded.data;
  return (
    <div class="page">
      <ConfigTabs here="new" />
      <LoadStates loaded={loaded} />
      {data && choices(data).length === 0 && (
        <section class="card">
          <EmptyState title={t("config.empty.title")} text={t("config.new.empty")} icon="config" />
        </section>
      )}
      {data && choices(data).length > 0 && <Wizard data={data} />}
    </div>
  );
}

function Wizard({ data }: { data: ConfigResources }) {
  const what = params.value.get("what");
  const intent: Intent = isIntent(what) ? what : "canary";
  const wanted = params.value.get("service") ?? "";
  const [answers, setAnswers] = useState<Answers>(() => begin(data, wanted));
  const key = serviceKeyOf(data, wanted);
  useEffect(() => {
    if (key && key !== answers.service) setAnswers(begin(data, key));
  }, [key]);
  const change = (changes: Partial<Answers>) => {
    const service = choices(data).find((one) => serviceKey(one) === changes.service);
    if (service) setParams({ service: serviceKey(service) });
    setAnswers((before) => (service ? forService(before, service) : { ...before, ...changes }));
  };
  return (
    <div class="config-split config-wizard">
      <section class="card wizard-form">
        <header>
          <h2>{t("config.new.title")}</h2>
        </header>
        <div class="wizard-intents" role="group" aria-label={t("config.new.title")}>
          {INTENTS.map((one) => (
            <button
              key={one}
              type="button"
              aria-pressed={one === intent}
              data-testid={`intent-${one}`}
              onClick={() => setParams({ what: one })}
            >
              <b>{t(`config.intent.${one}`)}</b>
              <span>{t(`config.intent.${one}.text`)}</span>
            </button>
          ))}
        </div>
        <WizardForm intent={intent} answers={answers} data={data} change={change} />
      </section>
      <Preview intent={intent} answers={answers} data={data} />
    </div>
  );
}

const serviceKeyOf = (data: ConfigResources, wanted: string): string | null => {
  const found = choices(data).find((one) => serviceKey(one) === wanted || one.service === wanted);
  return found ? serviceKey(found) : null;
};

/** The service that was asked for, else the first that has several versions. */
function begin(data: ConfigResources, wanted: string): Answers {
  const all = choices(data);
  const key = serviceKeyOf(data, wanted);
  const service =
    all.find((one) => serviceKey(one) === key) ?? all.find((one) => one.versions.length > 1) ?? all[0];
  return service ? forService(EMPTY, service) : EMPTY;
}

function Preview({ intent, answers, data }: { intent: Intent; answers: Answers; data: ConfigResources }) {
  const whole = missing(intent, answers).length === 0;
  const form = useRested(whole ? JSON.stringify(formOf(intent, answers)) : "", REST_MS);
  const loaded = useData(
    form ? `config draft ${data.version} ${form}` : null,
    (signal) => postDraft({ form: JSON.parse(form) as unknown }, signal),
    { live: false },
  );
  const draft = whole ? loaded.data : undefined;
  return (
    <div class="stack config-detail">
      {!whole && (
        <section class="card">
          <EmptyState
            title={t("config.new.incomplete")}
            text={t("config.new.incomplete.text")}
            icon="config"
          />
        </section>
      )}
      {whole && loaded.loading && (
        <section class="card">
          <Skeleton rows={8} />
        </section>
      )}
      {whole && loaded.error && !draft && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {draft && loaded.error && <ErrorBanner error={loaded.error} retry={loaded.retry} />}
      {draft && (
        <>
          <DraftCard draft={draft} stale={loaded.stale} />
          <TrialCard key={intent} draft={draft} service={answers.service} data={data} />
          <ApplyCard draft={draft} again={loaded.retry} />
        </>
      )}
    </div>
  );
}

function DraftCard({ draft, stale }: { draft: Drafted; stale: boolean }) {
  const changed = draft.resources.filter((one) => one.change !== "unchanged");
  return (
    <section class={`card ${stale ? "is-stale" : ""}`} data-testid="config-draft">
      <header>
        <h2>{t("config.new.diff")}</h2>
        <span class="muted">{t("config.new.diff.text")}</span>
      </header>
      {draft.refused && (
        <p class="banner banner-bad" role="alert">
          <Icon name="warning" />
          {t("config.new.refused")}
        </p>
      )}
      {changed.length === 0 && <p class="card-body muted">{t("config.new.same")}</p>}
      {changed.map((one) => (
        <div key={nameOf(one)} class="draft-resource">
          <h3>
            <span class={`code code-${one.change === "added" ? "ok" : "warn"}`}>
              {one.change === "added" ? t("config.what.added") : t("config.what.changed")}
            </span>
            {one.name}
            <span class="tag">{one.namespace}</span>
            <span class="muted">{one.kind}</span>
            <span class="end">
              <DiffCounts before={one.before} after={one.after} />
              <span class="muted mono" title={one.file}>
                {shortFile(one.file)}
              </span>
            </span>
          </h3>
          {one.loses_comments && (
            <p class="banner banner-warn">
              <Icon name="warning" />
              {t("config.new.comments")}
            </p>
          )}
          <DiffView label={nameOf(one)} before={one.before} after={one.after} />
        </div>
      ))}
      {draft.findings.length > 0 && <Findings findings={draft.findings} />}
      {draft.findings.length === 0 && changed.length > 0 && (
        <p class="card-foot with-icon text-ok">
          <Icon name="check" />
          {t("config.new.clean")}
        </p>
      )}
    </section>
  );
}
