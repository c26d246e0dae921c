/** The ways that requests take through a service, or through all of them. */

import { fetchServicePaths, type ServicePath } from "../api/analysis";
import { currentRange } from "../app/range";
import { ErrorState, Skeleton } from "../components/States";
import { type Column, Table } from "../components/Table";
import { t } from "../i18n";
import { formatCount, formatMs, formatRatio } from "../lib/format";
import { resolve } from "../lib/time";
import { useData } from "../lib/useData";
import { ShareBar } from "../traces/ShareBar";
import { shortOperation } from "../traces/summary";

/** Newest traces that are read. */
const LIMIT = 1000;
const EXAMPLES = 3;

export function PathsCard({ service }: { service: string }) {
  const range = currentRange();
  const loaded = useData(`service paths ${JSON.stringify([service, range])}`, (signal) => {
    const { from, to } = resolve(range, Date.now() / 1000);
    return fetchServicePaths({ service, start: from, end: to, limit: LIMIT }, signal);
  });
  const paths = loaded.data?.paths ?? [];
  const traces = paths.reduce((sum, path) => sum + path.traces, 0);
  return (
    <section class={`card ${loaded.stale ? "stale" : ""}`}>
      <header>
        <h2>{service ? t("dependencies.paths.through", { service }) : t("dependencies.paths")}</h2>
        {loaded.data?.truncated && (
          <span class="end muted">{t("analysis.truncated", { n: formatCount(LIMIT) })}</span>
        )}
      </header>
      {loaded.loading && <Skeleton rows={4} />}
      {loaded.error && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {loaded.data && paths.length === 0 && <p class="card-body muted">{t("dependencies.paths.none")}</p>}
      {paths.length > 0 && (
        <Table
          label={t("dependencies.paths")}
          columns={columns(service, traces)}
          rows={paths}
          rowKey={(path) => path.entries.map((entry) => `${entry.service} ${entry.operation}`).join("|")}
          testId="service-paths"
        />
      )}
    </section>
  );
}

function columns(service: string, traces: number): Column<ServicePath>[] {
  const time = (name: "p50" | "p95" | "p99"): Column<ServicePath> => ({
    id: name,
    title: name,
    numeric: true,
    cell: (path) => formatMs(path.duration_ms[name]),
  });
  return [
    { id: "path", title: t("dependencies.path"), cell: (path) => <Way path={path} service={service} /> },
    {
      id: "traces",
      title: t("analysis.traces"),
      numeric: true,
      cell: (path) => (
        <span class="with-share">
          {formatCount(path.traces)} <ShareBar share={path.traces / Math.max(1, traces)} />
        </span>
      ),
    },
    {
      id: "failed",
      title: t("dependencies.failed"),
      numeric: true,
      cell: (path) => (
        <span class={path.failed ? "text-bad" : "muted"}>
          {path.failed ? `${formatCount(path.failed)} (${formatRatio(path.failed / path.traces)})` : "0"}
        </span>
      ),
    },
    time("p50"),
    time("p95"),
    time("p99"),
    {
      id: "examples",
      title: t("analysis.example"),
      cell: (path) => (
        <span class="path-examples">
          {path.exemplars.slice(0, EXAMPLES).map((id) => (
            <a key={id} class="mono" href={`/traces/${id}`}>
              {id.slice(0, 6)}
            </a>
          ))}
        </span>
      ),
    },
  ];
}

function Way({ path, service }: { path: ServicePath; service: string }) {
  return (
    <ol class="chain way">
      {path.entries.map((entry, index) => (
        <li key={index} title={`${entry.service} ${entry.operation}`}>
          <b class={entry.service === service ? "way-here" : ""}>{entry.service.split(".")[0]}</b>
          {index === 0 && <span class="muted"> {shortOperation(entry.operation)}</span>}
        </li>
      ))}
    </ol>
  );
}
