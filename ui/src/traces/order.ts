/** In which order found traces are listed. */

import type { TraceSummary } from "./summary";

export const ORDERS = ["newest", "longest", "shortest", "spans", "errors"] as const;
export type Order = (typeof ORDERS)[number];

const COMPARE: Record<Order, (a: TraceSummary, b: TraceSummary) => number> = {
  newest: (a, b) => b.start - a.start,
  longest: (a, b) => b.duration - a.duration,
  shortest: (a, b) => a.duration - b.duration,
  spans: (a, b) => b.spans - a.spans,
  errors: (a, b) => b.errors - a.errors || b.start - a.start,
};

export const readOrder = (text: string | null): Order => ORDERS.find((order) => order === text) ?? "newest";

export const inOrder = (traces: TraceSummary[], order: Order): TraceSummary[] =>
  [...traces].sort(COMPARE[order]);
