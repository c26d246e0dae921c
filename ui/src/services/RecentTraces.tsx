/** The newest traces that touch a service. */

import { findTraces } from "../api/jaeger";
import { currentRange } from "../app/range";
import { linkTo } from "../app/router";
import { ErrorState, Skeleton } from "../components/States";
import { traceQuery } from "../graph/target";
import { t } from "../i18n";
import { resolve } from "../lib/time";
import { useData } from "../lib/useData";
import { writeValue } from "../traces/querySyntax";
import { summarize } from "../traces/summary";
import { TraceTable } from "../traces/TraceTable";

const SHOWN = 10;

export function RecentTraces({ service }: { service: string }) {
  const range = currentRange();
  const loaded = useData(`recent ${service} ${JSON.stringify(range)}`, async (signal) => {
    const { from, to } = resolve(range, Date.now() / 1000);
    return (await findTraces(traceQuery(service, from, to, SHOWN), signal)).map(summarize);
  });
  return (
    <section class="card">
      <header>
        <h2>{t("service.traces")}</h2>
        <a class="end" href={linkTo("/traces", { q: `service:${writeValue(service)}` })}>
          {t("service.searchTraces")}
        </a>
      </header>
      {loaded.error && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {loaded.loading && <Skeleton rows={5} />}
      {loaded.data?.length === 0 && <p class="card-body muted">{t("panel.traces.none")}</p>}
      {loaded.data && loaded.data.length > 0 && <TraceTable traces={loaded.data} />}
    </section>
  );
}
