/** Every resource of the mesh by namespace, what was found about it, and its YAML. */

import { fetchResource, fetchResources, type ResourceRow } from "../api/config";
import type { Finding } from "../api/own";
import { params, setParams } from "../app/router";
import { Check, Select, TextField } from "../components/Controls";
import { CopyButton } from "../components/CopyButton";
import { Icon } from "../components/Icon";
import { EmptyState, ErrorState, LoadStates, Skeleton } from "../components/States";
import { count, t } from "../i18n";
import { useData } from "../lib/useData";
import { Findings } from "../status/ConfigCard";
import { configHref, ConfigTabs } from "./ConfigTabs";
import { grouped, nameOf, readName, shortFile, writeName } from "./model";
import { YamlView } from "./YamlView";

export function ResourcesPage() {
  const loaded = useData("config resources", fetchResources);
  const data = loaded.data;
  const text = params.value.get("q") ?? "";
  const kind = params.value.get("kind") ?? "";
  const only = params.value.get("only") === "findings";
  const groups = grouped(data?.resources ?? [], { text, kind, only });
  const chosen = readName(params.value.get("resource"));
  const kinds = [...new Set(data?.resources.map((row) => row.kind) ?? [])].sort();
  return (
    <div class="page">
      <ConfigTabs here="resources" />
      <LoadStates loaded={loaded} />
      {data && data.resources.length === 0 && data.findings.length === 0 && (
        <section class="card">
          <EmptyState title={t("config.empty.title")} text={t("config.empty.text")} icon="config" />
        </section>
      )}
      {data && !data.applied && data.resources.length > 0 && (
        <p class="banner banner-bad banner-card" role="alert">
          <Icon name="warning" />
          {data.version === null ? t("status.config.never") : t("status.config.bad")}
        </p>
      )}
      {data && data.resources.length > 0 && (
        <div class="config-split">
          <section class="card config-list">
            <header class="config-filters">
              <TextField
                label={t("config.filter")}
                placeholder={t("config.filter")}
                icon="search"
                value={text}
                onInput={(q) => setParams({ q })}
                testId="config-filter"
              />
              <Select
                label={t("config.kind")}
                value={kind}
                options={[
                  { value: "", label: t("config.kind.all") },
                  ...kinds.map((one) => ({ value: one, label: one })),
                ]}
                onChange={(next) => setParams({ kind: next })}
              />
              <Check
                label={t("config.onlyFindings")}
                checked={only}
                onChange={(next) => setParams({ only: next ? "findings" : null })}
              />
            </header>
            {groups.length === 0 && (
              <EmptyState
                title={t("config.noMatch")}
                text={text || kind || t("config.onlyFindings")}
                icon="search"
              >
                <button
                  type="button"
                  class="button button-plain"
                  onClick={() => setParams({ q: null, kind: null, only: null })}
                >
                  {t("config.clear")}
                </button>
              </EmptyState>
            )}
            <nav class="config-rows" aria-label={t("config.tab.resources")} data-testid="config-rows">
              {groups.map((group) => (
                <div key={group.namespace}>
                  <h2>
                    {group.namespace}
                    <span class="muted">{group.rows.length}</span>
                  </h2>
                  {group.rows.map((row) => (
                    <Row
                      key={nameOf(row)}
                      row={row}
                      chosen={chosen !== null && nameOf(chosen) === nameOf(row)}
                    />
                  ))}
                </div>
              ))}
            </nav>
          </section>
          <div class="stack config-detail">
            {chosen ? (
              <Details key={nameOf(chosen)} name={writeName(chosen)} version={data.version} />
            ) : (
              <section class="card" data-testid="config-findings">
                <header>
                  <h2>{count("status.config.findings", data.findings.length)}</h2>
                  <span class="end muted">{count("config.resources", data.resources.length)}</span>
                </header>
                {data.findings.length > 0 ? (
                  <Findings findings={data.findings} href={(one) => hrefOf(one, data.resources)} />
                ) : (
                  <p class="card-body with-icon text-ok">
                    <Icon name="check" />
                    {t("status.config.clean")}
                  </p>
                )}
                <p class="card-foot muted">{t("config.choose")}</p>
              </section>
            )}
          </div>
        </div>
      )}
    </div>
  );
}

function Row({ row, chosen }: { row: ResourceRow; chosen: boolean }) {
  const worst = row.errors ? "bad" : row.warnings ? "warn" : "plain";
  const found = row.errors + row.warnings + row.infos;
  return (
    <a
      class="config-row"
      href={configHref("resources", { ...kept(), resource: writeName(row) })}
      aria-current={chosen ? "true" : undefined}
      title={`${row.file}:${row.line}`}
    >
      <span class="truncate">{row.name}</span>
      <span class="muted">{row.kind}</span>
      {found > 0 && (
        <span class={`code code-${worst}`} title={count("status.config.findings", found)}>
          {found}
        </span>
      )}
    </a>
  );
}

/** The resource that a finding is about, where there is such. */
function hrefOf(found: Finding, rows: readonly ResourceRow[]): string | null {
  const row = rows.find((one) => nameOf(one) === found.resource);
  return row ? configHref("resources", { ...kept(), resource: writeName(row) }) : null;
}

const kept = () => ({
  q: params.value.get("q"),
  kind: params.value.get("kind"),
  only: params.value.get("only"),
});

function Details({ name, version }: { name: string; version: string | null }) {
  const chosen = readName(name)!;
  const loaded = useData(`config resource ${name} ${version}`, (signal) => fetchResource(chosen, signal));
  const one = loaded.data;
  if (loaded.loading) return <Skeleton rows={10} />;
  if (!one) return <ErrorState error={loaded.error!} retry={loaded.retry} />;
  const last = one.line + one.yaml.split("\n").length;
  const elsewhere = one.findings.filter((found) => found.line < one.line || found.line >= last);
  return (
    <section class="card" data-testid="config-resource">
      <header>
        <h2>{one.name}</h2>
        <span class="tag">{one.namespace}</span>
        <span class="muted">{one.kind}</span>
        <span class="end head-actions">
          <span class="muted mono truncate" title={`${one.file}:${one.line}`}>
            {shortFile(one.file)}:{one.line}
          </span>
          <CopyButton label={t("common.copy")} text={() => one.yaml} />
          <a
            class="button button-ghost button-icon"
            href={configHref("resources", { ...kept(), resource: null })}
            aria-label={t("common.close")}
            title={t("common.close")}
          >
            <Icon name="close" />
          </a>
        </span>
      </header>
      <YamlView label={nameOf(one)} yaml={one.yaml} first={one.line} findings={one.findings} />
      {elsewhere.length > 0 && <Findings findings={elsewhere} />}
    </section>
  );
}
