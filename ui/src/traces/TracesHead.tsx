/** What all pages about traces begin with: which page, and the query that it is about. */

import { refreshNow } from "../app/clock";
import { lazy } from "../app/lazy";
import { hrefWith, linkTo, navigate, params } from "../app/router";
import { Button, Select } from "../components/Controls";
import type { EditorProps } from "../components/CodeEditor";
import { PageTabs } from "../components/PageTabs";
import { fetchTracedServices } from "../api/jaeger";
import { type PlainKey, t } from "../i18n";
import { remember } from "../lib/recent";
import { useData } from "../lib/useData";
import { QueryLine } from "./QueryLine";
import { valueOf, withTerm, writeValue } from "./querySyntax";
import { asTraceId, readState, stateParams } from "./searchState";

const QueryEditor = lazy<EditorProps>(() => import("./QueryEditor").then((m) => m.QueryEditor));

const PAGES = [
  "search",
  "critical-path",
  "flame",
  "cohorts",
  "findings",
  "compare",
  "dependencies",
  "propagation",
] as const;
export type TracesPageName = (typeof PAGES)[number];

/** Pages about all traces of a time have an address of their own. */
const WITHOUT_QUERY: readonly TracesPageName[] = ["dependencies", "propagation"];

function href(page: TracesPageName): string {
  const query = { q: params.value.get("q") };
  if (WITHOUT_QUERY.includes(page)) return linkTo(`/${page}`, query);
  return linkTo(page === "search" ? "/traces" : `/traces/${page}`, query);
}

export function TracesTabs({ here }: { here: TracesPageName }) {
  const tabs = PAGES.map((page) => ({
    title: t(`traces.page.${page}` as PlainKey),
    href: href(page),
    here: page === here,
  }));
  return <PageTabs label={t("nav.traces")} tabs={tabs} />;
}

/** Changes the query in the URL, or opens the trace whose id it is; the same query is asked again. */
export function runQuery(q: string): void {
  const id = asTraceId(q);
  if (id) {
    navigate(`/traces/${id}`);
    return;
  }
  remember("windvane.recent-trace-queries", [q]);
  const next = hrefWith(stateParams({ q }));
  if (q.trim() === readState(params.value).q) refreshNow();
  else navigate(next);
}

/** The query bar; `error` is what the server said of the query in the URL. */
export function QueryBar({ error, busy }: { error: Error | undefined; busy: boolean }) {
  const { q } = readState(params.value);
  return (
    <section class="card query-bar" aria-label={t("query.label")}>
      <QueryLine
        editor={QueryEditor}
        name="trace"
        hint={t("query.placeholder")}
        list="windvane.recent-trace-queries"
        q={q}
        error={error}
        busy={busy}
        onRun={runQuery}
      />
      <QuickFilters q={q} />
    </section>
  );
}

/** What is asked most often, without writing: each changes one condition of the query. */
function QuickFilters({ q }: { q: string }) {
  const services = useData("traced services", fetchTracedServices, { live: false });
  const service = valueOf(q, "service");
  const names = services.data ?? [];
  const known = service && !names.includes(service) ? [service, ...names] : names;
  const [error, kind] = [valueOf(q, "status") === "error", valueOf(q, "kind")];
  return (
    <div class="quick-filters">
      <Select
        label={t("traces.service")}
        value={service}
        options={[
          { value: "", label: t("traces.service.all") },
          ...known.map((name) => ({ value: name, label: name })),
        ]}
        onChange={(name) => runQuery(withTerm(q, "service", name && `:${writeValue(name)}`))}
        testId="trace-service"
      />
      <Select
        label={t("span.kind")}
        value={kind}
        options={["", "server", "client", "internal", "producer", "consumer"].map((value) => ({
          value,
          label: value || t("query.anyKind"),
        }))}
        onChange={(value) => runQuery(withTerm(q, "kind", value && `:${value}`))}
      />
      <Button aria-pressed={error} onClick={() => runQuery(withTerm(q, "status", error ? "" : ":error"))}>
        {t("query.errors")}
      </Button>
      {["100ms", "500ms", "1s"].map((least) => (
        <Button
          key={least}
          tone="ghost"
          class="quick-duration"
          onClick={() => runQuery(withTerm(q, "duration", `>${least}`))}
        >
          {t("query.longer", { duration: least })}
        </Button>
      ))}
      {q && (
        <Button tone="ghost" icon="close" onClick={() => runQuery("")}>
          {t("query.clear")}
        </Button>
      )}
      <span class="muted key-hint">
        <kbd>Enter</kbd> {t("query.run")} <kbd>Ctrl+Space</kbd> {t("metrics.keys.complete")}
      </span>
    </div>
  );
}
