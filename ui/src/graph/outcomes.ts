/** How requests ended, over one or more edges. */

import type { GraphEdge } from "./model";

export interface Outcome {
  code: string;
  flags: string;
  hosts: string[];
  share: number;
}

/** Shares (0…1) of all requests of these edges, weighted by their rates; greatest first. */
export function outcomes(edges: GraphEdge[]): Outcome[] {
  const total = edges.reduce((sum, edge) => sum + edge.rate, 0);
  const found = new Map<string, Outcome>();
  for (const edge of edges) {
    for (const response of edge.responses) {
      for (const [flags, percent] of Object.entries(response.flags)) {
        const key = `${response.code} ${flags}`;
        const one = found.get(key) ?? { code: response.code, flags, hosts: [], share: 0 };
        one.share += total > 0 ? (percent / 100) * (edge.rate / total) : 0;
        one.hosts = [...new Set([...one.hosts, ...Object.keys(response.hosts)])];
        found.set(key, one);
      }
    }
  }
  return [...found.values()].sort((a, b) => b.share - a.share);
}

export function codeTone(code: string): string {
  if (/^[1-3]/.test(code) && code.length === 3) return "ok";
  if (code.startsWith("4")) return "warn";
  return code === "0" && code.length === 1 ? "bad" : /^5|^-/.test(code) ? "bad" : "plain";
}
