/** `window.__windvane`: what is on the screen, readable by browser tests. Never written to by them. */

export interface Probe {
  graph?: {
    nodes: readonly object[];
    edges: readonly object[];
    positions: Record<string, { x: number; y: number }>;
  };
  traces?: { ids: readonly string[] };
  trace?: { id: string; spans: number; roots: number; services: readonly string[] };
}

declare global {
  interface Window {
    __windvane: Readonly<Probe>;
  }
}

let probe: Probe = {};

Object.defineProperty(window, "__windvane", { get: () => probe });

export function publish<K extends keyof Probe>(key: K, value: Probe[K]): void {
  probe = Object.freeze({ ...probe, [key]: value });
}
