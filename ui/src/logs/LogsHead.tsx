/** What the log pages begin with: which page, and the query that it is about. */

import { refreshNow } from "../app/clock";
import { lazy } from "../app/lazy";
import { hrefWith, linkTo, navigate, params, setParams } from "../app/router";
import type { EditorProps } from "../components/CodeEditor";
import { Button, Segmented } from "../components/Controls";
import { PageTabs } from "../components/PageTabs";
import { t } from "../i18n";
import { remember } from "../lib/recent";
import { QueryLine } from "../traces/QueryLine";
import { valueOf, withTerm } from "../traces/querySyntax";
import { KINDS, logParams, readLogState } from "./state";

const LogEditor = lazy<EditorProps>(() => import("./LogEditor").then((m) => m.LogEditor));

const TABS = ["lines", "patterns"] as const;
export type LogsPageName = (typeof TABS)[number];

const href = (page: LogsPageName): string =>
  linkTo(page === "lines" ? "/logs" : "/logs/patterns", {
    q: params.value.get("q"),
    kind: params.value.get("kind"),
  });

export function LogsTabs({ here }: { here: LogsPageName }) {
  const tabs = TABS.map((page) => ({
    title: t(`logs.page.${page}`),
    href: href(page),
    here: page === here,
  }));
  return <PageTabs label={t("nav.logs")} tabs={tabs} />;
}

/** Changes the query in the URL; the same query is asked again. */
export function runLogQuery(q: string): void {
  remember("windvane.recent-log-queries", [q]);
  if (q.trim() === readLogState(params.value).q) refreshNow();
  else navigate(hrefWith(logParams({ q })));
}

export function LogBar({ error, busy }: { error: Error | undefined; busy: boolean }) {
  const { q, kind } = readLogState(params.value);
  const severity = termText(q);
  return (
    <section class="card query-bar" aria-label={t("query.label")}>
      <QueryLine
        editor={LogEditor}
        name="log"
        hint={t("logs.placeholder")}
        list="windvane.recent-log-queries"
        q={q}
        error={error}
        busy={busy}
        onRun={runLogQuery}
      />
      <div class="quick-filters">
        <Segmented
          label={t("logs.kind")}
          value={kind}
          options={KINDS.map((value) => ({ value, label: t(`logs.kind.${value}`) }))}
          onChange={(value) => setParams(logParams({ kind: value }), false)}
          testId="log-kind"
        />
        {(["warn", "error"] as const).map((least) => (
          <Button
            key={least}
            aria-pressed={severity === least}
            onClick={() => runLogQuery(withTerm(q, "severity", severity === least ? "" : `>=${least}`))}
          >
            {t(`logs.least.${least}`)}
          </Button>
        ))}
        {q && (
          <Button tone="ghost" icon="close" onClick={() => runLogQuery("")}>
            {t("query.clear")}
          </Button>
        )}
        <span class="muted key-hint">
          <kbd>Enter</kbd> {t("query.run")} <kbd>Ctrl+Space</kbd> {t("metrics.keys.complete")}
        </span>
      </div>
    </section>
  );
}

/** The least severity that the query asks for, where it says so simply. */
function termText(q: string): string {
  const match = /(?:^|\s)severity>=(\w+)/.exec(q);
  return match?.[1] ?? valueOf(q, "severity");
}
