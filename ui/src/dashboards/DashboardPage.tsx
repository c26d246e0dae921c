/** One dashboard: its variables, and rows of panels that ask when they come into view. */

import { useEffect, useMemo, useState } from "preact/hooks";
import { type Dashboard, fetchDashboard, type Panel, type Row } from "../api/dashboards";
import { ApiError } from "../api/client";
import { language } from "../app/prefs";
import { currentRange } from "../app/range";
import { hrefWith, linkTo, navigate, params, path, setParams } from "../app/router";
import { Icon } from "../components/Icon";
import { EmptyState, ErrorBanner, ErrorState, Skeleton } from "../components/States";
import { t } from "../i18n";
import { EventsToggle } from "../insights/EventsToggle";
import { useData } from "../lib/useData";
import { loadVariables, type Settled } from "./load";
import { PanelCard } from "./PanelCard";
import { type Pool, pool } from "./pool";
import { withVariable } from "./variables";
import { VariableBar } from "./VariableBar";

/** What a browser sends side by side to one origin. */
const AT_ONCE = 6;

export function DashboardPage({ uid }: { uid: string }) {
  const words = language.value;
  const loaded = useData(`dashboard ${uid} ${words}`, (signal) => fetchDashboard(uid, words, signal), {
    live: false,
  });
  const dashboard = loaded.data;
  useEffect(() => {
    if (dashboard) document.title = `${dashboard.title} · Windvane`;
  });
  if (loaded.error instanceof ApiError && loaded.error.status === 404)
    return (
      <EmptyState title={t("dashboards.missing")} text={uid} icon="search">
        <a class="button button-plain" href={linkTo("/dashboards")}>
          {t("nav.dashboards")}
        </a>
      </EmptyState>
    );
  if (loaded.error && !dashboard) return <ErrorState error={loaded.error} retry={loaded.retry} />;
  if (!dashboard) return <Skeleton rows={10} height={18} />;
  return <Shown key={uid} dashboard={dashboard} />;
}

function Shown({ dashboard }: { dashboard: Dashboard }) {
  const requests = useMemo(() => pool(AT_ONCE), []);
  const range = currentRange();
  const chosenInUrl = dashboard.variables.map((one) => params.value.getAll(`var-${one.name}`));
  const key = `variables ${dashboard.uid} ${JSON.stringify([chosenInUrl, range])}`;
  const settled = useData(key, (signal) => loadVariables(dashboard, params.value, range, requests, signal), {
    live: false,
  });
  const zoomed = zoomedPanel(dashboard, params.value.get("panel"));
  return (
    <div class="page dashboard">
      <div class="page-head">
        <h1>
          <a class="breadcrumb" href={linkTo("/dashboards")}>
            {t("nav.dashboards")}
            <Icon name="right" size={12} />
          </a>
          {dashboard.title}
        </h1>
        <div class="end">
          <EventsToggle />
        </div>
      </div>
      {dashboard.variables.length > 0 && (
        <VariableBar
          variables={dashboard.variables}
          options={settled.data?.options ?? {}}
          values={settled.data?.values ?? {}}
          onChange={(name, values) => navigate(`${path.value}?${withVariable(params.value, name, values)}`)}
        />
      )}
      {settled.error && <ErrorBanner error={settled.error} retry={settled.retry} />}
      {settled.data &&
        (zoomed ? (
          <Zoomed panel={zoomed} dashboard={dashboard} settled={settled.data} requests={requests} />
        ) : (
          dashboard.rows.map((row, index) => (
            <RowPanels
              key={row.title}
              row={row}
              at={index}
              dashboard={dashboard}
              settled={settled.data!}
              requests={requests}
            />
          ))
        ))}
      {settled.loading && <Skeleton rows={8} height={18} />}
    </div>
  );
}

/** `panel=1.2`: the third panel of the second row. */
function zoomedPanel(dashboard: Dashboard, text: string | null): Panel | null {
  const [row, panel] = (text ?? "").split(".").map(Number);
  return dashboard.rows[row ?? -1]?.panels[panel ?? -1] ?? null;
}

interface Context {
  dashboard: Dashboard;
  settled: Settled;
  requests: Pool;
}

function RowPanels({ row, at, ...context }: Context & { row: Row; at: number }) {
  const [open, setOpen] = useState(!row.collapsed);
  return (
    <section class="dashboard-row" aria-label={row.title}>
      <h2>
        <button type="button" class="row-toggle" aria-expanded={open} onClick={() => setOpen(!open)}>
          <Icon name={open ? "down" : "right"} size={12} />
          {row.title}
        </button>
      </h2>
      {open && (
        <div class="panel-grid">
          {row.panels.map((panel, index) => (
            <PanelCard
              key={`${panel.title} ${index}`}
              panel={panel}
              {...context}
              placed
              zoom={hrefWith({ panel: `${at}.${index}` })}
            />
          ))}
        </div>
      )}
    </section>
  );
}

function Zoomed({ panel, ...context }: Context & { panel: Panel }) {
  useEffect(() => {
    const back = (event: KeyboardEvent) => {
      if (event.key === "Escape" && !event.defaultPrevented) setParams({ panel: null }, false);
    };
    document.addEventListener("keydown", back);
    return () => document.removeEventListener("keydown", back);
  }, []);
  return (
    <div class="panel-zoomed">
      <PanelCard panel={panel} {...context} zoom={hrefWith({ panel: null })} zoomed />
    </div>
  );
}
