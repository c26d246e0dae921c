/** One release: what it is at, its steps, its verdict, what the verdict rests on, and what happened. */

import { fetchRelease, type Release, type ReleaseDetail } from "../api/releases";
import { linkTo } from "../app/router";
import { Chart } from "../components/Chart";
import { Icon } from "../components/Icon";
import { ErrorState, Skeleton } from "../components/States";
import { Table } from "../components/Table";
import { Facts } from "../graph/SidePanel";
import { durationWords, t, uptimeWords } from "../i18n";
import { DASH } from "../lib/format";
import { dateTime } from "../lib/time";
import { useData } from "../lib/useData";
import { Checks, Findings, Pods } from "./Evidence";
import { evidenceColumns, evidenceText, gaugeShare, ladder, powerText, weightColumns } from "./model";
import { PhaseBadge } from "./ReleasesPage";
import { Steering } from "./Steering";

export function Details({ head }: { head: Release }) {
  const key = `release ${head.namespace}/${head.name}`;
  const loaded = useData(key, (signal) => fetchRelease(head, signal));
  const detail = loaded.data;
  if (loaded.loading) {
    return (
      <section class="card">
        <Skeleton rows={10} />
      </section>
    );
  }
  if (!detail) return loaded.error ? <ErrorState error={loaded.error} retry={loaded.retry} /> : null;
  return (
    <>
      <Head one={detail} again={loaded.retry} />
      {detail.phase !== "Invalid" && <VerdictCard one={detail} />}
      {detail.started !== null && <OverTime one={detail} />}
      {detail.judged && <Findings judged={detail.judged} one={detail} />}
      {detail.checks.length > 0 && <Checks one={detail} />}
      {detail.judged && <Pods judged={detail.judged} />}
      {detail.events.length > 0 && <Events one={detail} />}
    </>
  );
}

function Head({ one, again }: { one: ReleaseDetail; again: () => void }) {
  return (
    <section class="card" data-testid="release-head">
      <header>
        <h2>
          {one.service || one.name} {one.canary && `${one.baseline} → ${one.canary}`}
        </h2>
        <PhaseBadge one={one} />
        {one.suspended && <span class="tag">{t("release.suspended")}</span>}
        <span class="end head-actions">
          {one.service && (
            <a class="button button-ghost" href={linkTo(`/services/${one.namespace}/${one.service}`)}>
              <Icon name="services" size={14} />
              <span>{t("release.service")}</span>
            </a>
          )}
        </span>
      </header>
      {[...one.problems, ...(one.trouble ? [one.trouble] : [])].map((text) => (
        <p key={text} class="banner banner-bad" role="alert">
          <Icon name="warning" />
          <span>{text}</span>
        </p>
      ))}
      {one.waiting && (
        <p class="banner banner-warn" role="status">
          <Icon name="clock" />
          <span>{t("release.waiting", { gate: one.waiting })}</span>
        </p>
      )}
      {one.notes.map((text) => (
        <p key={text} class="banner muted">
          {text}
        </p>
      ))}
      {one.phase !== "Invalid" && (
        <div class="card-body stack">
          <Ladder one={one} />
          <Facts facts={facts(one)} />
        </div>
      )}
      {one.phase === "Invalid" && <p class="card-body mono muted">{`${one.file}:${one.line}`}</p>}
      {one.actions.length > 0 && <Steering one={one} done={again} />}
    </section>
  );
}

function facts(one: ReleaseDetail) {
  const told = [
    { label: t("release.weight", { version: one.canary }), value: `${one.weight} %` },
    { label: t("release.started"), value: one.started === null ? DASH : dateTime(one.started) },
  ];
  if (one.ended === null) {
    told.push(
      { label: t("release.since"), value: one.since === null ? DASH : uptimeWords(one.now - one.since) },
      { label: t("release.next"), value: nextText(one) },
    );
    if (one.started !== null && one.plan)
      told.push({ label: t("release.deadline"), value: dateTime(one.started + one.plan.deadline) });
  } else {
    told.push({ label: t("release.ended"), value: dateTime(one.ended) });
  }
  if (one.iterations > 0)
    told.push({
      label: t("release.step.here"),
      value: t("release.iterations", { n: one.iteration, all: one.iterations }),
    });
  if (one.mirror > 0)
    told.push({ label: t("release.step.here"), value: t("release.mirror", { percent: one.mirror }) });
  if (one.failed > 0)
    told.push({
      label: t("release.checks"),
      value: t("release.failed", { n: one.failed, all: one.threshold }),
    });
  return told;
}

function nextText(one: ReleaseDetail): string {
  if (one.next_look === null) return DASH;
  const left = one.next_look - one.now;
  return left < 1
    ? t("release.next.now")
    : t("release.next.in", { duration: durationWords(Math.round(left)) });
}

function Ladder({ one }: { one: ReleaseDetail }) {
  return (
    <ol class="release-ladder" aria-label={t("release.ladder")} data-testid="ladder">
      {ladder(one, one.events).map((rung) => (
        <li
          key={rung.weight}
          class={`rung-${rung.state}`}
          aria-current={rung.state === "here" ? "step" : undefined}
          title={t("release.step", { weight: rung.weight, state: t(`release.step.${rung.state}`) })}
        >
          <i>
            {rung.state === "done" && <Icon name="check" size={12} />}
            {rung.state === "failed" && <Icon name="close" size={12} />}
          </i>
          <span>{rung.weight} %</span>
        </li>
      ))}
    </ol>
  );
}

function VerdictCard({ one }: { one: ReleaseDetail }) {
  const tone = one.verdict === "regress" ? "bad" : one.verdict === "safe" ? "ok" : "warn";
  return (
    <section class="card" data-testid="release-verdict">
      <header>
        <h2>{t("release.verdict")}</h2>
        {one.verdict ? (
          <span class={`code code-${tone}`}>{verdictText(one)}</span>
        ) : (
          <span class="code">{t("release.verdict.none")}</span>
        )}
        {one.judged_at !== null && <span class="end muted">{dateTime(one.judged_at)}</span>}
      </header>
      <div class="card-body stack">
        {one.reasons.length > 0 ? (
          <ul class="release-reasons">
            {one.reasons.map((reason) => (
              <li key={reason}>{reason}</li>
            ))}
          </ul>
        ) : (
          <p class="muted">{t("release.verdict.none.text")}</p>
        )}
        {one.verdict === "more traffic needed" && (
          <p class="muted">
            {one.judged?.minimum != null && `${t("release.minimum", { n: one.judged.minimum })} `}
            {one.minutes === null
              ? t("release.minutes.never")
              : t("release.minutes", { duration: durationWords(Math.max(60, Math.round(one.minutes * 60))) })}
          </p>
        )}
        {one.evidence !== null && one.needed !== null && (
          <Gauge evidence={one.evidence} needed={one.needed} alpha={one.plan?.alpha ?? 1 / one.needed} />
        )}
      </div>
    </section>
  );
}

export const verdictText = (one: Release): string =>
  one.verdict === "regress"
    ? t("release.verdict.regress", { version: one.baseline })
    : t(`release.verdict.${one.verdict ?? "none"}`);

function Gauge({ evidence, needed, alpha }: { evidence: number; needed: number; alpha: number }) {
  const share = gaugeShare(evidence, needed);
  const tone = evidence >= needed ? "bad" : evidence > 1 ? "warn" : "ok";
  const told = { value: evidenceText(evidence), needed: evidenceText(needed) };
  const help = t("release.evidence.help", { needed: told.needed, alpha: `${100 * alpha} %` });
  return (
    <div class="release-gauge" data-testid="gauge">
      <div class="release-gauge-head">
        <span>{t("release.evidence")}</span>
        <b class={`text-${tone}`}>{t("release.evidence.of", told)}</b>
      </div>
      <div
        class="release-gauge-track"
        role="meter"
        aria-label={t("release.evidence")}
        aria-valuemin={0}
        aria-valuemax={1}
        aria-valuenow={share}
        aria-valuetext={t("release.evidence.of", told)}
      >
        <i class={`tone-${tone}`} style={{ width: `${100 * share}%` }} />
        <s style={{ left: "50%" }} />
      </div>
      <div class="release-gauge-scale muted" aria-hidden="true">
        <span>{evidenceText(1 / needed)}</span>
        <span>1</span>
        <span>{told.needed}</span>
      </div>
      <p class="muted">{help}</p>
    </div>
  );
}

function OverTime({ one }: { one: ReleaseDetail }) {
  return (
    <div class="grid-2 release-charts">
      <section class="card card-body">
        <Chart
          title={t("release.weight.time")}
          columns={weightColumns(one)}
          lines={[{ label: one.canary, colour: "--accent", fill: true }]}
          format={(value) => `${Math.round(value)} %`}
          minimumTop={10}
        />
      </section>
      <section class="card card-body">
        <Chart
          title={t("release.evidence.time")}
          columns={evidenceColumns(one)}
          lines={[
            { label: t("release.evidence.line"), colour: "--warn" },
            { label: t("release.evidence.needed"), colour: "--bad", dash: true },
          ]}
          format={powerText}
        />
      </section>
    </div>
  );
}

function Events({ one }: { one: ReleaseDetail }) {
  const rows = one.events.map((event, index) => ({ ...event, index })).reverse();
  return (
    <section class="card" data-testid="release-events">
      <header>
        <h2>{t("release.events")}</h2>
      </header>
      <Table
        label={t("release.events")}
        rows={rows}
        rowKey={(row) => String(row.index)}
        columns={[
          {
            id: "time",
            title: t("release.event.time"),
            cell: (row) => <span class="nowrap">{dateTime(row.at)}</span>,
          },
          {
            id: "phase",
            title: t("release.event.phase"),
            cell: (row) => <span class="nowrap">{t(`release.phase.${row.phase}`)}</span>,
          },
          {
            id: "weight",
            title: t("release.event.weight"),
            numeric: true,
            cell: (row) => `${row.weight} %`,
          },
          {
            id: "what",
            title: t("release.event.what"),
            cell: (row) => <span class={row.warning ? "text-bad" : ""}>{row.text}</span>,
          },
        ]}
      />
    </section>
  );
}
