/** The mesh's configuration: what is in force, and what is wrong with the newest edit. */

import type { Finding, Status } from "../api/own";
import { Icon } from "../components/Icon";
import { Table } from "../components/Table";
import { count, t } from "../i18n";
import { shortFile } from "../config/model";
import { DASH } from "../lib/format";
import { dateTime } from "../lib/time";

export const TONES: Record<Finding["level"], string> = { error: "bad", warning: "warn", info: "plain" };

export function ConfigCard({ config }: { config: Status["config"] }) {
  return (
    <section class="card" data-testid="config">
      <header>
        <h2>{t("status.config")}</h2>
        {config && (
          <span class="end muted">
            {t("status.config.counts", { services: config.services, workloads: config.workloads })}
            {config.loaded_at !== null &&
              ` · ${t("status.config.since", { time: dateTime(config.loaded_at) })}`}
          </span>
        )}
      </header>
      {!config && <p class="card-body muted">{t("status.config.none")}</p>}
      {config && !config.applied && (
        <p class="banner banner-bad" role="alert">
          <Icon name="warning" />
          {config.version === null ? t("status.config.never") : t("status.config.bad")}
        </p>
      )}
      {config && config.findings.length === 0 && (
        <p class="card-body with-icon text-ok">
          <Icon name="check" />
          {t("status.config.clean")}
        </p>
      )}
      {config && config.findings.length > 0 && <Findings findings={config.findings} />}
    </section>
  );
}

export function Findings(props: { findings: Finding[]; href?: (finding: Finding) => string | null }) {
  const { findings, href } = props;
  return (
    <Table
      label={count("status.config.findings", findings.length)}
      rows={findings}
      rowKey={(row) => `${row.code} ${row.file} ${row.line} ${row.path} ${row.message}`}
      columns={[
        {
          id: "level",
          title: t("status.finding.level"),
          width: "110px",
          cell: (row) => (
            <span class={`code code-${TONES[row.level]}`}>{t(`status.level.${row.level}`)}</span>
          ),
        },
        {
          id: "code",
          title: t("status.finding.code"),
          width: "96px",
          cell: (row) => <span class="mono">{row.code}</span>,
        },
        {
          id: "message",
          title: t("status.finding.message"),
          cell: (row) => (
            <span class="finding">
              <span>{row.message}</span>
              <Subject row={row} href={href?.(row) ?? null} />
            </span>
          ),
        },
        {
          id: "where",
          title: t("status.finding.where"),
          cell: (row) => (
            <span class="mono" title={row.file}>
              {row.file ? `${shortFile(row.file)}${row.line ? `:${row.line}` : ""}` : DASH}
            </span>
          ),
        },
      ]}
    />
  );
}

function Subject({ row, href }: { row: Finding; href: string | null }) {
  const text = [row.resource, row.path].filter(Boolean).join(" · ");
  return href === null ? <span class="muted">{text}</span> : <a href={href}>{text}</a>;
}
