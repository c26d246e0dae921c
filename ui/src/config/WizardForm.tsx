/** The fields of each intention. */

import type { ConfigResources } from "../api/config";
import { Segmented, Select, TextField } from "../components/Controls";
import { type Key, type PlainKey, t } from "../i18n";
import { formatRatio } from "../lib/format";
import { type Answers, choices, type Intent, missing, serviceKey } from "./forms";

interface Props {
  intent: Intent;
  answers: Answers;
  data: ConfigResources;
  change: (changes: Partial<Answers>) => void;
}

type TextName = {
  [K in keyof Answers]: Answers[K] extends string ? K : never;
}[keyof Answers];

export function WizardForm(props: Props) {
  const { answers, change, data, intent } = props;
  return (
    <form class="wizard-fields" onSubmit={(event) => event.preventDefault()}>
      <Select
        showLabel
        label={t("config.field.service")}
        value={answers.service}
        options={choices(data).map((one) => ({
          value: serviceKey(one),
          label: `${one.service} · ${one.namespace}`,
        }))}
        onChange={(service) => change({ service })}
        testId="wizard-service"
      />
      {intent === "canary" && <Shares {...props} />}
      {intent === "ab" && <Experiment {...props} />}
      {intent === "fault" && <Fault {...props} />}
      {intent === "timeout" && <Field {...props} name="duration" hint="3s" />}
      {intent === "retry" && (
        <>
          <Field {...props} name="attempts" hint="2" />
          <Field {...props} name="perTry" hint="1s" />
          <Field {...props} name="conditions" hint="5xx,reset" />
        </>
      )}
      {intent === "mtls" && <Mtls {...props} />}
      {(intent === "allow" || intent === "deny") && (
        <>
          <Field {...props} name="accounts" hint="frontend shop/cart" />
          <Field {...props} name="namespaces" hint="shop" />
          <Field {...props} name="methods" hint="GET POST" />
          <Field {...props} name="paths" hint="/api/*" />
          <p class="muted">{t(`config.intent.${intent}.note`)}</p>
        </>
      )}
    </form>
  );
}

function Field({ name, hint, answers, intent, change }: Props & { name: TextName; hint: string }) {
  const wrong = missing(intent, answers).includes(name);
  return (
    <TextField
      showLabel
      label={t(`config.field.${name}` as PlainKey)}
      value={answers[name]}
      placeholder={hint}
      onInput={(value) => change({ [name]: value })}
      testId={`wizard-${name}`}
      {...(wrong && answers[name] !== "" ? { problem: t(`config.problem.${name}` as Key as PlainKey) } : {})}
    />
  );
}

function Shares({ answers, change }: Props) {
  const total = Object.values(answers.shares).reduce((sum, weight) => sum + weight, 0);
  const set = (version: string, text: string) => {
    const weight = Math.min(1_000_000, Math.max(0, Math.round(Number(text) || 0)));
    change({ shares: { ...answers.shares, [version]: weight } });
  };
  return (
    <fieldset class="wizard-shares">
      <legend class="field-label">{t("config.field.shares")}</legend>
      {Object.keys(answers.shares).length === 0 && <p class="muted">{t("config.new.noVersions")}</p>}
      {Object.entries(answers.shares).map(([version, weight]) => (
        <label key={version} class="share-row">
          <b class="mono truncate">{version}</b>
          <input
            type="range"
            min={0}
            max={100}
            value={Math.min(100, weight)}
            aria-label={t("config.field.share", { version })}
            onInput={(event) => set(version, event.currentTarget.value)}
          />
          <input
            type="number"
            class="input"
            min={0}
            value={weight}
            aria-label={t("config.field.weight", { version })}
            data-testid={`share-${version}`}
            onInput={(event) => set(version, event.currentTarget.value)}
          />
          <span class="muted numeric">{total > 0 ? formatRatio(weight / total, 1) : ""}</span>
        </label>
      ))}
      {total === 0 && Object.keys(answers.shares).length > 0 && (
        <span class="field-problem">{t("config.problem.shares")}</span>
      )}
    </fieldset>
  );
}

function Versions({ name, answers, data, change }: Props & { name: "variant" | "fallback" }) {
  const service = choices(data).find((one) => serviceKey(one) === answers.service);
  return (
    <Select
      showLabel
      label={t(`config.field.${name}`)}
      value={answers[name]}
      options={(service?.versions ?? []).map((version) => ({ value: version, label: version }))}
      onChange={(value) => change({ [name]: value })}
    />
  );
}

function Experiment(props: Props) {
  const { answers } = props;
  return (
    <>
      <div class="wizard-pair">
        <Versions {...props} name="variant" />
        <Versions {...props} name="fallback" />
      </div>
      {answers.variant === answers.fallback && <p class="field-problem">{t("config.problem.fallback")}</p>}
      <Matched {...props} />
    </>
  );
}

function Matched(props: Props) {
  const { answers, change } = props;
  return (
    <>
      <Segmented
        label={t("config.field.match")}
        value={answers.match}
        options={[
          { value: "header", label: t("config.match.header") },
          { value: "cookie", label: t("config.match.cookie") },
        ]}
        onChange={(match) => change({ match })}
      />
      <div class="wizard-pair">
        <Field {...props} name="matchName" hint={answers.match === "header" ? "x-group" : "group"} />
        <Field {...props} name="matchValue" hint="beta" />
      </div>
    </>
  );
}

function Fault(props: Props) {
  return (
    <>
      <Field {...props} name="percent" hint="10" />
      <div class="wizard-pair">
        <Field {...props} name="delay" hint="2s" />
        <Field {...props} name="abort" hint="503" />
      </div>
      <p class="muted">{t("config.intent.fault.note")}</p>
      <Matched {...props} />
    </>
  );
}

function Mtls({ answers, change }: Props) {
  return (
    <>
      <Segmented
        label={t("config.field.mode")}
        value={answers.mode}
        options={(["STRICT", "PERMISSIVE", "DISABLE"] as const).map((mode) => ({ value: mode, label: mode }))}
        onChange={(mode) => change({ mode })}
      />
      <Segmented
        label={t("config.field.whole")}
        value={answers.whole ? "namespace" : "service"}
        options={[
          { value: "service", label: t("config.whole.service") },
          { value: "namespace", label: t("config.whole.namespace") },
        ]}
        onChange={(value) => change({ whole: value === "namespace" })}
      />
    </>
  );
}
