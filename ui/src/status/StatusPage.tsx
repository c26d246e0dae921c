/** The server itself: what it took in and keeps, which configuration is in force, who follows it. */

import { useEffect } from "preact/hooks";
import { fetchStatus, type Status } from "../api/own";
import { LoadStates } from "../components/States";
import { Facts } from "../graph/SidePanel";
import { t, uptimeWords } from "../i18n";
import { DASH, formatBytes } from "../lib/format";
import { dateTime } from "../lib/time";
import { useData } from "../lib/useData";
import { ConfigCard } from "./ConfigCard";
import { IngestCard, StoreCard } from "./DataCards";
import { ProxiesCard } from "./ProxiesCard";
import { SamplingCard } from "./SamplingCard";
import { StatusTabs } from "./StatusTabs";

export function StatusPage() {
  useEffect(() => {
    document.title = `${t("nav.status")} · Windvane`;
  });
  const loaded = useData("status", fetchStatus);
  const status = loaded.data;
  return (
    <div class="page">
      <div class="page-head">
        <StatusTabs here="server" />
      </div>
      <LoadStates loaded={loaded} rows={10} />
      {status && (
        <>
          <section class="card head-facts">
            <ServerFacts status={status} />
          </section>
          <div class="grid-2">
            <IngestCard ingest={status.ingest} />
            <StoreCard store={status.store} />
          </div>
          <div class="stack">
            <ConfigCard config={status.config} />
            <SamplingCard />
            <ProxiesCard />
          </div>
        </>
      )}
    </div>
  );
}

function ServerFacts({ status }: { status: Status }) {
  return (
    <Facts
      facts={[
        { label: t("status.version"), value: status.version },
        { label: t("status.uptime"), value: uptimeWords(status.uptime_seconds) },
        { label: t("status.started"), value: dateTime(status.started_at) },
        { label: t("status.store"), value: status.store.engine },
        { label: t("status.size"), value: formatBytes(status.store.bytes) },
        {
          label: t("status.config.version"),
          value: <span class="mono">{status.config?.version ?? DASH}</span>,
        },
      ]}
    />
  );
}
