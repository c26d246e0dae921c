/** The graph's second bar: what is drawn, and finding and hiding in it. */

import { Check, Segmented, Select, TextField } from "../components/Controls";
import { Popover } from "../components/Popover";
import { t } from "../i18n";
import { type EdgeLabel, GRAPH_TYPES, type GraphSettings, LABELS, writeSettings } from "./settings";

interface Props {
  settings: GraphSettings;
  namespaces: string[];
  findProblem: string;
  hideProblem: string;
  foundCount: number | null;
}

export function GraphToolbar({ settings, namespaces, findProblem, hideProblem, foundCount }: Props) {
  return (
    <div class="toolbar" role="toolbar" aria-label={t("graph.label")}>
      <NamespacePicker all={namespaces} chosen={settings.namespaces} />
      <span class="wide-only">
        <Segmented
          label={t("graph.type")}
          value={settings.type}
          options={GRAPH_TYPES.map((type) => ({ value: type, label: t(`graph.type.${type}`) }))}
          onChange={(type) => writeSettings({ type, selected: null })}
          testId="graph-type"
        />
      </span>
      <span class="narrow-only">
        <Select
          label={t("graph.type")}
          value={settings.type}
          options={GRAPH_TYPES.map((type) => ({ value: type, label: t(`graph.type.${type}`) }))}
          onChange={(type) => writeSettings({ type, selected: null })}
        />
      </span>
      <DisplayMenu settings={settings} />
      <div class="toolbar-end">
        <TextField
          label={t("graph.find")}
          icon="search"
          id="graph-find"
          value={settings.find}
          placeholder={t("graph.find.placeholder")}
          problem={findProblem ? t("graph.find.problem", { text: findProblem }) : ""}
          onInput={(find) => writeSettings({ find })}
          testId="graph-find"
        >
          {foundCount !== null && <span class="field-note">{t("graph.find.count", { n: foundCount })}</span>}
        </TextField>
        <TextField
          label={t("graph.hide")}
          icon="eye"
          value={settings.hide}
          placeholder={t("graph.hide.placeholder")}
          problem={hideProblem ? t("graph.find.problem", { text: hideProblem }) : ""}
          onInput={(hide) => writeSettings({ hide })}
          testId="graph-hide"
        />
        <ExpressionHelp />
      </div>
    </div>
  );
}

function NamespacePicker({ all, chosen }: { all: string[]; chosen: string[] }) {
  const text = chosen.length === 0 ? t("graph.namespaces.all") : chosen.join(", ");
  const toggle = (name: string, on: boolean) => {
    const base = chosen.length === 0 ? all : chosen;
    const next = on ? [...chosen, name] : base.filter((one) => one !== name);
    writeSettings({ namespaces: next.length === all.length ? [] : next, selected: null });
  };
  return (
    <Popover label={t("graph.namespaces")} text={text} testId="namespaces">
      {() => (
        <div class="menu menu-checks">
          <Check
            label={t("graph.namespaces.all")}
            checked={chosen.length === 0}
            onChange={() => writeSettings({ namespaces: [] })}
          />
          <hr />
          {all.map((name) => (
            <Check
              key={name}
              label={name}
              checked={chosen.length === 0 || chosen.includes(name)}
              onChange={(on) => toggle(name, on)}
            />
          ))}
        </div>
      )}
    </Popover>
  );
}

function DisplayMenu({ settings }: { settings: GraphSettings }) {
  const label = (name: EdgeLabel) => (
    <Check
      key={name}
      label={t(`graph.label.${name}`)}
      checked={settings.labels.includes(name)}
      onChange={(on) => {
        const labels = LABELS.filter((one) => (one === name ? on : settings.labels.includes(one)));
        writeSettings({ labels });
      }}
    />
  );
  return (
    <Popover label={t("graph.display")} testId="graph-display">
      {() => (
        <div class="menu menu-checks">
          <h3>{t("graph.display.labels")}</h3>
          {LABELS.map(label)}
          <hr />
          <h3>{t("graph.display.show")}</h3>
          <Check
            label={t("graph.show.mtls")}
            checked={settings.mtls}
            onChange={(mtls) => writeSettings({ mtls })}
          />
          <Check
            label={t("graph.show.boxes")}
            checked={settings.boxes}
            onChange={(boxes) => writeSettings({ boxes })}
          />
          <Check
            label={t("graph.show.serviceNodes")}
            checked={settings.serviceNodes}
            onChange={(serviceNodes) => writeSettings({ serviceNodes })}
          />
          <Check
            label={t("graph.show.idle")}
            checked={settings.idle}
            onChange={(idle) => writeSettings({ idle })}
          />
          <Check
            label={t("graph.show.motion")}
            checked={settings.motion}
            onChange={(motion) => writeSettings({ motion })}
          />
        </div>
      )}
    </Popover>
  );
}

const EXAMPLES = [
  "reviews",
  "error > 1",
  "p95 > 200",
  "rate < 0.5",
  "ns = payments AND !healthy",
  "version = v3 OR fi",
  "tcp",
  "!mtls",
  "name ^= cat",
];

function ExpressionHelp() {
  return (
    <Popover label={t("graph.find.help")} icon="unknown" iconOnly align="right">
      {(close) => (
        <div class="menu help">
          <h3>{t("graph.find.help")}</h3>
          <p>{t("graph.find.help.intro")}</p>
          <ul>
            {EXAMPLES.map((example) => (
              <li key={example}>
                <button
                  type="button"
                  class="menu-item mono"
                  onClick={() => {
                    writeSettings({ find: example });
                    close();
                  }}
                >
                  {example}
                </button>
              </li>
            ))}
          </ul>
        </div>
      )}
    </Popover>
  );
}
