/** Links to an incident, and to where a claim can be checked. */

import type { Ref } from "../api/why";
import { linkTo } from "../app/router";
import { explorerHref } from "../metrics/state";
import { insightHref } from "./InsightTabs";

export const incidentHref = (id: string, query: Record<string, string | null> = {}): string =>
  insightHref("incidents", { ...query, incident: id });

/** Where a claim can be checked. */
export function refHref(ref: Ref): string {
  switch (ref.kind) {
    case "query":
      return explorerHref([ref.query], { kind: "absolute", from: ref.start, to: ref.end });
    case "trace":
      return linkTo(`/traces/${ref.id}`, { range: null, from: null, to: null });
    case "version":
      return linkTo("/config/history", { version: String(ref.number) });
    case "service":
      return linkTo(`/services/${encodeURIComponent(ref.namespace)}/${encodeURIComponent(ref.name)}`);
  }
}
