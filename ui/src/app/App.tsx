/** The shell: header and the page that the path names. */

import type { ComponentType } from "preact";
import { EmptyState } from "../components/States";
import { GraphPage } from "../graph/GraphPage";
import { t } from "../i18n";
import { ErrorBoundary } from "./ErrorBoundary";
import { Header } from "./Header";
import { lazy } from "./lazy";
import { path } from "./router";

const ServicesPage = lazy(() => import("../services/ServicesPage").then((m) => m.ServicesPage));
const ServicePage = lazy(() => import("../services/ServicePage").then((m) => m.ServicePage));
const TracesPage = lazy(() => import("../traces/TracesPage").then((m) => m.TracesPage));
const TracePage = lazy(() => import("../traces/TracePage").then((m) => m.TracePage));
const LogsPage = lazy(() => import("../logs/LogsPage").then((m) => m.LogsPage));
const PatternsPage = lazy(() => import("../logs/PatternsPage").then((m) => m.PatternsPage));
const CriticalPathPage = lazy(() => import("../analysis/CriticalPathPage").then((m) => m.CriticalPathPage));
const FlamePage = lazy(() => import("../analysis/FlamePage").then((m) => m.FlamePage));
const CohortsPage = lazy(() => import("../analysis/CohortsPage").then((m) => m.CohortsPage));
const FindingsPage = lazy(() => import("../analysis/FindingsPage").then((m) => m.FindingsPage));
const ComparePage = lazy(() => import("../analysis/ComparePage").then((m) => m.ComparePage));
const DependenciesPage = lazy(() =>
  import("../dependencies/DependenciesPage").then((m) => m.DependenciesPage),
);
const PropagationPage = lazy(() => import("../propagation/PropagationPage").then((m) => m.PropagationPage));
const ExplorerPage = lazy(() => import("../metrics/ExplorerPage").then((m) => m.ExplorerPage));
const DashboardsPage = lazy(() => import("../dashboards/DashboardsPage").then((m) => m.DashboardsPage));
const DashboardPage = lazy(() => import("../dashboards/DashboardPage").then((m) => m.DashboardPage));
const AlertsPage = lazy(() => import("../alerts/AlertsPage").then((m) => m.AlertsPage));
const TargetsPage = lazy(() => import("../targets/TargetsPage").then((m) => m.TargetsPage));
const CardinalityPage = lazy(() => import("../status/CardinalityPage").then((m) => m.CardinalityPage));
const ResourcesPage = lazy(() => import("../config/ResourcesPage").then((m) => m.ResourcesPage));
const ProxiesPage = lazy(() => import("../config/ProxiesPage").then((m) => m.ProxiesPage));
const HistoryPage = lazy(() => import("../config/HistoryPage").then((m) => m.HistoryPage));
const WizardPage = lazy(() => import("../config/WizardPage").then((m) => m.WizardPage));
const IncidentsPage = lazy(() => import("../insights/IncidentsPage").then((m) => m.IncidentsPage));
const WhyPage = lazy(() => import("../insights/WhyPage").then((m) => m.WhyPage));
const ReleasesPage = lazy(() => import("../releases/ReleasesPage").then((m) => m.ReleasesPage));
const ForecastPage = lazy(() => import("../outlook/ForecastPage").then((m) => m.ForecastPage));
const CapacityPage = lazy(() => import("../outlook/CapacityPage").then((m) => m.CapacityPage));
const ObjectivesPage = lazy(() => import("../outlook/ObjectivesPage").then((m) => m.ObjectivesPage));
const StatusPage = lazy(() => import("../status/StatusPage").then((m) => m.StatusPage));

/** Below /traces: no trace's id is called like them. */
const ANALYSES: Record<string, unknown> = {
  "critical-path": CriticalPathPage,
  flame: FlamePage,
  cohorts: CohortsPage,
  findings: FindingsPage,
  compare: ComparePage,
};

/** Below /config. */
const CONFIGURATION: Record<string, unknown> = {
  proxies: ProxiesPage,
  history: HistoryPage,
  new: WizardPage,
};

/** Below /insights. */
const INSIGHTS: Record<string, unknown> = {
  incidents: IncidentsPage,
  why: WhyPage,
  releases: ReleasesPage,
  forecast: ForecastPage,
  capacity: CapacityPage,
  objectives: ObjectivesPage,
};

interface Match {
  page: ComponentType<Record<string, string>>;
  props: Record<string, string>;
}

/** Which page a path names; null for none. */
function match(pathname: string): Match | null {
  const parts = pathname.split("/").filter(Boolean).map(decodeURIComponent);
  const [first, second, third] = parts;
  const page = (component: unknown, props: Record<string, string> = {}): Match => ({
    page: component as Match["page"],
    props,
  });
  if (!first || (first === "graph" && !second)) return page(GraphPage);
  if (first === "services" && parts.length === 1) return page(ServicesPage);
  if (first === "services" && second && third) return page(ServicePage, { namespace: second, name: third });
  if (first === "traces" && parts.length === 1) return page(TracesPage);
  if (first === "traces" && second && ANALYSES[second]) return page(ANALYSES[second]);
  if (first === "traces" && second) return page(TracePage, { id: second });
  if (first === "dependencies" && parts.length === 1) return page(DependenciesPage);
  if (first === "propagation" && parts.length === 1) return page(PropagationPage);
  if (first === "logs" && parts.length === 1) return page(LogsPage);
  if (first === "logs" && second === "patterns" && parts.length === 2) return page(PatternsPage);
  if (first === "explore" && parts.length === 1) return page(ExplorerPage);
  if (first === "dashboards" && parts.length === 1) return page(DashboardsPage);
  if (first === "dashboards" && second && parts.length === 2) return page(DashboardPage, { uid: second });
  if (first === "alerts" && parts.length === 1) return page(AlertsPage);
  if (first === "targets" && parts.length === 1) return page(TargetsPage);
  if (first === "cardinality" && parts.length === 1) return page(CardinalityPage);
  if (first === "config" && parts.length === 1) return page(ResourcesPage);
  if (first === "config" && second && CONFIGURATION[second] && parts.length === 2)
    return page(CONFIGURATION[second]);
  if (first === "insights" && parts.length <= 2 && INSIGHTS[second ?? "incidents"])
    return page(INSIGHTS[second ?? "incidents"]);
  if (first === "status" && parts.length === 1) return page(StatusPage);
  return null;
}

export function App() {
  const found = match(path.value);
  return (
    <div class="app">
      <Header />
      <main id="content" tabIndex={-1}>
        <ErrorBoundary key={path.value}>
          {found ? <found.page {...found.props} /> : <NotFound />}
        </ErrorBoundary>
      </main>
    </div>
  );
}

function NotFound() {
  return (
    <EmptyState title={t("error.notFound")} text={path.value} icon="search">
      <a class="button button-plain" href="/">
        {t("error.home")}
      </a>
    </EmptyState>
  );
}
