/** Queries that were run in this browser, newest first. */

import { read, write } from "../lib/stored";

const KEY = "windvane.recent-queries";
const KEPT = 20;

/** What is kept after queries were run: those first, each once, no more than `KEPT`. */
export function withRun(kept: readonly string[], run: readonly string[]): string[] {
  const said = run.map((expr) => expr.trim()).filter(Boolean);
  return [...new Set([...said, ...kept])].slice(0, KEPT);
}

export function recentQueries(): string[] {
  try {
    const stored: unknown = JSON.parse(read(KEY) ?? "[]");
    return Array.isArray(stored) ? stored.filter((one) => typeof one === "string") : [];
  } catch {
    return []; // somebody else's value
  }
}

export function remember(run: readonly string[]): void {
  write(KEY, JSON.stringify(withRun(recentQueries(), run)));
}
