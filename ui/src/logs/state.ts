/** The log pages as the URL carries them. */

export const SORTS = ["newest", "oldest"] as const;
export const KINDS = ["all", "log", "access"] as const;
export const BYS = ["severity", "status", "service", "kind"] as const;

export interface LogState {
  q: string;
  kind: (typeof KINDS)[number];
  sort: (typeof SORTS)[number];
  /** What tells the bars of the histogram apart. */
  by: (typeof BYS)[number];
  live: boolean;
  wrap: boolean;
  compare: boolean;
}

export function readLogState(params: URLSearchParams): LogState {
  const one = <T extends string>(name: string, choices: readonly T[]): T =>
    choices.find((choice) => choice === params.get(name)) ?? choices[0]!;
  return {
    q: (params.get("q") ?? "").trim(),
    kind: one("kind", KINDS),
    sort: one("sort", SORTS),
    by: one("by", BYS),
    live: params.get("live") === "on",
    wrap: params.get("wrap") === "on",
    compare: params.get("compare") === "on",
  };
}

/** The parameters of a changed state; what is usual is left out. */
export function logParams(change: Partial<LogState>): Record<string, string | null> {
  const params: Record<string, string | null> = {};
  if (change.q !== undefined) params.q = change.q.trim() || null;
  if (change.kind) params.kind = change.kind === KINDS[0] ? null : change.kind;
  if (change.sort) params.sort = change.sort === SORTS[0] ? null : change.sort;
  if (change.by) params.by = change.by === BYS[0] ? null : change.by;
  for (const name of ["live", "wrap", "compare"] as const) {
    if (change[name] !== undefined) params[name] = change[name] ? "on" : null;
  }
  return params;
}
