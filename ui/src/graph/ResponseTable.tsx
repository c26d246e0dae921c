/** How requests ended: response codes × Envoy's flags × hosts, over one or more edges. */

import { t } from "../i18n";
import { formatRatio } from "../lib/format";
import type { GraphEdge } from "./model";
import { codeTone, outcomes } from "./outcomes";
import { PanelSection } from "./SidePanel";

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
