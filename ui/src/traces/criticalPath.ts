/** The critical path of a trace, laid over its spans. */

import type { TracePath } from "../api/analysis";
import { isoMicros } from "./summary";
import type { Trace } from "./tree";

export interface Section {
  /** Microseconds since the trace's start, and microseconds. */
  start: number;
  duration: number;
}

export interface CriticalPath {
  /** Sections by span id, in order. */
  sections: ReadonlyMap<string, Section[]>;
  /** Microseconds of the path that each span owns. */
  owned: ReadonlyMap<string, number>;
  total: number;
}

export const NO_PATH: CriticalPath = { sections: new Map(), owned: new Map(), total: 0 };

/** Sections that reach out of their span (a clock that was corrected) are cut to it. */
export function layOver(path: TracePath, trace: Trace): CriticalPath {
  const offset = isoMicros(path.start) - trace.start;
  const sections = new Map<string, Section[]>();
  const owned = new Map<string, number>();
  for (const section of path.sections) {
    const node = trace.nodes[trace.index.get(section.span_id) ?? -1];
    if (!node) continue;
    const duration = section.duration_ms * 1000;
    const begin = offset + section.start_ms * 1000;
    const start = Math.min(Math.max(begin, node.start), node.start + node.duration);
    const end = Math.max(start, Math.min(begin + duration, node.start + node.duration));
    const list = sections.get(section.span_id) ?? [];
    list.push({ start, duration: end - start });
    sections.set(section.span_id, list);
    owned.set(section.span_id, (owned.get(section.span_id) ?? 0) + duration);
  }
  return { sections, owned, total: path.duration_ms * 1000 };
}

/** Sections with less than `gap` between them as one: a span with a thousand calls needs no thousand marks. */
export function joined(sections: readonly Section[], gap: number): Section[] {
  const result: Section[] = [];
  for (const section of sections) {
    const last = result[result.length - 1];
    if (last && section.start - (last.start + last.duration) <= gap)
      last.duration = section.start + section.duration - last.start;
    else result.push({ ...section });
  }
  return result;
}
