/** The values at the end of the range: a column a label, unrounded. */

import { useState } from "preact/hooks";
import type { Answer } from "../api/prometheus";
import { params, setParams } from "../app/router";
import { EmptyState } from "../components/States";
import { type Column, readSorting, Table, writeSorting } from "../components/Table";
import { t } from "../i18n";
import { LabelList } from "../targets/LabelList";
import type { Loaded } from "./load";
import { letter } from "./QueryRow";
import { formatter } from "./units";

type Row = Answer["samples"][number];

const SHOWN = 200;

export function TableView({ loaded }: { loaded: Loaded }) {
  const several = loaded.results.filter((result) => result?.answer).length > 1;
  return (
    <>
      {loaded.results.map((result, index) =>
        result?.answer ? (
          <section key={index} aria-label={t("metrics.query", { letter: letter(index) })}>
            {several && (
              <h3 class="table-title">
                <b class="query-letter">{letter(index)}</b> <code class="truncate">{result.expr}</code>
              </h3>
            )}
            <AnswerTable answer={result.answer} />
          </section>
        ) : null,
      )}
      {!loaded.results.some((result) => result?.answer) && (
        <EmptyState title={t("metrics.none.failed")} text={t("metrics.none.failedText")} icon="search" />
      )}
    </>
  );
}

function AnswerTable({ answer }: { answer: Answer }) {
  const [all, setAll] = useState(false);
  const rows: Row[] =
    answer.type === "matrix"
      ? answer.series.flatMap((one) => {
          const at = one.times.length - 1;
          return at < 0
            ? []
            : [
                {
                  labels: one.labels,
                  time: one.times[at]!,
                  value: one.values[at]!,
                  text: String(one.values[at]),
                },
              ];
        })
      : answer.samples;
  if (rows.length === 0)
    return <EmptyState title={t("metrics.none.title")} text={t("metrics.none.instant")} icon="search" />;
  const { common, differing } = labelNames(rows);
  return (
    <>
      {common.length > 0 && (
        <p class="table-common">
          <span class="muted">{t("metrics.table.common")}</span>{" "}
          <LabelList labels={Object.fromEntries(common.map((name) => [name, rows[0]!.labels[name]!]))} />
        </p>
      )}
      <Table
        label={t("metrics.view.table")}
        columns={columns(differing)}
        rows={all ? rows : rows.slice(0, SHOWN)}
        rowKey={(row) => JSON.stringify(row.labels)}
        sorting={readSorting(params.value.get("sort"), { column: "", descending: false })}
        onSort={(sorting) => setParams({ sort: writeSorting(sorting) })}
        testId="metrics-table"
      />
      {rows.length > SHOWN && (
        <p class="legend-more">
          <button type="button" class="link" onClick={() => setAll(!all)}>
            {all ? t("common.less") : t("common.more", { n: rows.length })}
          </button>
        </p>
      )}
    </>
  );
}

/** Labels that all rows share are said once, above the table: one reads it for those that differ. */
function labelNames(rows: Row[]): { common: string[]; differing: string[] } {
  const names = [...new Set(rows.flatMap((row) => Object.keys(row.labels)))].sort((a, b) =>
    a.localeCompare(b),
  );
  const same = (name: string) => rows.every((row) => row.labels[name] === rows[0]!.labels[name]);
  if (rows.length < 2) return { common: [], differing: names };
  return { common: names.filter(same), differing: names.filter((name) => !same(name)) };
}

function columns(names: string[]): Column<Row>[] {
  return [
    ...names.map((name): Column<Row> => ({
      id: name,
      title: name === "__name__" ? t("metrics.table.metric") : name,
      sort: (row) => row.labels[name] ?? null,
      cell: (row) => <span class="mono">{row.labels[name] ?? ""}</span>,
    })),
    {
      id: "value",
      title: t("metrics.table.value"),
      numeric: true,
      sort: (row) => row.value,
      cell: (row) => <b class="mono">{row.histogram ? histogramText(row.histogram) : row.text}</b>,
    },
  ];
}

const histogramText = (histogram: NonNullable<Row["histogram"]>): string =>
  t("metrics.table.histogram", {
    count: formatter("short")(Number(histogram.count)),
    sum: formatter("short")(Number(histogram.sum)),
    buckets: histogram.buckets?.length ?? 0,
  });
