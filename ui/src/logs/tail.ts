/** Lines as they arrive: the newest first, bounded, each once. */

import type { LogLine } from "../api/logs";

export type TailItem = { kind: "line"; line: LogLine } | { kind: "skipped"; id: string; lines: number };

/** So many are kept on the page; older ones are found by a search. */
export const KEPT = 1000;

/** What is shown after these arrived, in the order of their arrival. */
export function arrived(shown: readonly TailItem[], news: readonly TailItem[]): TailItem[] {
  const known = new Set(shown.map(idOf));
  const fresh: TailItem[] = [];
  for (const item of news) {
    if (known.has(idOf(item))) continue;
    known.add(idOf(item));
    fresh.unshift(item);
  }
  return [...fresh, ...shown].slice(0, KEPT);
}

export const idOf = (item: TailItem): string => (item.kind === "line" ? item.line.id : item.id);
