/** Prometheus's rules, alerts, targets and cardinality, as its HTTP API tells them. */

import { getJson } from "./client";
import type { Labels } from "./prometheus";

export type AlertState = "inactive" | "pending" | "firing";
export type RuleHealth = "ok" | "err" | "unknown";

export interface ActiveAlert {
  labels: Labels;
  annotations: Labels;
  state: AlertState;
  activeAt?: string;
  keepFiringSince?: string;
  value: string;
}

interface CommonRule {
  name: string;
  query: string;
  labels?: Labels;
  health: RuleHealth;
  lastError?: string;
  evaluationTime?: number;
  lastEvaluation?: string;
}

export interface AlertingRule extends CommonRule {
  type: "alerting";
  state: AlertState;
  duration?: number;
  keepFiringFor?: number;
  annotations?: Labels;
  alerts?: ActiveAlert[];
}

export interface RecordingRule extends CommonRule {
  type: "recording";
}

export type Rule = AlertingRule | RecordingRule;

export interface RuleGroup {
  name: string;
  file: string;
  interval: number;
  evaluationTime?: number;
  lastEvaluation?: string;
  rules: Rule[];
}

export async function fetchRules(signal: AbortSignal): Promise<RuleGroup[]> {
  const body = await getJson<{ data: { groups: RuleGroup[] } }>("/api/v1/rules", {}, signal);
  return body.data.groups;
}

export type TargetHealth = "up" | "down" | "unknown";

export interface ActiveTarget {
  discoveredLabels: Labels;
  labels: Labels;
  scrapePool: string;
  scrapeUrl: string;
  globalUrl?: string;
  lastError: string;
  lastScrape: string;
  /** Seconds. */
  lastScrapeDuration: number;
  health: TargetHealth;
  scrapeInterval?: string;
  scrapeTimeout?: string;
}

export interface DroppedTarget {
  discoveredLabels: Labels;
  scrapePool?: string;
}

export interface Targets {
  activeTargets: ActiveTarget[];
  droppedTargets: DroppedTarget[];
}

export async function fetchTargets(signal: AbortSignal): Promise<Targets> {
  const body = await getJson<{ data: Targets }>("/api/v1/targets", {}, signal);
  return body.data;
}

export interface Counted {
  name: string;
  value: number;
}

export interface Cardinality {
  headStats?: { numSeries: number; numLabelPairs?: number; minTime?: number; maxTime?: number };
  seriesCountByMetricName: Counted[];
  labelValueCountByLabelName: Counted[];
  seriesCountByLabelValuePair: Counted[];
  memoryInBytesByLabelName?: Counted[];
}

export async function fetchCardinality(limit: number, signal: AbortSignal): Promise<Cardinality> {
  const body = await getJson<{ data: Cardinality }>("/api/v1/status/tsdb", { limit }, signal);
  return body.data;
}
