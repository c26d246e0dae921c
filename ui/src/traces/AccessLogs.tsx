/** The access-log entries of a trace's request, this span's hop marked. */

import { type AccessLog, fetchAccessLogs } from "../api/own";
import { ErrorState, Skeleton } from "../components/States";
import { codeTone } from "../graph/outcomes";
import { t } from "../i18n";
import { DASH, formatBytes, formatMs } from "../lib/format";
import { useData } from "../lib/useData";
import { hopOf, logTime, proxyName, sameHop } from "./hop";
import { Section } from "./SpanPanel";
import type { SpanNode } from "./tree";

interface Props {
  traceId: string;
  requestId: string;
  node: SpanNode;
  /** Microseconds since 1970. */
  traceStart: number;
}

export function AccessLogs({ traceId, requestId, node, traceStart }: Props) {
  const loaded = useData(
    `access logs ${traceId} ${requestId}`,
    (signal) => fetchAccessLogs({ trace_id: traceId, request_id: requestId, limit: 200 }, signal),
    { live: false },
  );
  const entries = loaded.data ?? [];
  const hop = hopOf(node);
  const mine = sameHop(entries, hop, node.span.startTime);
  return (
    <Section title={t("span.accessLogs")}>
      {loaded.error && <ErrorState error={loaded.error} retry={loaded.retry} />}
      {loaded.loading && <Skeleton rows={4} />}
      {loaded.data?.length === 0 && <p class="muted">{t("span.accessLogs.none")}</p>}
      {mine && <Entry entry={mine} />}
      {entries.length > 0 && (
        <div class="table-scroll">
          <table class="table table-compact" data-testid="access-logs">
            <thead>
              <tr>
                <th scope="col">{t("log.time")}</th>
                <th scope="col">{t("log.proxy")}</th>
                <th scope="col">{t("log.reporter")}</th>
                <th scope="col">{t("log.code")}</th>
                <th scope="col">{t("log.flags")}</th>
                <th scope="col" class="numeric">
                  {t("log.duration")}
                </th>
              </tr>
            </thead>
            <tbody>
              {entries.map((entry, index) => (
                <tr key={index} class={entry === mine ? "chosen" : ""}>
                  <td class="muted">{offset(entry, traceStart)}</td>
                  <td class="truncate" title={String(entry.node_id)}>
                    {proxyName(String(entry.node_id ?? ""))}
                  </td>
                  <td>{reporter(entry)}</td>
                  <td>
                    <span class={`code code-${codeTone(String(entry.response_code))}`}>
                      {String(entry.response_code)}
                    </span>
                  </td>
                  <td class="mono">{String(entry.response_flags ?? "-")}</td>
                  <td class="numeric">{formatMs(Number(entry.duration_ns) / 1e6)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </Section>
  );
}

const reporter = (entry: AccessLog): string =>
  entry.reporter === "source" ? t("log.reporter.source") : t("log.reporter.destination");

function offset(entry: AccessLog, traceStart: number): string {
  const micros = logTime(entry) - traceStart;
  return Number.isFinite(micros) ? `${micros < 0 ? "−" : "+"}${formatMs(Math.abs(micros) / 1000)}` : DASH;
}

/** The entry of this hop, written out. */
function Entry({ entry }: { entry: AccessLog }) {
  const text = (key: string) => String(entry[key] ?? "") || DASH;
  const rows: [string, string][] = [
    [t("log.request"), `${text("method")} ${text("authority")}${text("path")}`],
    [t("log.details"), text("response_code_details")],
    [
      t("log.upstream"),
      [text("upstream_cluster"), text("upstream_host")].filter((one) => one !== DASH).join(" → ") || DASH,
    ],
    [
      t("log.bytes"),
      `${formatBytes(Number(entry.request_bytes))} / ${formatBytes(Number(entry.response_bytes))}`,
    ],
    ["x-request-id", text("request_id")],
    [
      t("panel.principals"),
      [text("local_principal"), text("peer_principal")].filter((one) => one !== DASH).join(" ← ") || DASH,
    ],
  ];
  return (
    <dl class="pairs log-entry">
      {rows.map(([label, value]) => (
        <div key={label}>
          <dt>{label}</dt>
          <dd class="mono">{value}</dd>
        </div>
      ))}
    </dl>
  );
}
