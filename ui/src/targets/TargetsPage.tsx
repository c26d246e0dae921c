/** Scrape targets: which answer, when they were scraped last, and what relabelling made of their labels. */

import { useEffect, useState } from "preact/hooks";
import { seconds } from "../alerts/model";
import { type ActiveTarget, type DroppedTarget, fetchTargets, type TargetHealth } from "../api/rules";
import { params, setParams } from "../app/router";
import { IconButton, Segmented, TextField } from "../components/Controls";
import { Icon } from "../components/Icon";
import { EmptyState, LoadStates } from "../components/States";
import { count, t } from "../i18n";
import { DASH, formatMs } from "../lib/format";
import { useData } from "../lib/useData";
import { StatusTabs } from "../status/StatusTabs";
import { Ago } from "./Ago";
import { LabelList } from "./LabelList";
import { pools, type TargetPool } from "./model";

const TONE: Record<TargetHealth, string> = { up: "ok", down: "bad", unknown: "idle" };

export function TargetsPage() {
  useEffect(() => {
    document.title = `${t("targets.title")} · Windvane`;
  });
  const loaded = useData("targets", fetchTargets);
  const health = params.value.get("health") as TargetHealth | null;
  const text = params.value.get("q") ?? "";
  const active = loaded.data?.activeTargets ?? [];
  const shown = pools(active, health, text);
  return (
    <div class="page">
      <div class="page-head">
        <StatusTabs here="targets" />
        {active.length > 0 && (
          <div class="end">
            <Segmented
              label={t("targets.health")}
              value={health ?? "all"}
              options={[
                { value: "all", label: t("common.all") },
                { value: "down", label: t("targets.down") },
              ]}
              onChange={(value) => setParams({ health: value === "all" ? null : value })}
            />
            <TextField
              label={t("targets.filter")}
              placeholder={t("targets.filter")}
              icon="search"
              value={text}
              onInput={(q) => setParams({ q })}
              testId="targets-filter"
            />
          </div>
        )}
      </div>
      <LoadStates loaded={loaded} />
      {loaded.data && active.length === 0 && (
        <section class="card">
          <EmptyState title={t("targets.empty.title")} text={t("targets.empty.text")} icon="target" />
        </section>
      )}
      {active.length > 0 && shown.length === 0 && (
        <section class="card">
          <EmptyState title={t("targets.noMatch")} text={text} icon="search" />
        </section>
      )}
      <div class="stack">
        {shown.map((pool) => (
          <Pool key={pool.name} pool={pool} />
        ))}
        {(loaded.data?.droppedTargets.length ?? 0) > 0 && <Dropped targets={loaded.data!.droppedTargets} />}
      </div>
    </div>
  );
}

function Pool({ pool }: { pool: TargetPool }) {
  return (
    <section class="card" data-testid="target-pool">
      <header>
        <h2>{pool.name}</h2>
        <span class={pool.up === pool.targets.length ? "muted" : "text-bad"}>
          {t("targets.up", { up: pool.up, n: pool.targets.length })}
        </span>
      </header>
      <div class="table-scroll">
        <table class="table targets-table" aria-label={pool.name}>
          <thead>
            <tr>
              <th scope="col">{t("targets.endpoint")}</th>
              <th scope="col">{t("targets.health")}</th>
              <th scope="col">{t("targets.labels")}</th>
              <th scope="col" class="numeric">
                {t("targets.last")}
              </th>
              <th scope="col" class="numeric">
                {t("targets.duration")}
              </th>
              <th scope="col">
                <span class="visually-hidden">{t("targets.details")}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {pool.targets.map((target) => (
              <TargetRows key={`${target.scrapeUrl} ${JSON.stringify(target.labels)}`} target={target} />
            ))}
          </tbody>
        </table>
      </div>
    </section>
  );
}

function TargetRows({ target }: { target: ActiveTarget }) {
  const [open, setOpen] = useState(false);
  return (
    <>
      <tr data-testid="target" data-health={target.health}>
        <td class="mono target-url">{target.scrapeUrl}</td>
        <td>
          <span class={`health health-${TONE[target.health]}`}>
            <i />
            {t(`targets.health.${target.health}`)}
          </span>
        </td>
        <td>
          <LabelList labels={target.labels} />
          {target.lastError && <p class="target-error text-bad">{target.lastError}</p>}
        </td>
        <td class="numeric">
          <Ago time={seconds(target.lastScrape)} />
        </td>
        <td class="numeric">
          {target.lastScrapeDuration ? formatMs(target.lastScrapeDuration * 1000) : DASH}
        </td>
        <td class="numeric">
          <IconButton
            label={t("targets.details")}
            icon={open ? "up" : "down"}
            aria-expanded={open}
            onClick={() => setOpen(!open)}
          />
        </td>
      </tr>
      {open && (
        <tr class="target-details">
          <td colSpan={6}>
            <h3>{t("targets.discovered")}</h3>
            <LabelList labels={target.discoveredLabels} />
            <p class="muted">
              {t("targets.interval", {
                interval: target.scrapeInterval ?? DASH,
                timeout: target.scrapeTimeout ?? DASH,
              })}
            </p>
          </td>
        </tr>
      )}
    </>
  );
}

const DROPPED = 50;

function Dropped({ targets }: { targets: DroppedTarget[] }) {
  const [open, setOpen] = useState(false);
  return (
    <section class="card">
      <header>
        <button type="button" class="row-toggle" aria-expanded={open} onClick={() => setOpen(!open)}>
          <Icon name={open ? "down" : "right"} size={12} />
          {count("targets.dropped", targets.length)}
        </button>
        <span class="muted">{t("targets.droppedText")}</span>
      </header>
      {open && (
        <ul class="card-body stack">
          {targets.slice(0, DROPPED).map((target, index) => (
            <li key={index}>
              <LabelList labels={target.discoveredLabels} />
            </li>
          ))}
          {targets.length > DROPPED && (
            <li class="muted">{t("dashboards.first", { n: DROPPED, all: targets.length })}</li>
          )}
        </ul>
      )}
    </section>
  );
}
