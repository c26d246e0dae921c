/** Which configuration was live when: what each version changed, who took it, and the telemetry of that time. */

import { fetchDiff, fetchVersion, fetchVersions, type Version, type VersionDetails } from "../api/config";
import { linkTo, params, setParams } from "../app/router";
import { Select } from "../components/Controls";
import { Icon, type IconName } from "../components/Icon";
import { EmptyState, ErrorState, LoadStates, Skeleton } from "../components/States";
import { Table } from "../components/Table";
import { Facts } from "../graph/SidePanel";
import { count, t, uptimeWords } from "../i18n";
import { formatMs } from "../lib/format";
import { dateTime, rangeParams } from "../lib/time";
import { useData } from "../lib/useData";
import { Changes } from "./Changes";
import { configHref, ConfigTabs } from "./ConfigTabs";
import { changesOf, lifetime, nameOf, WHATS } from "./model";

const LIMIT = 200;

export function HistoryPage() {
  const loaded = useData("config history", (signal) => fetchVersions({ limit: LIMIT }, signal));
  const versions = loaded.data ?? [];
  const asked = Number(params.value.get("version"));
  const chosen = versions.find((one) => one.number === asked) ?? versions[0];
  return (
    <div class="page">
      <ConfigTabs here="history" />
      <LoadStates loaded={loaded} />
      {loaded.data?.length === 0 && (
        <section class="card">
          <EmptyState title={t("config.history.empty")} text={t("config.history.empty.text")} icon="clock" />
        </section>
      )}
      {chosen && (
        <div class="config-split">
          <section class="card config-list">
            <header>
              <h2>{count("config.versions", versions.length)}</h2>
              {versions.length === LIMIT && <span class="end muted">{t("config.versions.newest")}</span>}
            </header>
            <nav class="config-rows" aria-label={t("config.tab.history")} data-testid="config-versions">
              {versions.map((one) => (
                <VersionRow key={one.number} one={one} chosen={one === chosen} />
              ))}
            </nav>
          </section>
          <div class="stack config-detail">
            <Details key={chosen.number} head={chosen} versions={versions} />
          </div>
        </div>
      )}
    </div>
  );
}

function VersionRow({ one, chosen }: { one: Version; chosen: boolean }) {
  return (
    <a
      class="config-row version-row"
      href={configHref("history", { version: String(one.number) })}
      aria-current={chosen ? "true" : undefined}
    >
      <b>#{one.number}</b>
      <span class="version-text">
        <span>
          {dateTime(one.live_at)}
          {one.until === null && <span class="code code-ok">{t("config.live")}</span>}
          {one.rejected > 0 && <span class="code code-bad">{count("config.rejectedBy", one.rejected)}</span>}
        </span>
        <span class="muted truncate">{summary(one)}</span>
      </span>
    </a>
  );
}

/** The one resource that changed, or how many of each. */
export function summary(one: Version): string {
  const first = one.changes[0];
  if (first && changesOf(one) === 1) return `${t(`config.what.${first.change}`)}: ${nameOf(first)}`;
  const told = WHATS.filter((what) => one[what] > 0);
  return told.map((what) => `${t(`config.what.${what}`)}: ${one[what]}`).join(", ");
}

function Details({ head, versions }: { head: Version; versions: Version[] }) {
  const key = `config version ${head.number} ${head.until} ${head.acknowledged} ${head.rejected}`;
  const loaded = useData(key, (signal) => fetchVersion(head.number, signal), { live: false });
  const against = Number(params.value.get("against")) || null;
  const one = loaded.data;
  return (
    <>
      <section class="card">
        <header>
          <h2>{t("config.version", { n: head.number })}</h2>
          <span class="mono muted">{head.version}</span>
          <span class="end head-actions">
            <Telemetry one={head} />
          </span>
        </header>
        <div class="card-body">
          <VersionFacts one={head} />
        </div>
      </section>
      {loaded.error && !one && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {loaded.loading && <Skeleton rows={8} />}
      {one && <Compared one={one} versions={versions} against={against} />}
      {one && <Answers one={one} />}
    </>
  );
}

function VersionFacts({ one }: { one: Version }) {
  const ended = one.until ?? Date.now() / 1000;
  return (
    <Facts
      facts={[
        { label: t("config.since"), value: dateTime(one.live_at, true) },
        {
          label: t("config.for"),
          value: one.until === null ? t("config.stillLive") : uptimeWords(ended - one.live_at),
        },
        { label: t("config.resourcesCount"), value: `${one.services} / ${one.workloads}` },
        { label: t("config.acknowledged"), value: one.acknowledged, tone: "text-ok" },
        { label: t("config.rejected"), value: one.rejected, ...(one.rejected ? { tone: "text-bad" } : {}) },
      ]}
    />
  );
}

/** Links to what the mesh reported while a version was live. */
function Telemetry({ one }: { one: Version }) {
  const query = rangeParams({ kind: "absolute", ...lifetime(one, Date.now() / 1000) });
  const links: [string, IconName, string][] = [
    ["/", "graph", t("nav.graph")],
    ["/services", "services", t("nav.services")],
    ["/traces", "traces", t("nav.traces")],
    ["/logs", "list", t("nav.logs")],
  ];
  return (
    <>
      <span class="muted">{t("config.telemetry")}</span>
      {links.map(([to, icon, text]) => (
        <a key={to} class="button button-ghost" href={linkTo(to, query)}>
          <Icon name={icon} size={14} />
          <span>{text}</span>
        </a>
      ))}
    </>
  );
}

function Compared(props: { one: VersionDetails; versions: Version[]; against: number | null }) {
  const { one, versions, against } = props;
  const key = against === null ? null : `config diff ${against} ${one.number}`;
  const loaded = useData(key, (signal) => fetchDiff(against!, one.number, signal), {
    live: false,
    keep: false,
  });
  const changes = against === null ? one.changes : loaded.data?.changes;
  const others = versions.filter((other) => other.number !== one.number);
  const first = one.number === 1 && against === null;
  return (
    <section class="card" data-testid="config-changes">
      <header>
        <h2>{changes ? count("config.changes", changes.length) : t("config.changes.title")}</h2>
        {first && <span class="muted">{t("config.first")}</span>}
        {others.length > 0 && (
          <span class="end">
            <Select
              label={t("config.against")}
              value={against === null ? "" : String(against)}
              options={[
                { value: "", label: t("config.against.before") },
                ...others.map((other) => ({
                  value: String(other.number),
                  label: t("config.against.one", { n: other.number, time: dateTime(other.live_at) }),
                })),
              ]}
              onChange={(next) => setParams({ against: next })}
              testId="config-against"
            />
          </span>
        )}
      </header>
      {loaded.error && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {loaded.loading && <Skeleton rows={6} />}
      {changes?.length === 0 && <p class="card-body muted">{t("config.same")}</p>}
      {changes && changes.length > 0 && <Changes changes={changes} open={!first} />}
    </section>
  );
}

function Answers({ one }: { one: VersionDetails }) {
  const rows = [...one.proxies].sort((a, b) => b.state.localeCompare(a.state) || a.at - b.at);
  return (
    <section class="card" data-testid="config-answers">
      <header>
        <h2>{t("config.answers")}</h2>
      </header>
      {rows.length === 0 ? (
        <p class="card-body muted">{t("config.answers.none")}</p>
      ) : (
        <Table
          label={t("config.answers")}
          rows={rows}
          rowKey={(row) => `${row.node_id} ${row.type} ${row.reason}`}
          columns={[
            {
              id: "proxy",
              title: t("status.proxy"),
              cell: (row) => (
                <b title={row.node_id}>
                  {row.workload}.{row.namespace}
                </b>
              ),
            },
            {
              id: "answer",
              title: t("config.answer"),
              cell: (row) => (
                <span class={`health health-${row.state === "rejected" ? "bad" : "ok"}`}>
                  <i />
                  {t(`config.answer.${row.state}`)}
                </span>
              ),
            },
            {
              id: "after",
              title: t("config.after"),
              numeric: true,
              cell: (row) => (
                <span title={dateTime(row.at, true)}>{formatMs((row.at - one.live_at) * 1000)}</span>
              ),
            },
            {
              id: "reason",
              title: t("status.proxy.reason"),
              cell: (row) => (
                <span class="text-bad wrap">{row.type ? `${row.type}: ${row.reason}` : ""}</span>
              ),
            },
          ]}
        />
      )}
    </section>
  );
}
