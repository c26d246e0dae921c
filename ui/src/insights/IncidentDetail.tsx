/** One incident whole: why, its signals against what was expected, whom it reaches, and what happened when. */

import { useState } from "preact/hooks";
import { ApiError } from "../api/client";
import { fetchIncident, type IncidentDetails, type IncidentSignal } from "../api/incidents";
import { hrefWith, linkTo } from "../app/router";
import { Chart } from "../components/Chart";
import { Button } from "../components/Controls";
import { Icon, type IconName } from "../components/Icon";
import { EmptyState, ErrorBanner, ErrorState, Skeleton } from "../components/States";
import { t, uptimeWords } from "../i18n";
import { clockTime, dateTime } from "../lib/time";
import { useData } from "../lib/useData";
import { writeValue } from "../traces/querySyntax";
import { Causes, Explanation } from "./Answer";
import { FeedbackCard } from "./FeedbackCard";
import { Said, SeverityMark } from "./IncidentRow";
import { insightHref } from "./InsightTabs";
import { courseOf, expectedBand, inOrder, oddChanges, oddOf } from "./courses";
import { aroundParams, fullName, signalValue, whyTime } from "./model";
import { IncidentPath } from "./PathView";
import { Timeline } from "./Timeline";
import { scopeName, signalName, titleOf } from "./words";

export function IncidentDetail({ id }: { id: string }) {
  const loaded = useData(`incident ${id}`, (signal) => fetchIncident(id, signal));
  const one = loaded.data;
  const missing = loaded.error instanceof ApiError && loaded.error.status === 404;
  return (
    <article class="stack incident-detail" data-testid="incident">
      {loaded.loading && (
        <section class="card">
          <Skeleton rows={10} height={18} />
        </section>
      )}
      {missing && !one && (
        <section class="card">
          <EmptyState title={t("incidents.missing")} text={id} icon="search">
            <a class="button button-plain" href={hrefWith({ incident: null })}>
              {t("incidents.back")}
            </a>
          </EmptyState>
        </section>
      )}
      {loaded.error && !missing && !one && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {loaded.error && one && <ErrorBanner error={loaded.error} retry={loaded.retry} />}
      {one && <Whole one={one} reload={loaded.retry} />}
    </article>
  );
}

function Whole({ one, reload }: { one: IncidentDetails; reload: () => void }) {
  return (
    <>
      <section class="card">
        <Head one={one} />
        <Explanation why={one.why} fallback={one.cause?.text ?? null} over={!one.open} />
        <LookCloser one={one} />
      </section>
      <Signals one={one} />
      <IncidentPath one={one} />
      {one.why && <Causes why={one.why} />}
      <div class="incident-pair">
        <Timeline one={one} />
        <FeedbackCard one={one} reload={reload} />
      </div>
    </>
  );
}

function Head({ one }: { one: IncidentDetails }) {
  const now = Date.now() / 1000;
  const duration = uptimeWords(Math.max(60, (one.end ?? now) - one.start));
  return (
    <header class="incident-head">
      <div>
        <h2 class="incident-heading">{titleOf(one)}</h2>
        <p class="incident-sub">
          <SeverityMark one={one} />
          <Said one={one} />
          <time title={dateTime(one.start)}>{t("incidents.since", { time: dateTime(one.start) })}</time>
          <span class="muted">
            {one.open ? t("incidents.goingOn", { duration }) : t("incidents.lasted", { duration })}
          </span>
        </p>
      </div>
      <a
        class="button button-ghost button-icon"
        href={hrefWith({ incident: null })}
        aria-label={t("common.close")}
        title={`${t("common.close")} (Esc)`}
        data-testid="incident-close"
      >
        <Icon name="close" />
      </a>
    </header>
  );
}

/** The same service and time on other pages. */
function LookCloser({ one }: { one: IncidentDetails }) {
  const name = fullName(one);
  const at = aroundParams(one, Date.now() / 1000);
  const asked = whyTime(one);
  const links: [string, IconName, string][] = [
    [
      insightHref("why", { service: name, ...(asked === null ? {} : { at: String(asked) }) }),
      "insights",
      t("incidents.look.why"),
    ],
    [linkTo(`/services/${one.namespace}/${one.service}`, at), "services", t("incidents.look.service")],
    [linkTo("/traces", { q: `service:${writeValue(name)}`, ...at }), "traces", t("incidents.look.traces")],
    [linkTo("/logs", { q: `service:${writeValue(name)}`, ...at }), "list", t("incidents.look.logs")],
    [metricsHref(one), "metrics", t("incidents.look.metrics")],
    [
      linkTo("/", { find: `service = ${one.service} OR app = ${one.service}`, ...at }),
      "graph",
      t("incidents.look.graph"),
    ],
  ];
  return (
    <footer class="incident-look">
      <span class="muted">{t("incidents.look")}</span>
      {links.map(([href, icon, text]) => (
        <a key={text} class="button button-ghost" href={href}>
          <Icon name={icon} size={14} />
          <span>{text}</span>
        </a>
      ))}
    </footer>
  );
}

/** The rate of the leading service by code: what the explorer opens with. */
function metricsHref(one: IncidentDetails): string {
  const at = aroundParams(one, Date.now() / 1000);
  const matchers = `destination_service_name="${one.service}",destination_service_namespace="${one.namespace}"`;
  const query = `sum by (response_code) (rate(istio_requests_total{${matchers}}[1m]))`;
  return linkTo("/explore", { q: query, ...at });
}

/** Charts shown before one asks for more. */
const SHOWN = 4;

function Signals({ one }: { one: IncidentDetails }) {
  const [all, setAll] = useState(false);
  const signals = inOrder(one);
  const shown = all ? signals : signals.slice(0, SHOWN);
  return (
    <section class="card" data-testid="incident-signals">
      <header>
        <h2>{t("incidents.signals")}</h2>
        {one.anomalies[0] && (
          <span class="muted truncate">
            {t("incidents.firstBad", { time: clockTime(one.start).slice(0, 5) })}
          </span>
        )}
      </header>
      {shown.length === 0 && <p class="card-body muted">{t("incidents.signals.none")}</p>}
      {shown.length > 0 && (
        <div class={`incident-charts`}>
          {shown.map((signal, index) => (
            <SignalChart
              key={`${scopeName(signal.scope)} ${signal.signal}`}
              one={one}
              signal={signal}
              first={index === 0}
            />
          ))}
        </div>
      )}
      {one.signals.length > SHOWN && !all && (
        <p class="card-foot">
          <Button tone="ghost" onClick={() => setAll(true)}>
            {t("incidents.signals.more", { n: one.signals.length - SHOWN })}
          </Button>
        </p>
      )}
    </section>
  );
}

function SignalChart({
  one,
  signal,
  first,
}: {
  one: IncidentDetails;
  signal: IncidentSignal;
  first: boolean;
}) {
  const odd = oddOf(one, signal);
  const format = (value: number) => signalValue(value, signal.unit);
  const colour = signal.signal === "errors" ? "--bad" : signal.signal === "latency" ? "--c1" : "--accent";
  const worst = odd[0];
  return (
    <div class="incident-chart">
      <Chart
        title={`${signalName(signal.signal)} · ${scopeName(signal.scope)}`}
        columns={courseOf(signal)}
        lines={[{ label: t("events.seen"), colour }]}
        format={format}
        height={first ? 168 : 148}
        overlay={{
          band: expectedBand(signal),
          stretches: odd.map((each, index) => ({
            key: String(index),
            from: each.start,
            to: each.open ? null : each.end,
            text: titleOf(one),
            tone: one.severity === "page" ? "bad" : "warn",
          })),
          points: worst
            ? [
                {
                  time: worst.start,
                  text: t("incidents.firstBad", { time: clockTime(worst.start).slice(0, 5) }),
                  tone: "bad",
                },
              ]
            : [],
        }}
        changes={oddChanges(one)}
      />
      {worst && (
        <p class="muted incident-worst">
          {t("incidents.atWorst", {
            seen: signalValue(worst.seen, worst.unit),
            expected: signalValue(worst.expected, worst.unit),
          })}
        </p>
      )}
    </div>
  );
}
