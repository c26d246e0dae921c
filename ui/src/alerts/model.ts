/** What the alerts page shows of rules: counted, filtered, the worst first. */

import type { ActiveAlert, AlertState, Rule, RuleGroup } from "../api/rules";

/** How a rule stands: an alert's state, a recording rule, or one whose evaluation fails. */
export type Standing = AlertState | "recording" | "broken";

export const STANDINGS: Standing[] = ["firing", "pending", "broken", "inactive", "recording"];

export function standing(rule: Rule): Standing {
  if (rule.health === "err") return "broken";
  return rule.type === "recording" ? "recording" : rule.state;
}

export const TONES: Record<Standing, string> = {
  firing: "bad",
  pending: "warn",
  broken: "bad",
  inactive: "ok",
  recording: "tcp",
};

export function countStandings(groups: RuleGroup[]): Record<Standing, number> {
  const counts = { firing: 0, pending: 0, broken: 0, inactive: 0, recording: 0 };
  for (const group of groups) for (const rule of group.rules) counts[standing(rule)] += 1;
  return counts;
}

const words = (rule: Rule, group: RuleGroup): string =>
  [
    rule.name,
    group.name,
    group.file,
    rule.query,
    ...Object.entries(rule.labels ?? {}).map(([key, value]) => `${key}=${value}`),
    ...(rule.type === "alerting"
      ? (rule.alerts ?? []).flatMap((alert) =>
          Object.entries(alert.labels).map(([key, value]) => `${key}=${value}`),
        )
      : []),
  ]
    .join(" ")
    .toLowerCase();

/** Groups with the rules that have one of the standings (none: all) and every word of the text. */
export function filterGroups(groups: RuleGroup[], chosen: readonly Standing[], text: string): RuleGroup[] {
  const wanted = text.toLowerCase().split(/\s+/).filter(Boolean);
  return groups
    .map((group) => ({
      ...group,
      rules: group.rules.filter(
        (rule) =>
          (chosen.length === 0 || chosen.includes(standing(rule))) &&
          wanted.every((word) => words(rule, group).includes(word)),
      ),
    }))
    .filter((group) => group.rules.length > 0);
}

/** Firing before pending, the longest first. */
export function ordered(alerts: ActiveAlert[]): ActiveAlert[] {
  const rank = (alert: ActiveAlert) => (alert.state === "firing" ? 0 : 1);
  return [...alerts].sort((a, b) => rank(a) - rank(b) || (a.activeAt ?? "").localeCompare(b.activeAt ?? ""));
}

/** Seconds since 1970 of an RFC 3339 time; null for none, and for Go's zero time. */
export function seconds(text: string | undefined): number | null {
  if (!text || text.startsWith("0001-")) return null;
  const time = Date.parse(text);
  return Number.isNaN(time) ? null : time / 1000;
}
