/** What to search for. Choosing searches at once; typing searches on Enter or the button. */

import { useEffect, useState } from "preact/hooks";
import { fetchOperations, fetchTracedServices } from "../api/jaeger";
import { refreshNow } from "../app/clock";
import { navigate, setParams } from "../app/router";
import { Button, Select, TextField } from "../components/Controls";
import { t } from "../i18n";
import { parseLogfmt } from "../lib/logfmt";
import { useData } from "../lib/useData";
import { type SearchForm as Form, formParams, isDuration, LIMITS } from "./query";

export function SearchForm({ form }: { form: Form }) {
  const [draft, setDraft] = useState(form);
  const shown = JSON.stringify(form);
  useEffect(() => setDraft(form), [shown]);
  const services = useData("traced services", fetchTracedServices, { live: false });
  const operations = useData(
    `operations ${form.service}`,
    (signal) => fetchOperations(form.service, signal),
    {
      live: false,
    },
  );
  const problems = {
    tags: parseLogfmt(draft.tags).problem,
    min: isDuration(draft.min) ? "" : t("traces.duration.problem"),
    max: isDuration(draft.max) ? "" : t("traces.duration.problem"),
  };
  const valid = !problems.tags && !problems.min && !problems.max;
  const search = (next: Form) => {
    setDraft(next);
    setParams(formParams(next), false);
  };
  const submit = () => {
    if (!valid) return;
    if (JSON.stringify(draft) === shown) refreshNow();
    else search(draft);
  };
  const set = (field: keyof Form) => (value: string) => setDraft({ ...draft, [field]: value });
  const names = withCurrent(services.data ?? [], form.service);
  return (
    <form
      class="card search-form"
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
    >
      <Select
        showLabel
        label={t("traces.service")}
        value={draft.service}
        options={[
          { value: "", label: t("traces.service.all") },
          ...names.map((name) => ({ value: name, label: name })),
        ]}
        onChange={(service) => search({ ...draft, service, operation: "" })}
        testId="trace-service"
      />
      <Select
        showLabel
        label={t("traces.operation")}
        value={draft.operation}
        options={[
          { value: "", label: t("traces.operation.all") },
          ...withCurrent(operations.data ?? [], form.operation).map((name) => ({ value: name, label: name })),
        ]}
        onChange={(operation) => search({ ...draft, operation })}
        testId="trace-operation"
      />
      <TextField
        showLabel
        label={t("traces.tags")}
        placeholder={t("traces.tags.placeholder")}
        value={draft.tags}
        problem={problems.tags ? t("traces.tags.problem", { text: problems.tags }) : ""}
        onInput={set("tags")}
        testId="trace-tags"
      />
      <TextField
        showLabel
        label={t("traces.min")}
        placeholder={t("traces.duration.placeholder")}
        value={draft.min}
        problem={problems.min}
        onInput={set("min")}
        testId="trace-min"
      />
      <TextField
        showLabel
        label={t("traces.max")}
        placeholder={t("traces.duration.placeholder")}
        value={draft.max}
        problem={problems.max}
        onInput={set("max")}
        testId="trace-max"
      />
      <Select
        showLabel
        label={t("traces.limit")}
        value={String(draft.limit)}
        options={LIMITS.map((limit) => ({ value: String(limit), label: String(limit) }))}
        onChange={(limit) => search({ ...draft, limit: Number(limit) })}
      />
      <Button type="submit" tone="primary" icon="search" disabled={!valid} data-testid="trace-search">
        {t("traces.find")}
      </Button>
      <TraceIdField />
    </form>
  );
}

function TraceIdField() {
  const [id, setId] = useState("");
  const open = () => {
    const clean = id.trim().toLowerCase();
    if (/^[0-9a-f]{1,32}$/.test(clean)) navigate(`/traces/${clean}`);
  };
  return (
    <TextField
      showLabel
      label={t("traces.id")}
      placeholder={t("traces.id.placeholder")}
      value={id}
      onInput={setId}
      onEnter={open}
      testId="trace-id"
    />
  );
}

/** The known names, and the one in the URL even when it is not (or not yet) among them. */
function withCurrent(names: string[], current: string): string[] {
  return current && !names.includes(current) ? [current, ...names] : names;
}
