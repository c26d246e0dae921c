/** Which traces there are, and why; see docs/reference/sampling.md. */

import { getJson } from "./client";

interface SourceState {
  source: string;
  /** Seconds since 1970. */
  loaded_at: number;
  error: string;
  warnings: string[];
}

export interface SamplingOutcome {
  traces: number;
  traces_kept: number;
  spans: number;
  spans_kept: number;
  estimate: number;
  bytes_saved: number;
  policies: { policy: string; kept: boolean; traces: number }[];
}

export interface SamplingState {
  strategies: SourceState | null;
  adaptive: { service: string; operation: string; probability: number }[] | null;
  tail: { file: SourceState; policies: string[]; last_day: SamplingOutcome } | null;
}

export const fetchSampling = (signal: AbortSignal): Promise<SamplingState> =>
  getJson("/api/windvane/v1/sampling", {}, signal);
