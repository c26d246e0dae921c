/** Queries that were run in this browser, newest first; a list for each language. */

import { read, write } from "./stored";

export type QueryList = "windvane.recent-queries" | "windvane.recent-trace-queries";
const KEPT = 20;

/** What is kept after queries were run: those first, each once, no more than `KEPT`. */
export function withRun(kept: readonly string[], run: readonly string[]): string[] {
  const said = run.map((text) => text.trim()).filter(Boolean);
  return [...new Set([...said, ...kept])].slice(0, KEPT);
}

export function recentQueries(list: QueryList): string[] {
  try {
    const stored: unknown = JSON.parse(read(list) ?? "[]");
    return Array.isArray(stored) ? stored.filter((one) => typeof one === "string") : [];
  } catch {
    return []; // somebody else's value
  }
}

export function remember(list: QueryList, run: readonly string[]): void {
  write(list, JSON.stringify(withRun(recentQueries(list), run)));
}
