/** What the wizards ask for, and the forms that the server takes (as `windvane new` does). */

import type { ConfigResources, ServiceVersions } from "../api/config";

export const INTENTS = ["canary", "ab", "fault", "timeout", "retry", "mtls", "allow", "deny"] as const;
export type Intent = (typeof INTENTS)[number];

export const isIntent = (text: string | null): text is Intent => INTENTS.includes(text as Intent);

/** Everything that any form asks, as the fields hold it. */
export interface Answers {
  /** `namespace/name`. */
  service: string;
  shares: Record<string, number>;
  variant: string;
  fallback: string;
  match: "header" | "cookie";
  matchName: string;
  matchValue: string;
  percent: string;
  delay: string;
  abort: string;
  duration: string;
  attempts: string;
  perTry: string;
  conditions: string;
  mode: "STRICT" | "PERMISSIVE" | "DISABLE";
  /** Whether mTLS is said of the service's workloads alone. */
  whole: boolean;
  accounts: string;
  namespaces: string;
  methods: string;
  paths: string;
}

export const EMPTY: Answers = {
  service: "",
  shares: {},
  variant: "",
  fallback: "",
  match: "header",
  matchName: "",
  matchValue: "",
  percent: "10",
  delay: "2s",
  abort: "",
  duration: "3s",
  attempts: "2",
  perTry: "",
  conditions: "",
  mode: "STRICT",
  whole: false,
  accounts: "",
  namespaces: "",
  methods: "",
  paths: "",
};

export const serviceKey = (one: ServiceVersions): string => `${one.namespace}/${one.service}`;

/** Services that have workloads of the mesh: only they have versions to choose from. */
export const choices = (data: ConfigResources): ServiceVersions[] =>
  data.services.filter((one) => one.versions.length > 0 || one.ports.length > 0);

/** The answers for a newly chosen service: as its requests are split now, else nine of ten at its first version. */
export function forService(answers: Answers, one: ServiceVersions): Answers {
  const [first = "", second = first] = one.versions;
  const split = Object.values(one.shares).some((weight) => weight > 0);
  const shares = Object.fromEntries(one.versions.map((version) => [version, one.shares[version] ?? 0]));
  if (first && !split) shares[first] = second === first ? 100 : 90;
  if (second !== first && !split) shares[second] = 10;
  return { ...answers, service: serviceKey(one), shares, fallback: first, variant: second };
}

const words = (text: string): string[] => text.split(/[\s,]+/).filter(Boolean);
const number = (text: string): number | null => (/^\d+(\.\d+)?$/.test(text.trim()) ? Number(text) : null);
const DURATION = /^(\d+(\.\d+)?(h|m|s|ms))+$/;

/** The names of fields that keep a form from being sent. */
export function missing(intent: Intent, answers: Answers): (keyof Answers)[] {
  const wrong: (keyof Answers)[] = [];
  const need = (name: keyof Answers, good: boolean) => !good && wrong.push(name);
  need("service", answers.service.includes("/"));
  if (intent === "canary")
    need(
      "shares",
      Object.values(answers.shares).some((weight) => weight > 0),
    );
  if (intent === "ab") {
    need("variant", answers.variant !== "");
    need("fallback", answers.fallback !== "" && answers.fallback !== answers.variant);
  }
  if (intent === "ab" || (intent === "fault" && (answers.matchName || answers.matchValue))) {
    need("matchName", /^[\w-]+$/.test(answers.matchName));
    need("matchValue", answers.matchValue !== "");
  }
  if (intent === "fault") {
    const percent = number(answers.percent);
    need("percent", percent !== null && percent > 0 && percent <= 100);
    need("delay", answers.delay === "" || DURATION.test(answers.delay));
    need("abort", answers.abort === "" || /^[2-5]\d\d$/.test(answers.abort));
    need("delay", answers.delay !== "" || answers.abort !== "");
  }
  if (intent === "timeout") need("duration", DURATION.test(answers.duration));
  if (intent === "retry") {
    need("attempts", /^\d{1,2}$/.test(answers.attempts));
    need("perTry", answers.perTry === "" || DURATION.test(answers.perTry));
  }
  if (intent === "allow" || intent === "deny") {
    const said = [answers.accounts, answers.namespaces, answers.methods, answers.paths];
    need(
      "accounts",
      said.some((text) => words(text).length > 0),
    );
  }
  return wrong;
}

/** The form as the server takes it; only for answers of which nothing is missing. */
export function formOf(intent: Intent, answers: Answers): Record<string, unknown> {
  const [namespace = "", service = ""] = answers.service.split("/");
  const base = { kind: intent, namespace, service };
  const pair = answers.matchName ? { [answers.matchName]: answers.matchValue } : {};
  const match = answers.match === "cookie" ? { cookies: pair } : { headers: pair };
  switch (intent) {
    case "canary": {
      const shares = Object.entries(answers.shares).filter(([, weight]) => weight > 0);
      return { ...base, shares: Object.fromEntries(shares) };
    }
    case "ab":
      return { ...base, variant: answers.variant, default: answers.fallback, ...match };
    case "fault":
      return {
        ...base,
        percent: Number(answers.percent),
        delay: answers.delay,
        abort: answers.abort ? Number(answers.abort) : null,
        ...match,
      };
    case "timeout":
      return { ...base, duration: answers.duration };
    case "retry":
      return {
        ...base,
        attempts: Number(answers.attempts),
        per_try: answers.perTry,
        conditions: words(answers.conditions).join(","),
      };
    case "mtls":
      return {
        kind: intent,
        namespace,
        mode: answers.mode,
        labels: answers.whole ? {} : { app: service },
      };
    default:
      return {
        ...base,
        accounts: words(answers.accounts),
        namespaces: words(answers.namespaces),
        methods: words(answers.methods).map((method) => method.toUpperCase()),
        paths: words(answers.paths),
      };
  }
}
