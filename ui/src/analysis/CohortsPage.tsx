/** What tells two sets of traces apart: properties and latencies, with effect, confidence and corrected p. */

import { useEffect, useState } from "preact/hooks";
import { askCohorts, type CohortsAnswer } from "../api/analysis";
import { fetchFields } from "../api/traces";
import { params, setParams } from "../app/router";
import { Segmented, Select, TextField } from "../components/Controls";
import { EmptyState } from "../components/States";
import { Facts } from "../graph/SidePanel";
import { t } from "../i18n";
import { formatCount, formatRatio } from "../lib/format";
import { useData } from "../lib/useData";
import { AnalysisPage } from "./AnalysisPage";
import { type CohortState, cohortParams, MODES, questionOf, readCohorts } from "./cohorts";
import { Differences, Latencies } from "./CohortTables";
import { useChoice } from "./useChoice";

export function CohortsPage() {
  const choice = useChoice();
  const state = readCohorts(params.value);
  const complete = questionOf(state, choice.now()) !== null;
  const key = complete ? `cohorts ${choice.key} ${JSON.stringify(state)}` : null;
  const loaded = useData(
    key,
    async (signal) => {
      const answer = await askCohorts(questionOf(state, choice.now())!, signal);
      return { ...answer, traces: answer.selection.traces + answer.baseline.traces };
    },
    { keep: false },
  );
  return (
    <AnalysisPage here="cohorts" q={choice.q} loaded={loaded} controls={<Pick state={state} />}>
      {loaded.data && <Answer answer={loaded.data} state={state} q={choice.q} />}
    </AnalysisPage>
  );
}

function Pick({ state }: { state: CohortState }) {
  return (
    <section class="card cohort-pick">
      <Segmented
        label={t("cohorts.pick")}
        value={state.mode}
        options={MODES.map((value) => ({ value, label: t(`cohorts.${value}`) }))}
        onChange={(mode) => setParams(cohortParams({ mode }))}
        testId="cohort-mode"
      />
      {state.mode === "values" && <Values state={state} />}
      {state.mode === "queries" && <Queries state={state} />}
      <p class="muted">{t(`cohorts.${state.mode}.text`)}</p>
    </section>
  );
}

const MOST_VALUES = 20;

function Values({ state }: { state: CohortState }) {
  const loaded = useData("cohort fields", (signal) => fetchFields("", MOST_VALUES, signal), { live: false });
  const fields = (loaded.data?.fields ?? []).filter(
    (one) => one.different > 1 && one.different <= MOST_VALUES,
  );
  const names = [...new Set(fields.map((one) => one.name))];
  const values = fields
    .filter((one) => one.name === state.field)
    .flatMap((one) => one.values.map((v) => v.value));
  const options = (list: string[], now: string) =>
    ["", ...new Set(now ? [now, ...list] : list)].map((value) => ({
      value,
      label: value || t("cohorts.choose"),
    }));
  return (
    <div class="cohort-fields">
      <Select
        showLabel
        label={t("cohorts.field")}
        value={state.field}
        options={options(names, state.field)}
        onChange={(field) => setParams(cohortParams({ field, a: "", b: "" }))}
        testId="cohort-field"
      />
      <Select
        showLabel
        label={t("cohorts.selection")}
        value={state.a}
        options={options(values, state.a)}
        onChange={(a) => setParams(cohortParams({ a }))}
        testId="cohort-a"
      />
      <Select
        showLabel
        label={t("cohorts.baseline")}
        value={state.b}
        options={options(values, state.b)}
        onChange={(b) => setParams(cohortParams({ b }))}
        testId="cohort-b"
      />
    </div>
  );
}

function Queries({ state }: { state: CohortState }) {
  const [draft, setDraft] = useState({ qa: state.qa, qb: state.qb });
  useEffect(() => setDraft({ qa: state.qa, qb: state.qb }), [state.qa, state.qb]);
  const field = (name: "qa" | "qb", label: string) => (
    <TextField
      showLabel
      label={label}
      placeholder={t("query.placeholder")}
      value={draft[name]}
      onInput={(text) => setDraft({ ...draft, [name]: text })}
      onEnter={() => setParams(cohortParams(draft))}
    />
  );
  return (
    <div class="cohort-queries">
      {field("qa", t("cohorts.selection"))}
      {field("qb", t("cohorts.baseline"))}
    </div>
  );
}

function Answer({ answer, state, q }: { answer: CohortsAnswer; state: CohortState; q: string }) {
  const size = (set: CohortsAnswer["selection"]) => `${formatCount(set.traces)}${set.truncated ? "+" : ""}`;
  const one = answer.selection.traces === 0 || answer.baseline.traces === 0;
  return (
    <>
      <section class="card head-facts" data-testid="cohort-sizes">
        <Facts
          facts={[
            { label: t("cohorts.selection"), value: size(answer.selection) },
            { label: t("cohorts.baseline"), value: size(answer.baseline) },
            { label: t("cohorts.comparisons"), value: formatCount(answer.comparisons) },
            { label: t("cohorts.found"), value: formatCount(answer.found) },
          ]}
        />
        <span class="muted cohort-method">
          {t("cohorts.method", { rate: formatRatio(answer.rate), correction: answer.correction })}
        </span>
      </section>
      {one && (
        <section class="card">
          <EmptyState title={t("cohorts.one.title")} text={t("cohorts.one.text")} icon="traces" />
        </section>
      )}
      {!one && <Differences rows={answer.differences} q={state.mode === "queries" ? state.qa : q} />}
      {!one && <Latencies rows={answer.latencies} q={q} />}
    </>
  );
}
