/** Which workloads do not hand on trace context, how sure that is, and what to change. */

import {
  type Certainty,
  fetchPropagation,
  type PropagationAnswer,
  type WorkloadPropagation,
} from "../api/propagation";
import { currentRange } from "../app/range";
import { params, setParams } from "../app/router";
import { EmptyState, LoadStates } from "../components/States";
import { type Column, Table } from "../components/Table";
import { Facts } from "../graph/SidePanel";
import { t } from "../i18n";
import { formatCount } from "../lib/format";
import { clockTime, resolve } from "../lib/time";
import { useData } from "../lib/useData";
import { isoMicros } from "../traces/summary";
import { TracesTabs } from "../traces/TracesHead";
import { Formats, LossShare, Status } from "./parts";
import { WorkloadCard } from "./WorkloadCard";

export function PropagationPage() {
  const range = currentRange();
  const loaded = useData(`propagation ${JSON.stringify(range)}`, (signal) => {
    const { from, to } = resolve(range, Date.now() / 1000);
    return fetchPropagation({ start: from, end: to }, signal);
  });
  const answer = loaded.data;
  return (
    <div class="page">
      <TracesTabs here="propagation" />
      <LoadStates loaded={loaded} rows={10} />
      {answer?.workloads.length === 0 && (
        <section class="card">
          <EmptyState title={t("propagation.none")} text={t("propagation.none.text")} icon="traces" />
        </section>
      )}
      {answer && answer.workloads.length > 0 && (
        <div class={loaded.stale ? "stale" : ""}>
          <Shown answer={answer} />
        </div>
      )}
    </div>
  );
}

export const nameOf = (one: WorkloadPropagation): string => `${one.workload}.${one.namespace}`;

function Shown({ answer }: { answer: PropagationAnswer }) {
  const { workloads } = answer;
  const asked = params.value.get("workload");
  const chosen =
    workloads.find((one) => nameOf(one) === asked) ??
    workloads.find((one) => one.status === "loses") ??
    workloads[0]!;
  const losing = workloads.filter((one) => one.status === "loses").length;
  return (
    <>
      <section class="card head-facts">
        <Facts
          facts={[
            { label: t("propagation.served"), value: formatCount(answer.served) },
            { label: t("propagation.calls"), value: formatCount(answer.calls) },
            { label: t("propagation.workloads"), value: workloads.length },
            { label: t("propagation.losing"), value: losing, tone: losing ? "text-bad" : "" },
          ]}
        />
        <Formats formats={answer.formats} />
        {answer.truncated && (
          <span class="muted">
            {t("propagation.truncated", { time: clockTime(isoMicros(answer.start) / 1e6) })}
          </span>
        )}
      </section>
      <section class="card">
        <header>
          <h2>{t("propagation.workloads")}</h2>
          <span class="end muted">{t("propagation.share.text")}</span>
        </header>
        <Table
          label={t("propagation.workloads")}
          columns={columns(chosen)}
          rows={workloads}
          rowKey={nameOf}
          testId="propagation"
        />
      </section>
      <WorkloadCard key={nameOf(chosen)} workload={chosen} />
    </>
  );
}

const lostOf = (certainty: Certainty): string =>
  t("propagation.lostAs", { certainty: t(`certainty.${certainty}`) });

function columns(chosen: WorkloadPropagation): Column<WorkloadPropagation>[] {
  const number = (
    id: string,
    title: string,
    read: (row: WorkloadPropagation) => number,
    tone = "",
  ): Column<WorkloadPropagation> => ({
    id,
    title,
    numeric: true,
    cell: (row) => <span class={read(row) ? tone : "muted"}>{formatCount(read(row))}</span>,
  });
  return [
    {
      id: "workload",
      title: t("propagation.workload"),
      cell: (row) => (
        <button
          type="button"
          class={`link service-name ${row === chosen ? "way-here" : ""}`}
          aria-pressed={row === chosen}
          onClick={() => setParams({ workload: nameOf(row) })}
        >
          <span>
            {row.workload}
            <span class="muted">.{row.namespace}</span>
          </span>
        </button>
      ),
    },
    { id: "status", title: t("propagation.status"), cell: (row) => <Status workload={row} /> },
    { id: "share", title: t("propagation.share"), cell: (row) => <LossShare counts={row.counts} /> },
    number("continued", t("propagation.continued"), (row) => row.counts.continued),
    number("seen", lostOf("seen"), (row) => row.counts.seen, "text-bad"),
    number("likely", lostOf("likely"), (row) => row.counts.likely, "text-warn"),
    number("unknown", lostOf("unknown"), (row) => row.counts.unknown),
    number("own", t("propagation.own"), (row) => row.counts.own),
  ];
}
