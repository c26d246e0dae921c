/** The shipped dashboards: /api/windvane/v1/dashboards. */

import { getJson } from "./client";

export interface DashboardSummary {
  uid: string;
  title: string;
  description: string;
  tags: string[];
  panels: number;
}

export interface Target {
  expr: string;
  legend: string;
  unit: string;
  instant: boolean;
}

export interface Threshold {
  tone: "ok" | "warn" | "bad";
  value: number | null;
}

export interface Panel {
  title: string;
  description: string;
  kind: "timeseries" | "stat" | "table" | "gauge" | "heatmap";
  unit: string;
  stacked: boolean;
  grid: { x: number; y: number; w: number; h: number };
  thresholds: Threshold[];
  labels: { label: string; title: string }[];
  links: { uid: string; variables: Record<string, string> }[];
  targets: Target[];
}

export interface Row {
  title: string;
  collapsed: boolean;
  panels: Panel[];
}

export interface Variable {
  name: string;
  title: string;
  kind: "query" | "custom";
  multi: boolean;
  options?: string[];
  default?: string[];
  label?: string;
  selector?: string;
}

export interface Dashboard {
  uid: string;
  title: string;
  description: string;
  tags: string[];
  seconds: number;
  refresh_seconds: number;
  variables: Variable[];
  rows: Row[];
}

const BASE = "/api/windvane/v1/dashboards";

export async function fetchDashboards(language: string, signal: AbortSignal): Promise<DashboardSummary[]> {
  const body = await getJson<{ dashboards: DashboardSummary[] }>(BASE, { language }, signal);
  return body.dashboards;
}

export const fetchDashboard = (uid: string, language: string, signal: AbortSignal): Promise<Dashboard> =>
  getJson<Dashboard>(`${BASE}/${encodeURIComponent(uid)}`, { language }, signal);
