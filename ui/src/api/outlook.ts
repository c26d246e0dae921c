/** Objectives, capacity and forecasts: Windvane's own routes. Times are Unix seconds unless named otherwise. */

import { getJson } from "./client";

const BASE = "/api/windvane/v1";

export interface BurnWindow {
  severity: "page" | "ticket";
  long: string;
  short: string;
  threshold: number;
  long_burn: number;
  short_burn: number;
  exceeded: boolean;
}

export interface SloAlert {
  state: string;
  severity: string;
  window: string;
  since: number;
  value: number;
  summary: string;
}

export interface BudgetEnd {
  days: number | null;
  at: number | null;
  soonest: number | null;
  latest: number | null;
}

export interface BudgetHistory {
  step: number;
  times: number[];
  remaining: (number | null)[];
  burn: (number | null)[];
}

export interface Indicator {
  indicator: "errors" | "latency";
  objective: number;
  threshold_ms: number | null;
  attained: number | null;
  bad: number;
  all: number;
  remaining: number | null;
  burn: Record<string, number>;
  windows: BurnWindow[];
  alerts: SloAlert[];
  exhaustion: BudgetEnd | null;
  hours: number;
  known_hours: number;
  history: BudgetHistory;
}

export interface Objective {
  name: string;
  namespace: string;
  service: string;
  description: string;
  period_days: number;
  file: string;
  line: number;
  indicators: Indicator[];
}

export interface Objectives {
  objectives: Objective[];
  problems: { file: string; line: number; column: number; path: string; message: string }[];
}

export const fetchObjectives = (signal: AbortSignal) => getJson<Objectives>(`${BASE}/objectives`, {}, signal);

export const fetchObjective = (namespace: string, name: string, signal: AbortSignal) =>
  getJson<Objective>(
    `${BASE}/objectives/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}`,
    {},
    signal,
  );

/** A figure and the band that holds it with 80 %; null is without end. */
export interface Figure {
  value: number | null;
  low: number | null;
  high: number | null;
}

export interface ServiceCapacity {
  service: string;
  namespace: string;
  peak: number;
  latency: number | null;
  quantile: number;
  limit: Figure | null;
  saturation: Figure | null;
  utilisation: Figure | null;
  headroom: number | null;
  days: Figure | null;
  growth: number | null;
  notes: string[];
  refused: string | null;
}

export interface Capacities {
  start: number;
  end: number;
  services: ServiceCapacity[];
  left_out: number;
}

export interface Capacity {
  service: string;
  now: number;
  peak: number;
  mean: number;
  in_flight: number;
  quantile: number;
  latency: number | null;
  replicas: number;
  traffic: number;
  ratio: number;
  utilisation: Figure;
  saturation: Figure;
  at_traffic: Figure;
  limit: Figure | null;
  days: Figure | null;
  full_days: Figure | null;
  headroom: number;
  growth: number | null;
  peaks: {
    growth: Figure;
    season_days: number;
    expected: number[];
    low: number[];
    high: number[];
  } | null;
  points: number;
  curve: {
    rate: number[];
    time: Figure[];
    utilisation: Figure[];
    seen_rate: number[];
    seen_time: number[];
  };
  notes: string[];
}

export const fetchCapacities = (latency: string | null, signal: AbortSignal) =>
  getJson<Capacities>(`${BASE}/analytics/capacities`, { latency }, signal);

export interface CapacityQuestion {
  service: string;
  latency: string | null;
  replicas: string;
  traffic: string;
}

export const fetchCapacity = (question: CapacityQuestion, signal: AbortSignal) =>
  getJson<Capacity>(`${BASE}/analytics/capacity`, { ...question }, signal);

export interface Forecast {
  labels: Record<string, string>;
  refused: string | null;
  times: number[];
  mean: number[];
  bands: { share: number; low: number[]; high: number[] }[];
  error: number | null;
  days: number | null;
  members: Record<string, number>;
}

export interface Forecasts {
  query: string;
  step: number;
  series: Forecast[];
}

export const fetchForecasts = (query: string, horizon: string, signal: AbortSignal) =>
  getJson<Forecasts>(`${BASE}/analytics/forecast`, { query, horizon }, signal);

export interface WrittenForecasts {
  enabled: boolean;
  made_at: number | null;
  services: number;
  signals: number;
  left_out: number;
  horizons: string[];
  history_days: number;
  refused: { service: string; namespace: string; signal: string; reason: string }[];
  error: string;
}

export const fetchWrittenForecasts = (signal: AbortSignal) =>
  getJson<WrittenForecasts>(`${BASE}/analytics/forecasts`, {}, signal);
