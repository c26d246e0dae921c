/** One workload: what to change, which calls lose their trace, and pairs of traces that show it. */

import type { LostCall, WorkloadPropagation } from "../api/propagation";
import { CopyButton } from "../components/CopyButton";
import { Table } from "../components/Table";
import { count, t } from "../i18n";
import { formatCount } from "../lib/format";
import { clockTime } from "../lib/time";
import { isoMicros } from "../traces/summary";
import { Formats, LossShare, Sure } from "./parts";

export function WorkloadCard({ workload }: { workload: WorkloadPropagation }) {
  return (
    <section class="card" data-testid="propagation-workload">
      <header>
        <h2>
          {workload.workload}.{workload.namespace}
        </h2>
        <span class="muted">{count("propagation.proxies", workload.proxies)}</span>
      </header>
      <div class="propagation-body">
        <Change workload={workload} />
        <Evidence workload={workload} />
      </div>
      <Destinations workload={workload} />
      {workload.examples.length > 0 && <Examples examples={workload.examples} />}
    </section>
  );
}

function Change({ workload: { advice, status } }: { workload: WorkloadPropagation }) {
  if (!advice) return <p class="muted">{t(`propagation.text.${status}`)}</p>;
  return (
    <div class="advice">
      <h3>{t("propagation.advice")}</h3>
      <p>{advice.text}</p>
      {advice.headers.length > 0 && (
        <p class="advice-headers">
          {advice.headers.map((header) => (
            <code key={header} class="tag">
              {header}
            </code>
          ))}
        </p>
      )}
      {advice.snippet && (
        <div class="snippet">
          <header>
            <span class="muted">{advice.language}</span>
            <CopyButton label={t("propagation.copy")} text={() => advice.snippet} />
          </header>
          <pre data-testid="propagation-snippet">{advice.snippet}</pre>
        </div>
      )}
    </div>
  );
}

function Evidence({ workload }: { workload: WorkloadPropagation }) {
  const { dropped, formats, language, counts, request_id_kept: kept, own_traces: own } = workload;
  const notes = [
    kept > 0 && t("propagation.requestIdKept", { n: formatCount(kept) }),
    counts.shortened > 0 && t("propagation.shortened", { n: formatCount(counts.shortened) }),
    counts.renamed > 0 && t("propagation.renamed", { n: formatCount(counts.renamed) }),
    own && t("propagation.ownTraces"),
  ].filter(Boolean);
  return (
    <dl class="pairs">
      {dropped.length > 0 && (
        <div>
          <dt>{t("propagation.dropped")}</dt>
          <dd>
            <ul class="formats">
              {dropped.map((one) => (
                <li key={one.header}>
                  <span class="mono">{one.header}</span> <Sure certainty={one.certainty} />
                </li>
              ))}
            </ul>
          </dd>
        </div>
      )}
      {formats.length > 0 && (
        <div>
          <dt>{t("propagation.formats")}</dt>
          <dd>
            <Formats formats={formats} />
          </dd>
        </div>
      )}
      {language.name && (
        <div>
          <dt>{t("propagation.language")}</dt>
          <dd title={language.evidence}>
            {language.name} <Sure certainty={language.certainty} />
          </dd>
        </div>
      )}
      {notes.length > 0 && (
        <div>
          <dt>{t("propagation.notes")}</dt>
          <dd>
            {notes.map((note) => (
              <p key={String(note)}>{note}</p>
            ))}
          </dd>
        </div>
      )}
    </dl>
  );
}

function Destinations({ workload }: { workload: WorkloadPropagation }) {
  return (
    <Table
      label={t("propagation.destinations")}
      rows={workload.edges}
      rowKey={(edge) => edge.destination}
      columns={[
        {
          id: "destination",
          title: t("propagation.destination"),
          cell: (edge) => <b class="mono">{edge.destination}</b>,
        },
        { id: "share", title: t("propagation.share"), cell: (edge) => <LossShare counts={edge.counts} /> },
        ...(["calls", "continued", "lost", "own"] as const).map((name) => ({
          id: name,
          title: t(`propagation.${name}`),
          numeric: true,
          cell: (edge: WorkloadPropagation["edges"][number]) => formatCount(edge.counts[name]),
        })),
      ]}
    />
  );
}

function Examples({ examples }: { examples: LostCall[] }) {
  return (
    <div class="propagation-examples" data-testid="propagation-examples">
      <h3>{t("propagation.examples")}</h3>
      <ul>
        {examples.map((one) => (
          <li key={`${one.inbound_trace} ${one.outbound_trace}`}>
            <time class="muted mono">{clockTime(isoMicros(one.start) / 1e6, true)}</time>
            <a class="mono" href={traceHref(one.inbound_trace, one.inbound_span)}>
              {one.inbound_trace.slice(0, 12)}
            </a>
            <span class="muted">{t("propagation.called")}</span>
            <b>{one.destination}</b>
            <span class="muted">{t("propagation.as")}</span>
            <a class="mono" href={traceHref(one.outbound_trace, one.outbound_span)}>
              {one.outbound_trace.slice(0, 12)}
            </a>
            <span class="tag">
              {t(one.by === "timing" ? "propagation.by.timing" : "propagation.by.request")}
            </span>
            {one.candidates > 1 && (
              <span class="muted">{t("propagation.candidates", { n: one.candidates })}</span>
            )}
            <a class="end" href={`/traces/${one.inbound_trace}?inferred=1`}>
              {t("propagation.whole")}
            </a>
          </li>
        ))}
      </ul>
    </div>
  );
}

const traceHref = (trace: string, span: string): string => `/traces/${trace}${span ? `?span=${span}` : ""}`;
