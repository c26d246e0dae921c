/** Every call between services: how many, how many failed, how long, and who tells of it. */

import { linkTo, params, setParams } from "../app/router";
import { type Column, readSorting, Table, writeSorting } from "../components/Table";
import { t } from "../i18n";
import { formatCount, formatMs, formatRatio } from "../lib/format";
import { type Edge, edgeId, traceQueryOf } from "./model";

const BUSIEST = { column: "calls", descending: true };

export function DependencyTable({ edges }: { edges: Edge[] }) {
  return (
    <Table
      label={t("traces.page.dependencies")}
      columns={columns()}
      rows={edges}
      rowKey={edgeId}
      sorting={readSorting(params.value.get("sort"), BUSIEST)}
      onSort={(sorting) => setParams({ sort: writeSorting(sorting) })}
      testId="dependencies"
    />
  );
}

function columns(): Column<Edge>[] {
  const time = (name: "p50" | "p95" | "p99"): Column<Edge> => ({
    id: name,
    title: name,
    numeric: true,
    sort: (row) => row.figures.duration_ms[name],
    cell: (row) => formatMs(row.figures.duration_ms[name]),
  });
  return [
    {
      id: "parent",
      title: t("dependencies.parent"),
      sort: (row) => row.parent,
      cell: (row) => service(row.parent),
    },
    { id: "child", title: t("dependencies.child"), sort: (row) => row.child, cell: Called },
    {
      id: "calls",
      title: t("dependencies.calls"),
      numeric: true,
      sort: (row) => row.figures.estimated_calls,
      cell: Calls,
    },
    {
      id: "errors",
      title: t("metric.errors"),
      numeric: true,
      sort: (row) => row.figures.error_share,
      cell: Errors,
    },
    time("p50"),
    time("p95"),
    time("p99"),
    { id: "source", title: t("dependencies.told"), cell: Told },
    {
      id: "traces",
      title: "",
      numeric: true,
      cell: (row) => (
        <a href={linkTo("/traces", { q: traceQueryOf(row, false) })} data-testid="dependency-traces">
          {t("dependencies.traces")}
        </a>
      ),
    },
  ];
}

const service = (name: string) => (
  <button type="button" class="link service-name" onClick={() => setParams({ service: name })}>
    {name}
  </button>
);

const Called = (row: Edge) => (
  <>
    {service(row.child)}{" "}
    {row.connection && <span class="tag">{t(`dependencies.connection.${row.connection}`)}</span>}
  </>
);

const Calls = ({ figures }: Edge) => {
  const sampled = figures.estimated_calls > figures.calls * 1.005;
  return (
    <span title={sampled ? t("dependencies.estimated", { n: formatCount(figures.calls) }) : undefined}>
      {sampled && "≈ "}
      {formatCount(figures.estimated_calls)}
    </span>
  );
};

const Errors = (row: Edge) =>
  row.figures.errors > 0 ? (
    <a class="text-bad" href={linkTo("/traces", { q: traceQueryOf(row, true) })}>
      {formatCount(row.figures.errors)} ({formatRatio(row.figures.error_share)})
    </a>
  ) : (
    <span class="muted">0</span>
  );

/** Who tells of the call, with both counts where they differ. */
const Told = ({ spans, access_logs: logs }: Edge) => (
  <span class="dependency-told">
    {spans && (
      <span class="tag" title={formatCount(spans.calls)}>
        {t("dependencies.source.spans")}
      </span>
    )}
    {logs && (
      <span class="tag" title={formatCount(logs.calls)}>
        {t("dependencies.source.access_logs")}
      </span>
    )}
  </span>
);
