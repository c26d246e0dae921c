/** Windvane's own routes about the mesh's configuration; see docs/reference/configuration.md. Times in seconds. */

import { getJson, postJson } from "./client";
import type { Finding } from "./own";

const BASE = "/api/windvane/v1/config";

export interface ResourceName {
  kind: string;
  namespace: string;
  name: string;
}

export interface ResourceRow extends ResourceName {
  file: string;
  line: number;
  errors: number;
  warnings: number;
  infos: number;
}

export interface ServiceVersions {
  service: string;
  namespace: string;
  versions: string[];
  /** Weights by version of the rule for all other requests; empty without one. */
  shares: Record<string, number>;
  ports: number[];
}

export interface ConfigResources {
  version: string | null;
  applied: boolean;
  resources: ResourceRow[];
  findings: Finding[];
  services: ServiceVersions[];
  workloads: string[];
}

export interface ResourceText extends ResourceName {
  file: string;
  line: number;
  yaml: string;
  findings: Finding[];
}

export type What = "added" | "changed" | "removed";

export interface Change extends ResourceName {
  change: What;
  file: string;
  line: number;
}

export interface ChangeText extends Change {
  before: string;
  after: string;
}

export interface Version {
  number: number;
  version: string;
  live_at: number;
  /** null while it is live. */
  until: number | null;
  services: number;
  workloads: number;
  added: number;
  changed: number;
  removed: number;
  /** In lists only the first of them. */
  changes: Change[];
  acknowledged: number;
  rejected: number;
}

export interface ProxyAnswer {
  node_id: string;
  workload: string;
  namespace: string;
  state: "acknowledged" | "rejected";
  type: string;
  reason: string;
  at: number;
}

export interface VersionDetails extends Omit<Version, "changes"> {
  changes: ChangeText[];
  proxies: ProxyAnswer[];
  resources: (ResourceName & { file: string; line: number; yaml: string })[];
}

export interface VersionDiff {
  older: Version;
  newer: Version;
  changes: ChangeText[];
}

export const fetchResources = (signal: AbortSignal): Promise<ConfigResources> =>
  getJson(`${BASE}/resources`, {}, signal);

export const fetchResource = (one: ResourceName, signal: AbortSignal): Promise<ResourceText> =>
  getJson(`${BASE}/resource`, { kind: one.kind, namespace: one.namespace, name: one.name }, signal);

export async function fetchVersions(
  query: { start?: number; end?: number; service?: string; limit?: number },
  signal: AbortSignal,
): Promise<Version[]> {
  return (await getJson<{ versions: Version[] }>(`${BASE}/history`, query, signal)).versions;
}

export const fetchVersion = (number: number, signal: AbortSignal): Promise<VersionDetails> =>
  getJson(`${BASE}/history/${number}`, {}, signal);

export const fetchDiff = (from: number, to: number, signal: AbortSignal): Promise<VersionDiff> =>
  getJson(`${BASE}/history/diff`, { from, to }, signal);

export interface DraftedResource extends ResourceName {
  change: "added" | "changed" | "unchanged";
  file: string;
  before: string;
  after: string;
  loses_comments: boolean;
}

export interface Drafted {
  yaml: string;
  name: string;
  resources: DraftedResource[];
  findings: Finding[];
  refused: boolean;
  expected: Record<string, string>;
  no_trial: string;
  no_writing: string;
}

export interface TrialOutcome {
  status: number;
  workload: string;
  cluster: string;
  route: string;
  flags: string;
  details: string;
  refused_by: string;
  count: number;
  share: number;
  low: number;
  high: number;
  attempts: number;
  median_ms: number;
  mirrored_to: string[];
  failure: string;
}

export interface TrialAnswer {
  asker: string;
  requests: number;
  outcomes: TrialOutcome[];
}

export const postDraft = (
  body: { form: unknown } | { yaml: string; name: string },
  signal: AbortSignal,
): Promise<Drafted> => postJson(`${BASE}/draft`, body, signal);

export const postTry = (
  body: { yaml: string; request: string; headers: string[]; from: string; times: number },
  signal: AbortSignal,
): Promise<TrialAnswer> => postJson(`${BASE}/try`, body, signal);

export const postApply = (
  body: { yaml: string; name: string; expected: Record<string, string> },
  signal: AbortSignal,
): Promise<{ files: string[]; version: string }> => postJson(`${BASE}/apply`, body, signal);
