/** What clients are told to sample, and what of the traces is kept. */

import { fetchSampling, type SamplingState } from "../api/sampling";
import { ErrorBanner } from "../components/States";
import { Table } from "../components/Table";
import { Facts } from "../graph/SidePanel";
import { t } from "../i18n";
import { formatBytes, formatCount, formatRatio } from "../lib/format";
import { useData } from "../lib/useData";

/** Operations of the lowest probabilities that are shown. */
const OPERATIONS = 10;

export function SamplingCard() {
  const loaded = useData("sampling", fetchSampling);
  return (
    <section class="card" data-testid="sampling">
      <header>
        <h2>{t("sampling.title")}</h2>
      </header>
      {loaded.error && <ErrorBanner error={loaded.error} retry={loaded.retry} />}
      {loaded.data && <Shown state={loaded.data} />}
    </section>
  );
}

function Shown({ state }: { state: SamplingState }) {
  const { strategies, adaptive, tail } = state;
  if (!strategies && !adaptive && !tail) return <p class="card-body muted">{t("sampling.none")}</p>;
  const problems = [strategies, tail?.file].flatMap((one) =>
    one ? [one.error, ...one.warnings].filter(Boolean).map((text) => `${one.source}: ${text}`) : [],
  );
  return (
    <>
      <div class="card-body">
        {problems.map((text) => (
          <p key={text} class="text-bad">
            {text}
          </p>
        ))}
        {strategies && <p>{t("sampling.strategies", { source: strategies.source })}</p>}
        {adaptive?.length === 0 && <p>{t("sampling.adaptive.none")}</p>}
        {tail && (
          <p>
            {t("sampling.tail", { source: tail.file.source })}{" "}
            <span class="muted">{tail.policies.join(" · ")}</span>
          </p>
        )}
      </div>
      {tail && <Kept tail={tail} />}
      {adaptive && adaptive.length > 0 && <Adaptive operations={adaptive} />}
    </>
  );
}

function Kept({ tail }: { tail: NonNullable<SamplingState["tail"]> }) {
  const day = tail.last_day;
  return (
    <>
      <div class="card-body">
        <Facts
          facts={[
            { label: t("sampling.day"), value: formatCount(day.traces) },
            { label: t("sampling.kept"), value: formatCount(day.traces_kept) },
            {
              label: t("sampling.share"),
              value: day.traces > 0 ? formatRatio(day.traces_kept / day.traces) : "–",
            },
            { label: t("sampling.saved"), value: formatBytes(day.bytes_saved) },
          ]}
        />
      </div>
      {day.policies.length > 0 && (
        <Table
          label={t("sampling.policies")}
          rows={day.policies}
          rowKey={(row) => `${row.policy} ${row.kept}`}
          columns={[
            {
              id: "policy",
              title: t("sampling.policy"),
              cell: (row) => <b>{row.policy || t("sampling.noPolicy")}</b>,
            },
            {
              id: "kept",
              title: t("sampling.decision"),
              cell: (row) => (row.kept ? t("sampling.kept") : t("sampling.dropped")),
            },
            {
              id: "traces",
              title: t("analysis.traces"),
              numeric: true,
              cell: (row) => formatCount(row.traces),
            },
          ]}
        />
      )}
    </>
  );
}

function Adaptive({ operations }: { operations: NonNullable<SamplingState["adaptive"]> }) {
  const lowest = [...operations].sort((a, b) => a.probability - b.probability).slice(0, OPERATIONS);
  return (
    <Table
      label={t("sampling.adaptive")}
      rows={lowest}
      rowKey={(row) => `${row.service} ${row.operation}`}
      columns={[
        { id: "service", title: t("trace.services"), cell: (row) => <b>{row.service}</b> },
        { id: "operation", title: t("trace.operation"), cell: (row) => row.operation },
        {
          id: "probability",
          title: t("sampling.probability"),
          numeric: true,
          cell: (row) => formatRatio(row.probability, 3),
        },
      ]}
    />
  );
}
