/** Who calls whom in a time: a graph, a table of the same, and the ways that requests take. */

import { fetchDependencies } from "../api/analysis";
import { currentRange } from "../app/range";
import { params, setParams } from "../app/router";
import { Button, Check, Segmented } from "../components/Controls";
import { EmptyState, LoadStates } from "../components/States";
import { t } from "../i18n";
import { rangeSeconds, resolve } from "../lib/time";
import { useData } from "../lib/useData";
import { TracesTabs } from "../traces/TracesHead";
import { DependencyGraph } from "./DependencyGraph";
import { DependencyTable } from "./DependencyTable";
import { edgesOf, type Source, SOURCES, touching } from "./model";
import { PathsCard } from "./PathsCard";

export function DependenciesPage() {
  const range = currentRange();
  const loaded = useData(`dependencies ${JSON.stringify(range)}`, (signal) => {
    const { from, to } = resolve(range, Date.now() / 1000);
    return fetchDependencies({ start: from, end: to }, signal);
  });
  const source = SOURCES.find((one) => one === params.value.get("source")) ?? "any";
  const within = params.value.get("within") === "on";
  const service = params.value.get("service") ?? "";
  const found = loaded.data?.dependencies ?? [];
  const edges = touching(edgesOf(found, source, within), service);
  return (
    <div class="page">
      <TracesTabs here="dependencies" />
      <LoadStates loaded={loaded} rows={10} />
      {loaded.data && (
        <div class={loaded.stale ? "stale" : ""}>
          <section class="card">
            <Tools source={source} within={within} service={service} calls={edges.length} />
            {edges.length === 0 ? (
              <EmptyState title={t("dependencies.none")} text={t("dependencies.none.text")} icon="graph" />
            ) : (
              <>
                <DependencyGraph edges={edges} seconds={rangeSeconds(range)} service={service} />
                <DependencyTable edges={edges} />
              </>
            )}
          </section>
          <PathsCard service={service} />
        </div>
      )}
    </div>
  );
}

function Tools(props: { source: Source; within: boolean; service: string; calls: number }) {
  const { source, within, service, calls } = props;
  return (
    <header>
      <h2 data-testid="dependency-count">{t("dependencies.count", { n: calls })}</h2>
      {service && (
        <Button tone="ghost" icon="close" onClick={() => setParams({ service: null })}>
          {service}
        </Button>
      )}
      <span class="end result-tools">
        <Check
          label={t("dependencies.within")}
          checked={within}
          onChange={(checked) => setParams({ within: checked ? "on" : null })}
        />
        <Segmented
          label={t("dependencies.source")}
          value={source}
          options={SOURCES.map((value) => ({ value, label: t(`dependencies.source.${value}`) }))}
          onChange={(value) => setParams({ source: value === "any" ? null : value })}
          testId="dependency-source"
        />
      </span>
    </header>
  );
}
