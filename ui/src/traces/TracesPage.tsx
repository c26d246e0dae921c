/** Trace search: the form, the picture of what was found, and the list. */

import { useEffect, useMemo } from "preact/hooks";
import { findTraces } from "../api/jaeger";
import { publish } from "../app/probe";
import { currentRange, setRange } from "../app/range";
import { params, setParams } from "../app/router";
import { Button, Select } from "../components/Controls";
import { EmptyState, ErrorBanner, ErrorState, Skeleton } from "../components/States";
import { count, t } from "../i18n";
import { resolve } from "../lib/time";
import { useData } from "../lib/useData";
import { inOrder, ORDERS, readOrder } from "./order";
import { queryOf, readForm } from "./query";
import { Scatter } from "./Scatter";
import { SearchForm } from "./SearchForm";
import { summarize, type TraceSummary } from "./summary";
import { TraceTable } from "./TraceTable";

interface Found {
  traces: TraceSummary[];
  from: number;
  to: number;
}

export function TracesPage() {
  useEffect(() => {
    document.title = `${t("nav.traces")} · Windvane`;
  });
  const form = readForm(params.value);
  const range = currentRange();
  const loaded = useData(`traces ${JSON.stringify([form, range])}`, async (signal): Promise<Found> => {
    const interval = resolve(range, Date.now() / 1000);
    const traces = await findTraces(queryOf(form, interval), signal);
    return { traces: traces.filter((trace) => trace.spans.length > 0).map(summarize), ...interval };
  });
  const order = readOrder(params.value.get("order"));
  const traces = useMemo(() => loaded.data && inOrder(loaded.data.traces, order), [loaded.data, order]);
  useEffect(() => publish("traces", { ids: traces?.map((trace) => trace.id) ?? [] }), [traces]);
  const filtered = Boolean(form.service || form.operation || form.tags || form.min || form.max);
  return (
    <div class="page">
      <div class="page-head">
        <h1>{t("traces.title")}</h1>
      </div>
      <SearchForm form={form} />
      {loaded.error && loaded.data && <ErrorBanner error={loaded.error} retry={loaded.retry} />}
      {loaded.error && !loaded.data && (
        <section class="card">
          <ErrorState error={loaded.error} retry={loaded.retry} />
        </section>
      )}
      {loaded.loading && (
        <section class="card">
          <Skeleton rows={10} height={22} />
        </section>
      )}
      {traces?.length === 0 && (
        <section class="card">
          <EmptyState
            title={filtered ? t("traces.empty.title") : t("traces.none.title")}
            text={filtered ? t("traces.empty.text") : t("traces.none.text")}
            icon="traces"
          >
            <Button onClick={() => setRange({ kind: "relative", seconds: 86_400 })}>
              {t("time.last", { duration: t("unit.d", { n: 1 }) })}
            </Button>
          </EmptyState>
        </section>
      )}
      {traces && traces.length > 0 && (
        <section class={`card ${loaded.stale ? "stale" : ""}`}>
          <header>
            <h2>{count("traces.results", traces.length)}</h2>
            {traces.length >= form.limit && (
              <span class="muted">{t("traces.limited", { n: form.limit })}</span>
            )}
            <div class="end">
              <Select
                label={t("traces.sort")}
                value={order}
                options={ORDERS.map((value) => ({ value, label: t(`traces.sort.${value}`) }))}
                onChange={(value) => setParams({ order: value === "newest" ? null : value })}
              />
            </div>
          </header>
          <Scatter traces={traces} from={loaded.data!.from} to={loaded.data!.to} />
          <TraceTable traces={traces} />
        </section>
      )}
    </div>
  );
}
