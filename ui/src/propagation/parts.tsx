/** What the table and the details of a workload both show. */

import type { CallCounts, Certainty, TraceFormat, WorkloadPropagation } from "../api/propagation";
import { t } from "../i18n";
import { formatRatio } from "../lib/format";

const TONES = { loses: "code-bad", keeps: "code-ok", unclear: "code-warn", own: "" } as const;

export function Status({ workload }: { workload: WorkloadPropagation }) {
  const { status, certainty } = workload;
  return (
    <span class={`code ${TONES[status]}`}>
      {t(`propagation.status.${status}`)}
      {status === "loses" && certainty !== "seen" && ` (${t(`certainty.${certainty}`)})`}
    </span>
  );
}

/** The share of lost calls, and in what interval it lies. */
export function LossShare({ counts: { share } }: { counts: CallCounts }) {
  const percent = (part: number) => `${Math.max(0, Math.min(1, part)) * 100}%`;
  const interval = `${formatRatio(share.low)} – ${formatRatio(share.high)}`;
  return (
    <span class="loss">
      <b>{formatRatio(share.value)}</b>
      <span class="loss-track" aria-hidden="true">
        <i class="loss-fill" style={{ width: percent(share.value) }} />
        <i
          class="interval-range"
          style={{ left: percent(share.low), width: percent(share.high - share.low) }}
        />
      </span>
      <span class="muted">{interval}</span>
    </span>
  );
}

export function Sure({ certainty }: { certainty: Certainty }) {
  return <em class={`sure sure-${certainty}`}>{t(`certainty.${certainty}`)}</em>;
}

export function Formats({ formats }: { formats: TraceFormat[] }) {
  if (formats.length === 0) return null;
  return (
    <ul class="formats">
      {formats.map((one) => (
        <li key={one.name} title={one.evidence}>
          <b>{one.name}</b> <span class="mono">{one.headers.join(", ")}</span>{" "}
          <Sure certainty={one.certainty} />
        </li>
      ))}
    </ul>
  );
}
