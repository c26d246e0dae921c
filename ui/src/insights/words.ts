/** Names of signals, scopes and incidents in the reader's language. */

import type { Incident, Scope } from "../api/incidents";
import { language } from "../app/prefs";
import { t } from "../i18n";
import { factorText, fullName, leadingAnomaly } from "./model";

const SIGNALS = ["rate", "errors", "latency"] as const;
type Known = (typeof SIGNALS)[number];

const known = (signal: string): signal is Known => (SIGNALS as readonly string[]).includes(signal);

export const signalName = (signal: string): string =>
  known(signal) ? t(`incidents.signal.${signal}`) : signal;

/** A service, or the part of it that was watched: a version, a workload, an operation, the calls from one caller. */
export function scopeName(scope: Scope): string {
  if (!scope.detail) return fullName(scope);
  return scope.kind === "edge"
    ? `${scope.detail} → ${fullName(scope)}`
    : `${fullName(scope)} · ${scope.detail}`;
}

/** The server tells in English; other languages name the anomaly that leads. */
export function titleOf(one: Incident): string {
  const odd = leadingAnomaly(one);
  if (language.value === "en" || !odd || !known(odd.signal)) return one.title;
  const key = odd.signal === "rate" ? (odd.factor < 1 ? "less" : "more") : odd.signal;
  return t(`incidents.title.${key}`, { service: scopeName(odd.scope), factor: factorText(odd.factor) });
}
