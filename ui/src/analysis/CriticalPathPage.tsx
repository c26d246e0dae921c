/** Who owns the latency of many traces, at each quantile, and what would help. */

import { useState } from "preact/hooks";
import { fetchPaths, type Owner, type PathsAnswer } from "../api/analysis";
import { linkTo, params, setParams } from "../app/router";
import { Segmented } from "../components/Controls";
import { Icon } from "../components/Icon";
import { type Column, type Sorting, Table } from "../components/Table";
import { t } from "../i18n";
import { formatCount, formatMs, formatRatio } from "../lib/format";
import { useData } from "../lib/useData";
import { useRested } from "../lib/useRested";
import { ShareBar } from "../traces/ShareBar";
import { shortOperation } from "../traces/summary";
import { AnalysisPage, ReadFacts } from "./AnalysisPage";
import { ofOperation } from "./queries";
import { useChoice } from "./useChoice";

const KINDS = ["services", "operations", "edges"] as const;
type Kind = (typeof KINDS)[number];
const QUANTILES = ["p50", "p95", "p99"] as const;

export function CriticalPathPage() {
  const choice = useChoice();
  const kind = KINDS.find((one) => one === params.value.get("of")) ?? "operations";
  const service = params.value.get("service") ?? "";
  const operation = params.value.get("operation") ?? "";
  const [faster, setFaster] = useState(30);
  const rested = useRested(faster, 250);
  const key = `paths ${choice.key} ${service} ${operation} ${rested}`;
  const loaded = useData(key, (signal) => {
    const better = service ? { faster_service: service, faster_operation: operation } : {};
    return fetchPaths({ ...choice.now(), faster: rested / 100, ...better }, signal);
  });
  const answer = loaded.data;
  return (
    <AnalysisPage here="critical-path" q={choice.q} loaded={loaded}>
      {answer && <ReadFacts answer={answer} />}
      {answer && <WhatIf answer={answer} faster={faster} chosen={service} onFaster={setFaster} />}
      {answer && (
        <section class="card">
          <header>
            <h2>{t("paths.owners")}</h2>
            <span class="end">
              <Segmented
                label={t("paths.owners")}
                value={kind}
                options={KINDS.map((value) => ({ value, label: t(`paths.${value}`) }))}
                onChange={(value) => setParams({ of: value === "operations" ? null : value })}
                testId="paths-kind"
              />
            </span>
          </header>
          <Owners rows={answer[kind]} kind={kind} q={choice.q} />
        </section>
      )}
    </AnalysisPage>
  );
}

function WhatIf(props: {
  answer: PathsAnswer;
  faster: number;
  chosen: string;
  onFaster: (percent: number) => void;
}) {
  const { answer, faster, chosen, onFaster } = props;
  return (
    <section class="card" data-testid="what-if">
      <header>
        <h2>{t("paths.whatIf")}</h2>
        <label class="slider">
          <span class="muted">{t("paths.faster")}</span>
          <input
            type="range"
            min="5"
            max="100"
            step="5"
            value={faster}
            data-testid="what-if-faster"
            onInput={(event) => onFaster(Number(event.currentTarget.value))}
          />
          <output>{faster}%</output>
        </label>
        {chosen && (
          <button
            type="button"
            class="link end"
            onClick={() => setParams({ service: null, operation: null })}
          >
            {t("paths.whatIf.top")}
          </button>
        )}
      </header>
      <div class="table-scroll">
        <table class="table">
          <thead>
            <tr>
              <th scope="col">{t("trace.operation")}</th>
              <th scope="col" class="numeric">
                {t("paths.affected")}
              </th>
              {QUANTILES.map((name) => (
                <th key={name} scope="col" class="numeric">
                  {name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {answer.what_if.map((one) => (
              <tr key={`${one.service} ${one.operation}`}>
                <td>
                  <b class="group-name">{one.service}</b>{" "}
                  <span class="muted">{shortOperation(one.operation) || t("paths.allOperations")}</span>
                </td>
                <td class="numeric">{formatCount(one.affected)}</td>
                {QUANTILES.map((name) => (
                  <td key={name} class="numeric">
                    <Gain before={one.before_ms[name]} after={one.after_ms[name]} />
                  </td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="card-note muted">{t("paths.whatIf.text")}</p>
    </section>
  );
}

function Gain({ before, after }: { before: number; after: number }) {
  const part = before > 0 ? (before - after) / before : 0;
  return (
    <span class="gain">
      {formatMs(after)}{" "}
      <em class={part >= 0.0005 ? "text-ok" : "muted"}>{part >= 0.0005 ? `−${formatRatio(part)}` : "0%"}</em>
    </span>
  );
}

function Owners({ rows, kind, q }: { rows: Owner[]; kind: Kind; q: string }) {
  const [sorting, setSorting] = useState<Sorting>({ column: "share", descending: true });
  return (
    <Table
      label={t("paths.owners")}
      columns={ownerColumns(kind, q)}
      rows={rows.slice(0, 200)}
      rowKey={(row) => `${row.caller ?? ""}|${row.service}|${row.operation ?? ""}`}
      sorting={sorting}
      onSort={setSorting}
      testId="paths-owners"
    />
  );
}

function ownerColumns(kind: Kind, q: string): Column<Owner>[] {
  const share = (id: string, title: string, read: (row: Owner) => number): Column<Owner> => ({
    id,
    title,
    numeric: true,
    sort: read,
    cell: (row) => (
      <span class="with-share">
        {formatRatio(read(row))} <ShareBar share={read(row)} />
      </span>
    ),
  });
  return [
    {
      id: "name",
      title: t("stats.group"),
      sort: nameOf,
      cell: (row) => <OwnerName row={row} kind={kind} q={q} />,
    },
    {
      id: "traces",
      title: t("analysis.traces"),
      numeric: true,
      sort: (row) => row.traces,
      cell: (row) => formatCount(row.traces),
    },
    {
      id: "self",
      title: t("span.self"),
      numeric: true,
      sort: (row) => row.self_ms,
      cell: (row) => formatMs(row.self_ms),
    },
    share("share", t("paths.share"), (row) => row.share),
    ...QUANTILES.map((name) => share(name, t("paths.at", { quantile: name }), (row) => row.at[name].share)),
  ];
}

const nameOf = (row: Owner): string => `${row.caller ?? ""} ${row.service} ${row.operation ?? ""}`;

function OwnerName({ row, kind, q }: { row: Owner; kind: Kind; q: string }) {
  const named = { service: row.service, operation: row.operation ?? "" };
  return (
    <span class="owner">
      <span class="truncate" title={row.operation}>
        {kind === "edges" && <span class="muted">{row.caller || t("paths.entry")} → </span>}
        <b>{row.service}</b> <span class="muted">{shortOperation(named.operation)}</span>
      </span>
      {kind !== "edges" && (
        <button
          type="button"
          class="button button-ghost button-icon"
          title={t("paths.whatIf")}
          aria-label={`${t("paths.whatIf")}: ${row.service} ${named.operation}`}
          onClick={() => setParams(named)}
        >
          <Icon name="breaker" size={14} />
        </button>
      )}
      <a
        class="button button-ghost button-icon"
        title={t("analysis.search")}
        aria-label={`${t("analysis.search")}: ${row.service} ${named.operation}`}
        href={linkTo("/traces", { q: ofOperation(q, named), sort: "slowest" })}
      >
        <Icon name="search" size={14} />
      </a>
    </span>
  );
}
