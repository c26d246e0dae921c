/** Spans of other traces, attached because a call of this trace probably began them. */

import type { RawSpan } from "../api/jaeger";
import { tagOf } from "./summary";
import type { Trace } from "./tree";

export interface Attached {
  /** The trace that the span is stored in. */
  trace: string;
  /** Of the first span of an attached trace: how sure the link is (0 to 1), and what tells; null for those below. */
  confidence: number | null;
  by: string;
}

export function attachedOf(span: RawSpan): Attached | null {
  const trace = tagOf(span.tags, "windvane.inferred.trace_id");
  if (trace === undefined) return null;
  const confidence = tagOf(span.tags, "windvane.inferred.confidence");
  return {
    trace: String(trace),
    confidence: confidence === undefined ? null : Number(confidence),
    by: String(tagOf(span.tags, "windvane.inferred.by") ?? ""),
  };
}

/** How many traces are attached. */
export const attachedTraces = (trace: Trace): number =>
  new Set(trace.nodes.flatMap((node) => attachedOf(node.span)?.trace ?? [])).size;
