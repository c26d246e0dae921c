/** Lines grouped by their shape; compared with the time before: which are new and which are gone. */

import { useState } from "preact/hooks";
import { fetchLogPatterns, type LogPattern, type LogPatterns } from "../api/logs";
import { currentRange } from "../app/range";
import { linkTo, params, setParams } from "../app/router";
import { Check, Segmented } from "../components/Controls";
import { EmptyState, LoadStates } from "../components/States";
import { type Column, type Sorting, Table } from "../components/Table";
import { Facts } from "../graph/SidePanel";
import { durationWords, t } from "../i18n";
import { formatCount, formatRatio } from "../lib/format";
import { clockTime, dateTime, rangeSeconds, resolve } from "../lib/time";
import { useData } from "../lib/useData";
import { ShareBar } from "../traces/ShareBar";
import { withCondition } from "../traces/querySyntax";
import { mistakeOf } from "../traces/searchState";
import { isoMicros } from "../traces/summary";
import { severityColour } from "./bars";
import { LogBar, LogsTabs } from "./LogsHead";
import { logParams, type LogState, readLogState } from "./state";

const LIMIT = 200;
const CHANGES = ["all", "new", "gone"] as const;
type Change = (typeof CHANGES)[number];

export function PatternsPage() {
  const state = readLogState(params.value);
  const range = currentRange();
  const { q, kind, compare } = state;
  const loaded = useData(`patterns ${JSON.stringify([q, kind, compare, range])}`, (signal) => {
    const { from, to } = resolve(range, Date.now() / 1000);
    const before = compare ? { baseline_start: from - (to - from) } : {};
    return fetchLogPatterns({ q, kind, start: from, end: to, limit: LIMIT, ...before }, signal);
  });
  const mistaken = loaded.error && mistakeOf(loaded.error.message, q);
  return (
    <div class="page">
      <LogsTabs here="patterns" />
      <LogBar error={loaded.error} busy={loaded.loading || loaded.stale} />
      {!mistaken && <LoadStates loaded={loaded} rows={10} />}
      {loaded.data && !mistaken && (
        <div class={loaded.stale ? "stale" : ""}>
          <Shown answer={loaded.data} state={state} before={durationWords(Math.round(rangeSeconds(range)))} />
        </div>
      )}
    </div>
  );
}

function Shown({ answer, state, before }: { answer: LogPatterns; state: LogState; before: string }) {
  const [change, setChange] = useState<Change>("all");
  const [sorting, setSorting] = useState<Sorting>({ column: "count", descending: true });
  const compared = state.compare;
  const shown = answer.patterns.filter((one) => !compared || change === "all" || one.change === change);
  const of = (which: "new" | "gone") => answer.patterns.filter((one) => one.change === which).length;
  return (
    <>
      <section class="card head-facts">
        <Facts
          facts={[
            { label: t("patterns.lines"), value: formatCount(answer.lines) },
            {
              label: t("patterns.patterns"),
              value: formatCount(answer.patterns.filter((one) => one.count).length),
            },
            ...(compared
              ? [
                  { label: t("patterns.change.new"), value: formatCount(of("new")) },
                  { label: t("patterns.change.gone"), value: formatCount(of("gone")) },
                ]
              : []),
          ]}
        />
        {answer.read < answer.lines && (
          <span class="muted">{t("patterns.read", { n: formatCount(answer.read) })}</span>
        )}
      </section>
      <section class="card">
        <header>
          <h2>{t("logs.page.patterns")}</h2>
          <span class="end result-tools">
            {compared && (
              <Segmented
                label={t("patterns.change")}
                value={change}
                options={CHANGES.map((value) => ({ value, label: t(`patterns.change.${value}`) }))}
                onChange={setChange}
                testId="pattern-change"
              />
            )}
            <Check
              label={t("patterns.compare", { before })}
              checked={compared}
              onChange={(compare) => setParams(logParams({ compare }))}
            />
          </span>
        </header>
        {shown.length === 0 ? (
          <EmptyState title={t("logs.empty.title")} text={t("patterns.none")} icon="list" />
        ) : (
          <Table
            label={t("logs.page.patterns")}
            columns={columns(state)}
            rows={shown}
            rowKey={(row) => `${row.kind} ${row.status} ${row.template}`}
            sorting={sorting}
            onSort={setSorting}
            testId="log-patterns"
          />
        )}
      </section>
    </>
  );
}

function columns(state: LogState): Column<LogPattern>[] {
  const compared: Column<LogPattern>[] = [
    {
      id: "before",
      title: t("patterns.before"),
      numeric: true,
      sort: (row) => row.before,
      cell: (row) => <span class="muted">{formatCount(row.before ?? 0)}</span>,
    },
    {
      id: "change",
      title: t("patterns.change"),
      sort: (row) => row.change,
      cell: (row) =>
        row.change && (
          <span class={`code ${row.change === "new" ? "code-warn" : ""}`}>{t(`patterns.${row.change}`)}</span>
        ),
    },
  ];
  return [
    {
      id: "count",
      title: t("patterns.lines"),
      numeric: true,
      width: "96px",
      sort: (row) => row.count,
      cell: (row) => formatCount(row.count),
    },
    {
      id: "share",
      title: t("patterns.share"),
      numeric: true,
      width: "130px",
      sort: (row) => row.share,
      cell: (row) => (
        <span class="with-share">
          {formatRatio(row.share)} <ShareBar share={row.share} />
        </span>
      ),
    },
    ...(state.compare ? compared : []),
    { id: "template", title: t("patterns.template"), cell: (row) => <Template row={row} state={state} /> },
    {
      id: "services",
      title: t("trace.services"),
      cell: (row) => <Services names={row.services.filter(Boolean)} />,
    },
    {
      id: "last",
      title: t("patterns.last"),
      numeric: true,
      sort: (row) => row.last || null,
      cell: (row) => (row.last ? <Last iso={row.last} /> : ""),
    },
  ];
}

function Services({ names }: { names: string[] }) {
  const shown = names.slice(0, 2).map((name) => name.split(".")[0]);
  return (
    <span class="pattern-services" title={names.join(", ")}>
      {shown.join(", ")}
      {names.length > shown.length && <span class="muted"> +{names.length - shown.length}</span>}
    </span>
  );
}

function Last({ iso }: { iso: string }) {
  const at = isoMicros(iso) / 1e6;
  return (
    <time class="muted" title={dateTime(at, true)}>
      {clockTime(at)}
    </time>
  );
}

function Template({ row, state }: { row: LogPattern; state: LogState }) {
  const to = linkTo("/logs", {
    q: withCondition(state.q, row.query),
    kind: state.kind === "all" ? null : state.kind,
  });
  return (
    <a class="pattern" href={to} title={row.example} data-testid="log-pattern">
      <i style={{ background: `var(${severityColour(row.severity)})` }} />
      {row.status && <span class={`code code-${toneOf(row.status)}`}>{row.status}</span>}
      <code>
        {row.template.split("<*>").map((text, index) => (
          <span key={index}>
            {index > 0 && <em>{"<*>"}</em>}
            {text}
          </span>
        ))}
      </code>
    </a>
  );
}

const toneOf = (status: string): string => (status === "5xx" ? "bad" : status === "4xx" ? "warn" : "ok");
