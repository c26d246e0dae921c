/** Text in the reader's language. A wrong key or a missing variable does not compile. */

import { language } from "../app/prefs";
import { uptimeParts } from "../lib/format";
import { durationText } from "../lib/time";
import { en, type Key } from "./en";
import { zh } from "./zh";

export type { Key } from "./en";

type Names<Text extends string> = Text extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Names<Rest>
  : never;
type Variables<K extends Key> = Record<Names<(typeof en)[K]>, string | number>;
/** Keys of texts without variables. */
export type PlainKey = { [K in Key]: [Names<(typeof en)[K]>] extends [never] ? K : never }[Key];

type Arguments<K extends Key> = [Names<(typeof en)[K]>] extends [never] ? [] : [Variables<K>];

/** The text for a key; reading it inside a component follows a change of language. */
export function t<K extends Key>(key: K, ...args: Arguments<K>): string {
  const text: string = (language.value === "zh" ? zh : en)[key];
  return fill(text, args[0] as Record<string, string | number> | undefined);
}

export function fill(text: string, variables: Record<string, string | number> | undefined): string {
  if (!variables) return text;
  return text.replace(/\{(\w+)\}/g, (whole, name: string) => String(variables[name] ?? whole));
}

type Counted = Key extends infer K ? (K extends `${infer Base}.one` ? Base : never) : never;

/** Text that depends on a number: `<key>.one` and `<key>.other`. */
export function count(key: Counted, n: number): string {
  const form = n === 1 ? "one" : "other";
  const text: string = (language.value === "zh" ? zh : en)[`${key}.${form}` as Key];
  return fill(text, { n: n.toLocaleString("en-US") });
}

/** 300 → "5 min": a duration in the reader's words. */
export function durationWords(seconds: number): string {
  const short = durationText(seconds);
  const unit = short.slice(-1) as "s" | "m" | "h" | "d";
  return t(`unit.${unit}`, { n: short.slice(0, -1) });
}

/** 5423 → "1 h 30 min". */
export function uptimeWords(seconds: number): string {
  return uptimeParts(seconds)
    .map(({ n, unit }) => t(`unit.${unit}`, { n }))
    .join(" ");
}
