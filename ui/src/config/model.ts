/** What the configuration's pages derive from its routes' JSON. */

import type { ResourceName, ResourceRow, Version, What } from "../api/config";

export const nameOf = (one: ResourceName): string => `${one.kind} ${one.namespace}/${one.name}`;

/** `Kind/namespace/name` of a URL; null for anything else. */
export function readName(text: string | null): ResourceName | null {
  const [kind, namespace, name, more] = (text ?? "").split("/");
  return kind && namespace && name && more === undefined ? { kind, namespace, name } : null;
}

export const writeName = (one: ResourceName): string => `${one.kind}/${one.namespace}/${one.name}`;

export interface Group {
  namespace: string;
  rows: ResourceRow[];
}

/** Resources by namespace, then kind and name; `text` is looked for in kind, namespace, name and file. */
export function grouped(
  rows: readonly ResourceRow[],
  { text, kind, only }: { text: string; kind: string; only: boolean },
): Group[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  const groups = new Map<string, ResourceRow[]>();
  for (const row of rows) {
    const all = `${row.kind} ${row.namespace} ${row.name} ${row.file}`.toLowerCase();
    if (!words.every((word) => all.includes(word))) continue;
    if ((kind && row.kind !== kind) || (only && row.errors + row.warnings + row.infos === 0)) continue;
    groups.set(row.namespace, [...(groups.get(row.namespace) ?? []), row]);
  }
  return [...groups]
    .map(([namespace, found]) => ({
      namespace,
      rows: found.sort((a, b) => a.kind.localeCompare(b.kind) || a.name.localeCompare(b.name)),
    }))
    .sort((a, b) => a.namespace.localeCompare(b.namespace));
}

export const WHATS: What[] = ["added", "changed", "removed"];

export const changesOf = (one: Pick<Version, What>): number => one.added + one.changed + one.removed;

/** The last parts of a path: what tells files of one folder apart. */
export const shortFile = (file: string): string => file.split("/").slice(-2).join("/");

/** The interval to look at a version's telemetry in: a moment before it went live, until it went. */
export function lifetime(one: Pick<Version, "live_at" | "until">, now: number): { from: number; to: number } {
  const to = one.until ?? now;
  const before = Math.min(300, Math.max(60, (to - one.live_at) / 4));
  return { from: Math.floor(one.live_at - before), to: Math.ceil(Math.max(to, one.live_at + 60)) };
}

/** A change of the configuration on a chart. */
export interface ConfigMark {
  number: number;
  /** Seconds since 1970. */
  time: number;
  text: string;
}

/** Resources that a mark names. */
const NAMED = 3;

/** The first version is where the history begins, which is no change. */
export const marksOf = (versions: readonly Version[]): ConfigMark[] =>
  versions
    .filter((one) => one.number > 1)
    .map((one) => ({ number: one.number, time: one.live_at, text: markText(one) }));

function markText(one: Version): string {
  const shown = one.changes.slice(0, NAMED).map(nameOf);
  const more = changesOf(one) - shown.length;
  return `#${one.number} ${shown.join(", ")}${more > 0 ? ` +${more}` : ""}`;
}
