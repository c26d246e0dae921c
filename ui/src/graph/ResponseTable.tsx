/** How requests ended: response codes × Envoy's flags × hosts, over one or more edges. */

import { t } from "../i18n";
import { formatRatio } from "../lib/format";
import type { GraphEdge } from "./model";
import { PanelSection } from "./SidePanel";

export interface Outcome {
  code: string;
  flags: string;
  hosts: string[];
  share: number;
}

/** Shares (0…1) of all requests of these edges, weighted by their rates; greatest first. */
export function outcomes(edges: GraphEdge[]): Outcome[] {
  const total = edges.reduce((sum, edge) => sum + edge.rate, 0);
  const found = new Map<string, Outcome>();
  for (const edge of edges) {
    for (const response of edge.responses) {
      for (const [flags, percent] of Object.entries(response.flags)) {
        const key = `${response.code} ${flags}`;
        const one = found.get(key) ?? { code: response.code, flags, hosts: [], share: 0 };
        one.share += total > 0 ? (percent / 100) * (edge.rate / total) : 0;
        one.hosts = [...new Set([...one.hosts, ...Object.keys(response.hosts)])];
        found.set(key, one);
      }
    }
  }
  return [...found.values()].sort((a, b) => b.share - a.share);
}

export function codeTone(code: string): string {
  if (/^[1-3]/.test(code) && code.length === 3) return "ok";
  if (code.startsWith("4")) return "warn";
  return code === "0" && code.length === 1 ? "bad" : /^5|^-/.test(code) ? "bad" : "plain";
}

export function ResponseTable({ edges }: { edges: GraphEdge[] }) {
  const rows = outcomes(edges);
  if (rows.length === 0) return null;
  return (
    <PanelSection title={t("panel.codes")}>
      <table class="table table-compact">
        <thead>
          <tr>
            <th scope="col">{t("panel.code")}</th>
            <th scope="col">{t("panel.flags")}</th>
            <th scope="col">{t("panel.host")}</th>
            <th scope="col" class="numeric">
              {t("panel.share")}
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={`${row.code} ${row.flags}`}>
              <td>
                <span class={`code code-${codeTone(row.code)}`}>{row.code}</span>
              </td>
              <td class="mono">{row.flags}</td>
              <td class="truncate" title={row.hosts.join("\n")}>
                {row.hosts.map(shortHost).join(", ")}
              </td>
              <td class="numeric">
                <span class="share-bar" style={{ "--share": row.share }}>
                  {formatRatio(row.share)}
                </span>
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </PanelSection>
  );
}

const shortHost = (host: string): string => host.replace(/\.svc\.cluster\.local$/, "");
