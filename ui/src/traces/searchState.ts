/** The trace search as the URL carries it, so that a link shows the same page. */

export const SORTS = ["newest", "oldest", "slowest", "most"] as const;
export type Sort = (typeof SORTS)[number];

export const PICTURES = ["heatmap", "scatter", "none"] as const;
export type Picture = (typeof PICTURES)[number];

export interface SearchState {
  q: string;
  sort: Sort;
  picture: Picture;
}

export function readState(params: URLSearchParams): SearchState {
  return {
    q: (params.get("q") ?? "").trim(),
    sort: SORTS.find((sort) => sort === params.get("sort")) ?? "newest",
    picture: PICTURES.find((picture) => picture === params.get("picture")) ?? "heatmap",
  };
}

/** The parameters of a changed state; what is usual is left out. */
export function stateParams(change: Partial<SearchState>): Record<string, string | null> {
  const params: Record<string, string | null> = {};
  if (change.q !== undefined) params.q = change.q.trim() || null;
  if (change.sort) params.sort = change.sort === "newest" ? null : change.sort;
  if (change.picture) params.picture = change.picture === "heatmap" ? null : change.picture;
  return params;
}

/** A query that is nothing but a trace's id opens that trace. */
export const asTraceId = (q: string): string | null =>
  /^[0-9a-f]{16,32}$/i.test(q.trim()) ? q.trim().toLowerCase() : null;

const PLACE = /^query, character (\d+): (.*)$/s;

/** Where the server found a mistake in the query, in UTF-16 units from 0; null for other errors. */
export function mistakeOf(message: string, q: string): { at: number; reason: string } | null {
  const match = PLACE.exec(message);
  if (!match) return null;
  const before = [...q].slice(0, Number(match[1]) - 1).join("");
  return { at: before.length, reason: match[2]! };
}
