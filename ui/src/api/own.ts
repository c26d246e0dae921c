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

export async function fetchServices(window: string, time: number | null, signal: AbortSignal): Promise<ServiceRow[]> {
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

/** The status document is shown as it comes: parts that a server does not report are left out. */
export type Status = Record<string, unknown>;

export const fetchStatus = (signal: AbortSignal): Promise<Status> => getJson<Status>(`${BASE}/status`, {}, signal);

export type ProxyRow = Record<string, unknown>;

export async function fetchProxies(signal: AbortSignal): Promise<ProxyRow[]> {
  const body = await getJson<{ proxies?: ProxyRow[] } | ProxyRow[]>(`${BASE}/mesh/proxies`, {}, signal);
  return Array.isArray(body) ? body : (body.proxies ?? []);
}
