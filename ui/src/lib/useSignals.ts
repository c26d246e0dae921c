/** The golden signals of some traffic over an interval: four range queries, asked together. */

import { queryRange, type Series } from "../api/prometheus";
import type { Traffic } from "../graph/target";
import { OUTCOME, quantile, REQUESTS, rateBy, TCP_OPENED, TCP_RECEIVED, TCP_SENT } from "./promql";
import { beside, type Columns, errorRatio, isError, onGrid, sumBy } from "./signals";
import { rangeSeconds, rateWindow, resolve, stepFor, type TimeRange } from "./time";
import { type Loaded, useData } from "./useData";

export interface Signals {
  /** Requests and errors each second. */
  requests: Columns;
  ratio: Columns;
  /** p50, p95, p99 in milliseconds. */
  duration: Columns;
  byCode: Columns;
  byFlag: Columns;
  outcome: Series[];
}

export interface TcpSignals {
  bytes: Columns;
  opened: Columns;
}

const QUANTILES = [0.5, 0.95, 0.99] as const;

/** At least a quarter of an hour, so that a graph of the last minute still shows where it came from. */
export function chartRange(range: TimeRange): TimeRange {
  return range.kind === "relative" && range.seconds < 900 ? { kind: "relative", seconds: 900 } : range;
}

export function useSignals(traffic: Traffic | null, range: TimeRange): Loaded<Signals> {
  const key = traffic && `signals ${JSON.stringify([traffic, range])}`;
  return useData(key, (signal) => loadSignals(traffic!, range, signal), { keep: false });
}

async function loadSignals(traffic: Traffic, range: TimeRange, signal: AbortSignal): Promise<Signals> {
  const { from, to, step, window } = grid(range);
  const matchers = { ...traffic.matchers, reporter: traffic.reporter };
  const [outcome, ...quantiles] = await Promise.all([
    queryRange(rateBy(REQUESTS, matchers, OUTCOME, window), from, to, step, signal),
    ...QUANTILES.map((q) => queryRange(quantile(q, matchers, [], window), from, to, step, signal)),
  ]);
  const place = (columns: Columns) => onGrid(columns, from, to, step);
  return {
    requests: place(requestsAndErrors(outcome)),
    ratio: place(errorRatio(outcome)),
    duration: place(
      beside(quantiles.map((series, i) => ({ name: `p${QUANTILES[i]! * 100}`, series: series[0] }))),
    ),
    byCode: place(sumBy(outcome, codeName)),
    byFlag: place(sumBy(outcome, (labels) => labels.response_flags || "-")),
    outcome,
  };
}

/** Two lines over the same times: all requests, and those that failed (zero where none did). */
export function requestsAndErrors(outcome: Series[]): Columns {
  const all = sumBy(outcome, () => "requests");
  const failed = sumBy(outcome, (labels) => (isError(labels) ? "errors" : null));
  const failures = new Map(failed.times.map((time, index) => [time, failed.lines[0]?.values[index] ?? 0]));
  const values = all.times.map((time) => failures.get(time) ?? 0);
  return {
    times: all.times,
    lines: [...all.lines, ...(all.lines.length ? [{ name: "errors", values }] : [])],
  };
}

export function codeName(labels: Record<string, string>): string {
  const code = labels.response_code || "0";
  const grpc = labels.grpc_response_status;
  return labels.request_protocol === "grpc" && grpc ? `gRPC ${grpc}` : code;
}

export function useTcpSignals(traffic: Traffic | null, range: TimeRange): Loaded<TcpSignals> {
  const key = traffic && `tcp ${JSON.stringify([traffic, range])}`;
  return useData(
    key,
    async (signal) => {
      const { from, to, step, window } = grid(range);
      const matchers = { ...traffic!.matchers, reporter: traffic!.reporter };
      const ask = (metric: string) =>
        queryRange(rateBy(metric, matchers, [], window), from, to, step, signal);
      const [sent, received, opened] = await Promise.all([ask(TCP_SENT), ask(TCP_RECEIVED), ask(TCP_OPENED)]);
      const place = (columns: Columns) => onGrid(columns, from, to, step);
      return {
        bytes: place(
          beside([
            { name: "sent", series: sent[0] },
            { name: "received", series: received[0] },
          ]),
        ),
        opened: place(beside([{ name: "opened", series: opened[0] }])),
      };
    },
    { keep: false },
  );
}

/** The ends, step and rate window of a chart's range query. */
export function grid(range: TimeRange) {
  const seconds = rangeSeconds(range);
  const step = stepFor(seconds);
  return { ...resolve(range, Date.now() / 1000), step, window: rateWindow(step) };
}
