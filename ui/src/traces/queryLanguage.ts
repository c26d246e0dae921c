/** The query bar's language in an editor: its colours, and names and values of what was stored last. */

import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { StreamLanguage } from "@codemirror/language";
import type { Language } from "../components/CodeEditor";
import { contextAt, type Token, tokenize, type TokenType, writeKey, writeValue } from "./querySyntax";

/** A name that a query can use, and its values by how many have them. */
export interface OfferedField {
  name: string;
  scope: string;
  values: { value: string; n: number }[];
}

export interface Offers {
  /** Offered first, whether or not the newest rows could be read. */
  own: { name: string; example: string }[];
  /** The names in use; of one name alone, with many values. */
  fetch: (name: string, values: number, signal: AbortSignal) => Promise<OfferedField[]>;
  /** What stands beside a value. */
  counted: (n: number) => string;
}

const COLOUR: Record<TokenType, string> = {
  key: "labelName",
  operator: "operator",
  keyword: "keyword",
  bracket: "paren",
  string: "string",
  regex: "string",
  number: "number",
  value: "variableName",
  word: "variableName",
};

const KEPT_MS = 60_000;
const VALUES = 50;

/** A language over what can be offered; made once for an editor, for it keeps what was read. */
export function queryLanguage(offers: Offers): Language {
  const fieldsOf = keeper(offers);
  const complete = async (context: CompletionContext): Promise<CompletionResult | null> => {
    const here = contextAt(context.state.doc.toString(), context.pos);
    if (here.kind === "key" && !here.text && !context.explicit && context.pos > 0) return null;
    const fields = await fieldsOf(here.kind === "value" ? bareName(here.key) : "").catch(() => []);
    const options = here.kind === "value" ? values(here.key, fields, offers) : keys(fields, offers);
    return { from: here.from, to: here.to, options, filter: true };
  };
  return { extension: grammar(complete), oneLine: true };
}

/** Reads the fields of the newest rows (of one name: with many values), again after a minute. */
function keeper({ fetch }: Offers): (name: string) => Promise<OfferedField[]> {
  const kept = new Map<string, { at: number; fields: Promise<OfferedField[]> }>();
  return (name) => {
    const known = kept.get(name);
    if (known && Date.now() - known.at < KEPT_MS) return known.fields;
    const fields = fetch(name, name ? VALUES : 1, AbortSignal.timeout(10_000));
    kept.set(name, { at: Date.now(), fields });
    fields.catch(() => kept.delete(name));
    return fields;
  };
}

/** `resource.zone` asks for fields called `zone`. */
const bareName = (key: string): string => key.replace(/^(?:resource|span|scope|event|link|log)\./, "");

function keys(fields: OfferedField[], offers: Offers): Completion[] {
  const known = new Set(offers.own.map((one) => one.name));
  const own = offers.own.map((one, index) => ({
    label: one.name,
    detail: one.example,
    apply: one.name === "duration" ? "duration>" : `${one.name}:`,
    boost: 50 - index,
  }));
  const found = fields
    .filter((field) => !known.has(field.name))
    .map((field) => ({
      label: writeKey(field.name, field.scope),
      detail: field.values[0]?.value.slice(0, 40) ?? "",
      apply: `${writeKey(field.name, field.scope)}:`,
    }));
  return [...own, ...found];
}

function values(key: string, fields: OfferedField[], offers: Offers): Completion[] {
  const counts = new Map<string, number>();
  for (const field of fields) {
    for (const { value, n } of field.values) counts.set(value, Math.max(n, counts.get(value) ?? 0));
  }
  const found = [...counts].sort((a, b) => b[1] - a[1]);
  const offered =
    key === "error" && !found.length
      ? ([
          ["true", 0],
          ["false", 0],
        ] as [string, number][])
      : found;
  return offered.map(([value, n], index) => ({
    label: writeValue(value),
    detail: n ? offers.counted(n) : "",
    boost: 99 - Math.min(99, index),
  }));
}

type Complete = (context: CompletionContext) => Promise<CompletionResult | null>;

const grammar = (complete: Complete) =>
  StreamLanguage.define<{ text: string; tokens: Token[] }>({
    startState: () => ({ text: "", tokens: [] }),
    token(stream, state) {
      if (state.text !== stream.string) {
        state.text = stream.string;
        state.tokens = tokenize(stream.string);
      }
      const token = state.tokens.find((one) => one.to > stream.pos);
      if (!token) {
        stream.skipToEnd();
        return null;
      }
      if (token.from > stream.pos) {
        stream.pos = token.from;
        return null;
      }
      stream.pos = token.to;
      return COLOUR[token.type];
    },
    languageData: { autocomplete: complete },
  });
