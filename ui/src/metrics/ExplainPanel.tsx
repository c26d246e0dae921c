/** What a query did: its reads of the store, and the time of every node of its tree. */

import type { NodeCost, ReadCost } from "../api/prometheus";
import { type Column, Table } from "../components/Table";
import { t } from "../i18n";
import { formatCount, formatMs } from "../lib/format";
import type { Result } from "./load";
import { ownTimes } from "./nodes";
import { letter } from "./QueryRow";

export function ExplainPanel({ results }: { results: (Result | null)[] }) {
  const explained = results.flatMap((result, index) => {
    const stats = result?.answer?.stats;
    return stats ? [{ index, expr: result.expr, stats }] : [];
  });
  return (
    <section class="card explain" data-testid="explain">
      <header>
        <h2>{t("metrics.explain.title")}</h2>
      </header>
      {explained.map(({ index, expr, stats }) => (
        <div key={index} class="card-body">
          <h3 class="table-title">
            {explained.length > 1 && <b class="query-letter">{letter(index)}</b>}{" "}
            <code class="truncate">{expr}</code>
          </h3>
          <div class="explain-columns">
            <Nodes nodes={stats.nodes ?? []} />
            <Reads reads={stats.reads ?? []} />
          </div>
        </div>
      ))}
      {explained.length === 0 && <p class="card-body muted">{t("metrics.explain.none")}</p>}
    </section>
  );
}

function Nodes({ nodes }: { nodes: NodeCost[] }) {
  if (nodes.length === 0) return null;
  const own = ownTimes(nodes);
  const most = Math.max(...own, 0.001);
  return (
    <table class="table table-compact explain-nodes" aria-label={t("metrics.explain.nodes")}>
      <thead>
        <tr>
          <th scope="col">{t("metrics.explain.nodes")}</th>
          <th scope="col" class="numeric">
            {t("metrics.series")}
          </th>
          <th scope="col" class="numeric">
            {t("metrics.explain.own")}
          </th>
          <th scope="col" class="numeric">
            {t("metrics.explain.total")}
          </th>
        </tr>
      </thead>
      <tbody>
        {nodes.map((node, at) => (
          <tr key={at}>
            <td class="truncate">
              <code style={{ paddingLeft: node.depth * 14 }} title={node.node}>
                {node.node}
              </code>
            </td>
            <td class="numeric">{formatCount(node.series)}</td>
            <td class="numeric">
              <span class="share-bar" style={{ "--share": String(own[at]! / most) }}>
                {formatMs(own[at]!)}
              </span>
            </td>
            <td class="numeric muted">{formatMs(node.milliseconds)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function Reads({ reads }: { reads: ReadCost[] }) {
  if (reads.length === 0) return null;
  return (
    <Table
      label={t("metrics.explain.reads")}
      columns={readColumns()}
      rows={reads.map((read, at) => ({ ...read, at }))}
      rowKey={(read) => String(read.at)}
      compact
    />
  );
}

const readColumns = (): Column<ReadCost & { at: number }>[] => [
  {
    id: "matchers",
    title: t("metrics.explain.reads"),
    cell: (read) => <code class="wrap">{`{${read.matchers}}`}</code>,
  },
  { id: "series", title: t("metrics.series"), numeric: true, cell: (read) => formatCount(read.series) },
  {
    id: "samples",
    title: t("metrics.explain.samples"),
    numeric: true,
    cell: (read) => formatCount(read.samples),
  },
  {
    id: "source",
    title: t("metrics.explain.source"),
    cell: (read) => sourceText(read.source),
  },
  {
    id: "time",
    title: t("metrics.explain.time"),
    numeric: true,
    cell: (read) => formatMs(read.milliseconds),
  },
];

const SOURCES = {
  hit: "metrics.explain.hit",
  answer: "metrics.explain.hit",
  head: "metrics.explain.head",
  refreshed: "metrics.explain.refreshed",
  miss: "metrics.explain.miss",
  direct: "metrics.explain.direct",
} as const;

/** Where a read's samples came from; rollups name their width themselves. */
function sourceText(source: string): string {
  return source in SOURCES ? t(SOURCES[source as keyof typeof SOURCES]) : source;
}
