/** How a service's operations do, from its server spans. */

import { fetchOperationRates } from "../api/jaeger";

export interface OperationRow {
  operation: string;
  /** Calls a second, and their course over the time. */
  rate: number;
  course: number[];
  /** 0 to 1. */
  errors: number;
  /** Milliseconds; null without calls. */
  p50: number | null;
  p95: number | null;
  p99: number | null;
  /** Its part of the time that all operations took, by rate and median; 0 to 1. */
  share: number;
}

const COURSE = 24;
const QUANTILES = [0.5, 0.95, 0.99] as const;

export async function loadOperations(
  service: string,
  to: number,
  seconds: number,
  signal: AbortSignal,
): Promise<OperationRow[]> {
  const whole = { service, to, seconds, points: 1 };
  const [course, calls, errors, ...quantiles] = await Promise.all([
    fetchOperationRates("calls", { ...whole, points: COURSE }, signal),
    fetchOperationRates("calls", whole, signal),
    fetchOperationRates("errors", whole, signal),
    ...QUANTILES.map((quantile) => fetchOperationRates("latencies", { ...whole, quantile }, signal)),
  ]);
  return operationRows({ course, calls, errors, quantiles });
}

type Points = ReadonlyMap<string, number[]>;

export function operationRows(found: {
  course: Points;
  calls: Points;
  errors: Points;
  quantiles: readonly Points[];
}): OperationRow[] {
  const last = (points: Points | undefined, operation: string) => {
    const value = points?.get(operation)?.at(-1);
    return value === undefined || Number.isNaN(value) ? null : value;
  };
  const rows = [...found.calls.keys()].flatMap((operation) => {
    const rate = last(found.calls, operation) ?? 0;
    const [p50 = null, p95 = null, p99 = null] = found.quantiles.map((points) => last(points, operation));
    const course = found.course.get(operation) ?? [];
    const errors = last(found.errors, operation) ?? 0;
    return rate > 0 ? [{ operation, rate, course, errors, p50, p95, p99, share: 0 }] : [];
  });
  const load = (row: OperationRow) => row.rate * (row.p50 ?? 0);
  const all = rows.reduce((sum, row) => sum + load(row), 0);
  return rows.map((row) => ({ ...row, share: all > 0 ? load(row) / all : 0 }));
}
