/** What a verdict rests on: metrics with their intervals, checks, pods, and Kayenta's score beside. */

import type { Finding, Judged, ReleaseDetail } from "../api/releases";
import { Icon } from "../components/Icon";
import { Table } from "../components/Table";
import { t } from "../i18n";
import { DASH, formatMs, formatRatio } from "../lib/format";
import { evidenceText, spanOf } from "./model";

const CLUMPED = 1.5;
const NAMES = ["errors", "typical time", "tail of times"] as const;
type Name = (typeof NAMES)[number];

const nameText = (name: string): string =>
  NAMES.includes(name as Name) ? t(`release.finding.${name as Name}`) : name;

const valueText = (value: number | null, unit: string): string => {
  if (value === null) return DASH;
  return unit === "share" ? formatRatio(value, 2) : formatMs(value);
};

const changeText = (value: number, unit: string): string =>
  unit === "share" ? `${value.toFixed(2)} ×` : `${value > 0 ? "+" : ""}${value.toFixed(2)} σ`;

export function Findings({ judged, one }: { judged: Judged; one: ReleaseDetail }) {
  const clumped = judged.findings.filter((finding) => finding.clump >= CLUMPED);
  const metrics = judged.kayenta.metrics.map((each) => `${each.name} ${each.label}`).join(", ");
  const { label, score } = judged.kayenta;
  return (
    <section class="card" data-testid="release-findings">
      <header>
        <h2>{t("release.findings")}</h2>
      </header>
      <Table
        label={t("release.findings")}
        rows={judged.findings}
        rowKey={(row) => row.name}
        columns={[
          { id: "name", title: t("release.finding"), cell: (row) => <b>{nameText(row.name)}</b> },
          {
            id: "verdict",
            title: t("release.verdict"),
            cell: (row) => <Word one={row} baseline={one.baseline} />,
          },
          { id: "base", title: one.baseline, numeric: true, cell: (row) => valueText(row.base, row.unit) },
          { id: "canary", title: one.canary, numeric: true, cell: (row) => valueText(row.canary, row.unit) },
          {
            id: "change",
            title: t("release.change"),
            numeric: true,
            cell: (row) => (row.change === null ? DASH : changeText(row.change, row.unit)),
          },
          {
            id: "interval",
            title: t("release.interval"),
            cell: (row) => <Interval one={row} />,
            width: "220px",
          },
          { id: "harm", title: t("release.harm"), numeric: true, cell: (row) => evidenceText(row.harm) },
          {
            id: "safety",
            title: t("release.safety"),
            numeric: true,
            cell: (row) => evidenceText(row.safety),
          },
        ]}
      />
      {clumped.map((finding) => (
        <p key={finding.name} class="card-foot muted">
          {nameText(finding.name)}: {t("release.clump", { n: finding.clump.toFixed(1) })}
        </p>
      ))}
      <p class="card-foot muted" title={t("release.kayenta.help")}>
        {t("release.kayenta", { label, score: Math.round(score), metrics })} {t("release.kayenta.help")}
      </p>
    </section>
  );
}

function Word({ one, baseline }: { one: Finding; baseline: string }) {
  const tone = one.verdict === "regress" ? "bad" : one.verdict === "safe" ? "ok" : "warn";
  const text =
    one.verdict === "regress"
      ? t("release.verdict.regress", { version: baseline })
      : t(`release.verdict.${one.verdict}`);
  return <span class={`code code-${tone}`}>{text}</span>;
}

/** The always-valid interval of a change around "no change"; what is not bounded reaches the edge. */
function Interval({ one }: { one: Finding }) {
  const span = spanOf(one);
  if (span === null) return <span class="muted">{t("release.interval.none")}</span>;
  const end = (value: number | null) => (value === null ? "…" : changeText(value, one.unit));
  const label = `${end(one.low)} – ${end(one.high)}`;
  const tone = span.low > 0.5 ? "bad" : span.high < 0.5 ? "ok" : "idle";
  return (
    <span class="release-interval" role="img" aria-label={label} title={label}>
      <s />
      <i
        class={`tone-${tone}`}
        style={{ left: `${100 * span.low}%`, width: `${Math.max(1, 100 * (span.high - span.low))}%` }}
      />
      <b style={{ left: `${100 * span.at}%` }} />
    </span>
  );
}

export function Checks({ one }: { one: ReleaseDetail }) {
  return (
    <section class="card" data-testid="release-checks">
      <header>
        <h2>{t("release.checks")}</h2>
        {one.failed > 0 && (
          <span class="end text-bad">{t("release.failed", { n: one.failed, all: one.threshold })}</span>
        )}
      </header>
      <ul class="release-checks">
        {one.checks.map((check) => (
          <li key={check.name}>
            <span
              class={`code ${check.passed === true ? "code-ok" : check.passed === false ? "code-bad" : ""} with-icon`}
            >
              {check.passed === true && <Icon name="check" size={12} />}
              {t(
                check.passed === true
                  ? "release.check.passed"
                  : check.passed === false
                    ? "release.check.failed"
                    : "release.check.open",
              )}
            </span>
            <b>{check.name}</b>
            <span class="muted">{check.text}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

export function Pods({ judged }: { judged: Judged }) {
  return (
    <section class="card" data-testid="release-pods">
      <header>
        <h2>{t("release.pods")}</h2>
      </header>
      {judged.pods.length === 0 && <p class="card-body muted">{t("release.pods.none")}</p>}
      {judged.pods.length > 0 && (
        <Table
          label={t("release.pods")}
          rows={judged.pods}
          rowKey={(row) => `${row.version} ${row.pod}`}
          columns={[
            { id: "version", title: t("release.version"), cell: (row) => <b>{row.version}</b> },
            {
              id: "pod",
              title: t("release.pod"),
              cell: (row) => <span class="mono">{row.pod || DASH}</span>,
            },
            {
              id: "requests",
              title: t("release.requests"),
              numeric: true,
              cell: (row) => Math.round(row.requests).toLocaleString("en-US"),
            },
            {
              id: "errors",
              title: t("release.errors"),
              numeric: true,
              cell: (row) => (
                <span class={row.errors ? "text-bad" : "muted"}>
                  {Math.round(row.errors).toLocaleString("en-US")}
                  {row.requests > 0 && ` (${formatRatio(row.errors / row.requests, 2)})`}
                </span>
              ),
            },
          ]}
        />
      )}
    </section>
  );
}
