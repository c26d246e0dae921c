/** What all pages about traces begin with: which page, and the query that it is about. */

import { useEffect, useState } from "preact/hooks";
import { refreshNow } from "../app/clock";
import { lazy } from "../app/lazy";
import { hrefWith, linkTo, navigate, params } from "../app/router";
import { Button, Select } from "../components/Controls";
import type { EditorProps } from "../components/CodeEditor";
import { CopyButton } from "../components/CopyButton";
import { Icon } from "../components/Icon";
import { RecentQueries } from "../components/RecentQueries";
import { fetchTracedServices } from "../api/jaeger";
import { type PlainKey, t } from "../i18n";
import { remember } from "../lib/recent";
import { useData } from "../lib/useData";
import { valueOf, withTerm, writeValue } from "./querySyntax";
import { asTraceId, mistakeOf, readState, stateParams } from "./searchState";

const QueryEditor = lazy<EditorProps>(() => import("./QueryEditor").then((m) => m.QueryEditor));

export const PAGES = ["search", "critical-path", "flame", "cohorts", "findings", "compare"] as const;
export type TracesPageName = (typeof PAGES)[number];

const href = (page: TracesPageName): string =>
  linkTo(page === "search" ? "/traces" : `/traces/${page}`, { q: params.value.get("q") });

export function TracesTabs({ here }: { here: TracesPageName }) {
  useEffect(() => {
    document.title = `${t(`traces.page.${here}` as PlainKey)} · Windvane`;
  });
  return (
    <div class="page-head">
      <nav class="tabs" aria-label={t("nav.traces")}>
        {PAGES.map((page) => {
          const title = t(`traces.page.${page}` as PlainKey);
          return (
            <a key={page} href={href(page)} aria-current={page === here ? "page" : undefined}>
              {page === here ? <h1>{title}</h1> : title}
            </a>
          );
        })}
      </nav>
      <div class="end">
        <CopyButton label={t("metrics.share")} icon="link" text={() => window.location.href} />
      </div>
    </div>
  );
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
  const [text, setText] = useState(q);
  useEffect(() => setText(q), [q]);
  const mistake = error ? mistakeOf(error.message, q) : null;
  const problems = mistake
    ? [{ line: 1, column: mistake.at + 1, message: mistake.reason, severity: "error" as const }]
    : [];
  return (
    <section class="card query-bar" aria-label={t("query.label")}>
      <div class={`query-line ${mistake ? "query-bad" : ""}`}>
        <div class="query-editor">
          <QueryEditor
            testId="trace-query"
            value={text}
            label={t("query.label")}
            hint={t("query.placeholder")}
            problems={problems}
            asked={q}
            focus={false}
            onInput={setText}
            onRun={() => runQuery(text)}
          />
        </div>
        <span class="button-group query-buttons">
          <RecentQueries list="windvane.recent-trace-queries" align="right" iconOnly onPick={runQuery} />
          <button
            type="button"
            class="button button-primary"
            data-testid="trace-search"
            aria-busy={busy}
            onClick={() => runQuery(text)}
          >
            <Icon name="search" size={14} />
            <span>{t("query.run")}</span>
          </button>
        </span>
      </div>
      {mistake && (
        <p class="query-message text-bad" role="alert" data-testid="query-error">
          <Icon name="warning" size={14} />
          <span>
            {t("query.mistake", { at: mistake.at + 1 })} {mistake.reason}
          </span>
        </p>
      )}
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
