/** Windvane's own routes under /api/windvane/v1. */

import { getJson } from "./client";

const BASE = "/api/windvane/v1";

export type Health = "Healthy" | "Degraded" | "Failure" | "NA";

export interface ServiceVersion {
  version: string;
  rate: number;
  error_ratio: number;
  p95_ms: number | null;
}

export interface ServiceRow {
  name: string;
  namespace: string;
  host: string;
  protocols: string[];
  rate: number;
  error_ratio: number;
  p50_ms: number | null;
  p95_ms: number | null;
  p99_ms: number | null;
  versions: ServiceVersion[];
  mtls: number | null;
  health: Health;
}

export async function fetchServices(
  window: string,
  time: number | null,
  signal: AbortSignal,
): Promise<ServiceRow[]> {
  const body = await getJson<{ services: ServiceRow[] }>(`${BASE}/services`, { window, time }, signal);
  return body.services;
}

/** One access-log row: the store's columns in snake_case. */
export type AccessLog = Record<string, string | number | null | Record<string, string>>;

export interface AccessLogQuery {
  trace_id?: string;
  request_id?: string;
  service?: string;
  namespace?: string;
  start?: number;
  end?: number;
  limit?: number;
}

export async function fetchAccessLogs(query: AccessLogQuery, signal: AbortSignal): Promise<AccessLog[]> {
  const body = await getJson<{ entries: AccessLog[] }>(`${BASE}/access-logs`, { ...query }, signal);
  return body.entries;
}

export interface Finding {
  code: string;
  level: "error" | "warning" | "info";
  resource: string;
  message: string;
  file: string;
  line: number;
  path: string;
}

export interface Status {
  version: string;
  started_at: number;
  uptime_seconds: number;
  ingest: Record<string, { received: number; stored: number; refused: number; in_flight: number }>;
  store: {
    engine: string;
    bytes: number;
    tables: { name: string; rows: number; bytes: number }[];
    /** Seconds by signal; null keeps for ever. */
    retention: Record<string, number | null>;
  };
  config: {
    version: string | null;
    loaded_at: number | null;
    applied: boolean;
    services: number;
    workloads: number;
    findings: Finding[];
  } | null;
}

export const fetchStatus = (signal: AbortSignal): Promise<Status> =>
  getJson<Status>(`${BASE}/status`, {}, signal);

export interface ProxyRow {
  node_id: string;
  workload: string;
  namespace: string;
  connected: boolean;
  connected_at: number | null;
  synced: boolean;
  types: { type: string; sent: string; acked: string; resources: number; nack_reason: string | null }[];
}

export async function fetchProxies(signal: AbortSignal): Promise<ProxyRow[]> {
  return (await getJson<{ proxies: ProxyRow[] }>(`${BASE}/mesh/proxies`, {}, signal)).proxies;
}
