/** Service-level objectives: how much of each budget is left, how fast it goes, and when it will be gone. */

import { useEffect } from "preact/hooks";
import { fetchObjectives, type Objectives } from "../api/outlook";
import { params, setParams } from "../app/router";
import { CopyButton } from "../components/CopyButton";
import { Icon } from "../components/Icon";
import { EmptyState, LoadStates } from "../components/States";
import { Sparkline } from "../components/Sparkline";
import { type Column, readSorting, Table, writeSorting } from "../components/Table";
import { YamlLine } from "../config/YamlView";
import { t } from "../i18n";
import { insightHref, InsightTabs } from "../insights/InsightTabs";
import { useData } from "../lib/useData";
import { BudgetBar, BurnRate } from "./Budget";
import { ObjectiveDetail } from "./ObjectiveDetail";
import { endDetail, endText, promise, type Row, rowsOf, seenText } from "./words";

const EXAMPLE = `apiVersion: windvane.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: reviews, namespace: default}
spec:
  service: reviews
  period: 30d
  errors: {objective: 99.9}
  latency: {objective: 99, threshold: 300ms}
`;

export function ObjectivesPage() {
  useEffect(() => {
    document.title = `${t("insights.tab.objectives")} · Windvane`;
  });
  const loaded = useData("objectives", fetchObjectives);
  const rows = rowsOf(loaded.data?.objectives ?? []);
  const chosen = rows.find((row) => row.key === params.value.get("objective")) ?? rows[0];
  return (
    <div class="page">
      <InsightTabs here="objectives" />
      <LoadStates loaded={loaded} />
      {loaded.data && <Problems problems={loaded.data.problems} />}
      {loaded.data && rows.length === 0 && <Nothing />}
      {rows.length > 0 && (
        <section class="card">
          <header>
            <h2>{t("outlook.slo.title")}</h2>
            <Standing rows={rows} />
          </header>
          <Table
            label={t("outlook.slo.title")}
            rows={rows}
            rowKey={(row) => row.key}
            columns={columns(chosen?.key)}
            sorting={readSorting(params.value.get("sort"), { column: "urgency", descending: false })}
            onSort={(sorting) => setParams({ sort: writeSorting(sorting) })}
            testId="objectives"
          />
        </section>
      )}
      {chosen && <ObjectiveDetail key={chosen.key} row={chosen} />}
    </div>
  );
}

function Standing({ rows }: { rows: Row[] }) {
  return (
    <span class="end head-actions">
      {(["bad", "warn", "ok", "idle"] as const)
        .map((tone) => ({ tone, n: rows.filter((row) => row.tone === tone).length }))
        .filter(({ n }) => n > 0)
        .map(({ tone, n }) => (
          <span key={tone} class={`health health-${tone}`}>
            <i />
            {n} {t(`outlook.slo.tone.${tone}`)}
          </span>
        ))}
    </span>
  );
}

const columns = (chosen: string | undefined): Column<Row>[] => [
  {
    id: "objective",
    title: t("outlook.slo.objective"),
    sort: (row) => row.key,
    cell: (row) => (
      <a
        class={`objective-link objective-${row.tone}`}
        href={insightHref("objectives", { objective: row.key })}
        aria-current={row.key === chosen ? "true" : undefined}
      >
        <b>{row.objective.name}</b>
        <span class="muted">{row.objective.service}</span>
      </a>
    ),
  },
  {
    id: "promise",
    title: t("outlook.slo.promise"),
    cell: (row) => (
      <span class="two-lines">
        <span>{promise(row.one)}</span>
        <span class="muted">{t("outlook.slo.period", { n: row.objective.period_days })}</span>
      </span>
    ),
  },
  {
    id: "seen",
    title: t("outlook.slo.seen"),
    numeric: true,
    sort: (row) => row.one.attained,
    cell: (row) =>
      row.one.attained === null ? (
        <span class="muted">{t("outlook.slo.noRequests")}</span>
      ) : (
        seenText(row.one.attained)
      ),
  },
  {
    id: "urgency",
    title: t("outlook.slo.left"),
    width: "180px",
    sort: (row) => row.one.remaining,
    cell: (row) => <BudgetBar remaining={row.one.remaining} tone={row.tone} />,
  },
  {
    id: "burn",
    title: t("outlook.slo.burnNow"),
    numeric: true,
    sort: (row) => row.one.burn["1h"] ?? null,
    cell: (row) => <BurnRate value={row.one.burn["1h"]} {...threshold(row)} />,
  },
  {
    id: "end",
    title: t("outlook.slo.exhaustion"),
    sort: (row) => row.one.exhaustion?.days ?? null,
    cell: (row) => (
      <span
        class={
          row.one.exhaustion?.days != null ? (row.one.exhaustion.days < 1 ? "text-bad" : "text-warn") : ""
        }
        title={endDetail(row.one.exhaustion)}
      >
        {endText(row.one.exhaustion)}
      </span>
    ),
  },
  {
    id: "history",
    title: t("outlook.slo.history"),
    width: "140px",
    cell: (row) => (
      <Sparkline
        values={row.one.history.remaining.map((value) => (value === null ? null : Math.max(0, value)))}
        width={120}
        height={24}
        tone={row.tone === "bad" ? "bad" : "accent"}
      />
    ),
  },
];

function threshold(row: Row): { threshold?: number } {
  const found = row.one.windows.find((window) => window.long === "1h");
  return found ? { threshold: found.threshold } : {};
}

function Problems({ problems }: { problems: Objectives["problems"] }) {
  if (problems.length === 0) return null;
  return (
    <div class="banner banner-bad" role="alert" data-testid="objective-problems">
      <Icon name="warning" />
      <span>
        {t("outlook.slo.problems")}
        {problems.map((one) => (
          <span key={`${one.file}${one.line}${one.message}`} class="problem-line mono">
            {one.file}
            {one.line > 0 && `:${one.line}`}
            {one.path && ` ${one.path}`}: {one.message}
          </span>
        ))}
      </span>
    </div>
  );
}

function Nothing() {
  return (
    <section class="card">
      <EmptyState title={t("outlook.slo.empty")} text={t("outlook.slo.empty.text")} icon="target" />
      <div class="starter">
        <header>
          <span class="mono muted">objectives.yaml</span>
          <CopyButton label={t("common.copy")} text={() => EXAMPLE} />
        </header>
        <pre class="yaml" aria-label={t("outlook.slo.example")}>
          {EXAMPLE.trimEnd()
            .split("\n")
            .map((line, index) => (
              <span key={index} class="yaml-line">
                <i>{index + 1}</i>
                <span class="yaml-text">
                  <YamlLine text={line} />
                </span>
              </span>
            ))}
        </pre>
      </div>
    </section>
  );
}
