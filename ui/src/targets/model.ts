/** Targets by scrape pool, the unhealthy first. */

import type { ActiveTarget, TargetHealth } from "../api/rules";

export interface TargetPool {
  name: string;
  targets: ActiveTarget[];
  up: number;
}

const RANK: Record<TargetHealth, number> = { down: 0, unknown: 1, up: 2 };

export function pools(targets: ActiveTarget[], health: TargetHealth | null, text: string): TargetPool[] {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  const byName = new Map<string, TargetPool>();
  for (const target of targets) {
    const one = byName.get(target.scrapePool) ?? { name: target.scrapePool, targets: [], up: 0 };
    byName.set(target.scrapePool, one);
    const words = [target.scrapePool, target.scrapeUrl, target.lastError, ...pairs(target.labels)]
      .join(" ")
      .toLowerCase();
    if (health && target.health !== health) continue;
    if (!wanted.every((word) => words.includes(word))) continue;
    one.targets.push(target);
    if (target.health === "up") one.up += 1;
  }
  const worst = (one: TargetPool) => Math.min(...one.targets.map((target) => RANK[target.health]));
  for (const one of byName.values())
    one.targets.sort((a, b) => RANK[a.health] - RANK[b.health] || a.scrapeUrl.localeCompare(b.scrapeUrl));
  return [...byName.values()]
    .filter((one) => one.targets.length > 0)
    .sort((a, b) => worst(a) - worst(b) || a.name.localeCompare(b.name));
}

const pairs = (labels: Record<string, string>): string[] =>
  Object.entries(labels).map(([name, value]) => `${name}=${value}`);
