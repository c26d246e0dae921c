/** What any series will be: of a service's signals, or of PromQL; with bands, and how wrong it was before. */

import { useEffect, useState } from "preact/hooks";
import { fetchForecasts, fetchWrittenForecasts } from "../api/outlook";
import { fetchServices } from "../api/own";
import { ApiError } from "../api/client";
import { lazy } from "../app/lazy";
import { params, setParams } from "../app/router";
import type { EditorProps } from "../components/CodeEditor";
import { Button, Segmented, Select } from "../components/Controls";
import { EmptyState, LoadStates } from "../components/States";
import { t } from "../i18n";
import { InsightTabs } from "../insights/InsightTabs";
import { placesOf } from "../lib/places";
import { useData } from "../lib/useData";
import { formatter, guessUnit } from "../metrics/units";
import { Ago } from "../targets/Ago";
import { ForecastCard } from "./ForecastCard";
import { queryOf, type Signal, SIGNALS, UNITS } from "./signals";

const Editor = lazy<EditorProps>(() => import("../metrics/Editor").then((m) => m.Editor));

const HORIZONS = { "6h": 21_600, "24h": 86_400, "3d": 259_200, "7d": 604_800 } as const;
type Horizon = keyof typeof HORIZONS;

export function ForecastPage() {
  useEffect(() => {
    document.title = `${t("insights.tab.forecast")} · Windvane`;
  });
  const services = useData("forecast services", (signal) => fetchServices("1h", null, signal), {
    live: false,
  });
  const names = (services.data ?? []).map((one) => `${one.name}.${one.namespace}`).sort();
  const written = params.value.get("query");
  const asked = params.value.get("service");
  const service = asked ?? names[0] ?? "";
  const signal = readSignal(params.value.get("signal"));
  const horizon = readHorizon(params.value.get("horizon"));
  const query = written ?? (service ? queryOf(service, signal) : "");
  const loaded = useData(
    query ? `forecast ${horizon} ${query}` : null,
    (stop) => fetchForecasts(query, horizon, stop),
    { live: false, keep: false },
  );
  const format = formatter(written === null ? UNITS[signal] : guessUnit(query));
  return (
    <div class="page">
      <InsightTabs here="forecast" />
      <section class="card">
        <header class="outlook-head">
          <Segmented
            label={t("outlook.forecast.of")}
            value={written === null ? "service" : "query"}
            options={[
              { value: "service", label: t("outlook.forecast.of.service") },
              { value: "query", label: "PromQL" },
            ]}
            onChange={(next) => setParams({ query: next === "query" ? query || "up" : null })}
          />
          {written === null && (
            <>
              <Select
                label={t("outlook.capacity.service")}
                options={withChosen(names, service).map((value) => ({ value, label: value }))}
                value={service}
                onChange={(next) => setParams({ service: next })}
                testId="forecast-service"
              />
              <Segmented
                label={t("outlook.forecast.signal")}
                value={signal}
                options={SIGNALS.map((value) => ({ value, label: t(`outlook.forecast.signal.${value}`) }))}
                onChange={(next) => setParams({ signal: next === "rate" ? null : next })}
              />
            </>
          )}
          <span class="end head-actions">
            <Segmented
              label={t("outlook.forecast.horizon")}
              value={horizon}
              options={(Object.keys(HORIZONS) as Horizon[]).map((value) => ({ value, label: value }))}
              onChange={(next) => setParams({ horizon: next === "24h" ? null : next })}
            />
          </span>
        </header>
        {written !== null && <QueryRow query={written} error={loaded.error} />}
      </section>
      {services.error && written === null && <LoadStates loaded={services} />}
      {query && <LoadStates loaded={loaded} rows={10} />}
      {!query && services.data && (
        <section class="card">
          <EmptyState
            title={t("outlook.forecast.empty")}
            text={t("outlook.forecast.empty.text")}
            icon="insights"
          />
        </section>
      )}
      {loaded.data?.series.length === 0 && (
        <section class="card">
          <EmptyState title={t("outlook.forecast.noSeries")} text={query} icon="search" />
        </section>
      )}
      {loaded.data && loaded.data.series.length > 0 && (
        <ForecastCard
          key={`${horizon} ${query}`}
          found={loaded.data}
          horizon={HORIZONS[horizon]}
          title={written === null ? `${service}: ${t(`outlook.forecast.signal.${signal}`)}` : query}
          format={(value) => format(value)}
        />
      )}
      <Written />
    </div>
  );
}

const readSignal = (text: string | null): Signal => SIGNALS.find((one) => one === text) ?? "rate";
const readHorizon = (text: string | null): Horizon =>
  text !== null && text in HORIZONS ? (text as Horizon) : "24h";
const withChosen = (names: string[], chosen: string): string[] =>
  !chosen || names.includes(chosen) ? names : [chosen, ...names];

function QueryRow({ query, error }: { query: string; error: Error | undefined }) {
  const [text, setText] = useState(query);
  const problems =
    error instanceof ApiError && error.status === 400 ? placesOf({ error: error.message }) : [];
  const run = () => setParams({ query: text.trim() || "up" });
  return (
    <div class="card-body forecast-query">
      <div class="query-editor">
        <Editor
          testId="forecast-editor"
          value={text}
          label="PromQL"
          hint={t("metrics.placeholder")}
          problems={problems}
          asked={query}
          focus={false}
          onInput={setText}
          onRun={run}
        />
      </div>
      <Button tone="primary" onClick={run} data-testid="forecast-run">
        {t("outlook.forecast.run")}
      </Button>
    </div>
  );
}

/** What of this the server writes as series all the time. */
function Written() {
  const loaded = useData("written forecasts", fetchWrittenForecasts);
  const found = loaded.data;
  if (!found) return null;
  const reasons = [...new Set(found.refused.map((one) => one.reason))];
  return (
    <section class="card" data-testid="written-forecasts">
      <header>
        <h2>{t("outlook.forecast.written")}</h2>
        <span class="end muted">{found.made_at !== null && <Ago time={found.made_at} />}</span>
      </header>
      <div class="card-body stack">
        <p class="muted">
          {!found.enabled
            ? t("outlook.forecast.off")
            : found.error
              ? t("outlook.forecast.failed", { error: found.error })
              : found.made_at === null
                ? t("outlook.forecast.notYet")
                : t("outlook.forecast.writtenOf", { signals: found.signals, services: found.services })}
        </p>
        {found.refused.length > 0 && (
          <details>
            <summary>{t("outlook.forecast.refusedOf", { n: found.refused.length })}</summary>
            <ul class="notes">
              {reasons.map((reason) => (
                <li key={reason}>
                  <span>
                    {reason}{" "}
                    <span class="muted">
                      {found.refused
                        .filter((one) => one.reason === reason)
                        .slice(0, 12)
                        .map((one) => `${one.service}.${one.namespace} ${one.signal}`)
                        .join(", ")}
                    </span>
                  </span>
                </li>
              ))}
            </ul>
          </details>
        )}
        {found.enabled && (
          <pre class="promql-line mono">
            windvane_forecast{"{"}signal="rate",bound="high",share="0.95",horizon="1h"{"}"}
          </pre>
        )}
      </div>
    </section>
  );
}
