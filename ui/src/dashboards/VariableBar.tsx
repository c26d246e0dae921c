/** The dashboard's variables: one choice from a list, or several with "All". */

import type { Variable } from "../api/dashboards";
import { Check, Select } from "../components/Controls";
import { Popover } from "../components/Popover";
import { t } from "../i18n";
import { ALL, type Values } from "./variables";

interface Props {
  variables: Variable[];
  options: Record<string, string[]>;
  values: Values;
  onChange: (name: string, values: string[] | null) => void;
}

export function VariableBar({ variables, options, values, onChange }: Props) {
  return (
    <div class="variable-bar" role="group" aria-label={t("dashboards.variables")}>
      {variables.map((variable) => {
        const given = options[variable.name] ?? [];
        const chosen = values[variable.name] ?? [];
        return variable.multi ? (
          <Several
            key={variable.name}
            variable={variable}
            options={given}
            chosen={chosen}
            onChange={onChange}
          />
        ) : (
          <Select
            key={variable.name}
            label={variable.title}
            showLabel
            value={chosen[0] ?? ""}
            options={[...new Set([...chosen, ...given])].sort().map((value) => ({ value, label: value }))}
            onChange={(value) => onChange(variable.name, [value])}
            testId={`variable-${variable.name}`}
          />
        );
      })}
    </div>
  );
}

function Several(props: {
  variable: Variable;
  options: string[];
  chosen: string[];
  onChange: Props["onChange"];
}) {
  const { variable, options, chosen, onChange } = props;
  const custom = variable.kind === "custom";
  const all = chosen.length === 0 || chosen.includes(ALL);
  const shown = [...new Set([...options, ...chosen.filter((value) => value !== ALL)])];
  const text = all ? t("common.all") : chosen.join(", ");
  const toggle = (value: string, on: boolean) => {
    const before = all ? [] : chosen;
    const next = on ? [...before, value] : before.filter((one) => one !== value);
    if (next.length === 0 && custom) return;
    onChange(variable.name, next.length ? next : null);
  };
  return (
    <div class="field">
      <span class="field-label">{variable.title}</span>
      <Popover label={variable.title} text={text} testId={`variable-${variable.name}`}>
        {() => (
          <div class="menu menu-checks">
            {!custom && (
              <Check label={t("common.all")} checked={all} onChange={() => onChange(variable.name, null)} />
            )}
            {!custom && shown.length > 0 && <hr />}
            {shown.map((value) => (
              <Check
                key={value}
                label={value}
                checked={!all && chosen.includes(value)}
                onChange={(on) => toggle(value, on)}
              />
            ))}
            {shown.length === 0 && <p class="muted">{t("dashboards.noValues")}</p>}
          </div>
        )}
      </Popover>
    </div>
  );
}
