/** The list of dashboards. */

import { useEffect } from "preact/hooks";
import { fetchDashboards } from "../api/dashboards";
import { language } from "../app/prefs";
import { linkTo } from "../app/router";
import { ErrorState, Skeleton } from "../components/States";
import { count, t } from "../i18n";
import { useData } from "../lib/useData";

export function DashboardsPage() {
  useEffect(() => {
    document.title = `${t("nav.dashboards")} · Windvane`;
  });
  const words = language.value;
  const loaded = useData(`dashboards ${words}`, (signal) => fetchDashboards(words, signal), { live: false });
  return (
    <div class="page">
      <div class="page-head">
        <h1>{t("nav.dashboards")}</h1>
      </div>
      {loaded.error && !loaded.data && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {loaded.loading && <Skeleton rows={6} height={20} />}
      {loaded.data && (
        <ul class="dashboard-list" data-testid="dashboard-list">
          {loaded.data.map((dashboard) => (
            <li key={dashboard.uid}>
              <a class="card dashboard-card" href={linkTo(`/dashboards/${dashboard.uid}`)}>
                <h2>{dashboard.title}</h2>
                <p>{dashboard.description}</p>
                <span class="muted">{count("dashboards.panels", dashboard.panels)}</span>
              </a>
            </li>
          ))}
        </ul>
      )}
      <p class="page-note muted">
        {t("dashboards.export")} <code>windvane dashboards export --dir DIR</code>
      </p>
    </div>
  );
}
