/** The query bar's editor: its language's colours, and names and values from the newest spans. */

import type { Completion, CompletionContext, CompletionResult } from "@codemirror/autocomplete";
import { StreamLanguage } from "@codemirror/language";
import { fetchFields, type FieldName } from "../api/traces";
import { CodeEditor, type EditorProps } from "../components/CodeEditor";
import { t } from "../i18n";
import { formatCount } from "../lib/format";
import { contextAt, type Token, tokenize, type TokenType, writeKey, writeValue } from "./querySyntax";

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

/** What every span has: offered first, whether or not the newest spans could be read. */
const OWN: { name: string; example: string }[] = [
  { name: "service", example: "service:reviews" },
  { name: "name", example: "name:GET*" },
  { name: "kind", example: "kind:server" },
  { name: "status", example: "status:error" },
  { name: "error", example: "error:true" },
  { name: "duration", example: "duration>100ms" },
  { name: "status.message", example: "status.message:timeout" },
  { name: "trace", example: "trace:4bf92f…" },
  { name: "span_id", example: "span_id:00f067…" },
];

const KEPT_MS = 60_000;
const VALUES = 50;
const kept = new Map<string, { at: number; fields: Promise<FieldName[]> }>();

/** The fields of the newest spans (of one name: with many values), asked again after a minute. */
function fieldsOf(name: string): Promise<FieldName[]> {
  const known = kept.get(name);
  if (known && Date.now() - known.at < KEPT_MS) return known.fields;
  const fields = fetchFields(name, name ? VALUES : 1, AbortSignal.timeout(10_000)).then(
    (found) => found.fields,
  );
  kept.set(name, { at: Date.now(), fields });
  fields.catch(() => kept.delete(name));
  return fields;
}

async function complete(context: CompletionContext): Promise<CompletionResult | null> {
  const here = contextAt(context.state.doc.toString(), context.pos);
  if (here.kind === "key" && !here.text && !context.explicit && context.pos > 0) return null;
  const fields = await fieldsOf(here.kind === "value" ? bareName(here.key) : "").catch(() => []);
  const options = here.kind === "value" ? values(here.key, fields) : keys(fields);
  return { from: here.from, to: here.to, options, filter: true };
}

/** `resource.zone` asks for fields called `zone`. */
const bareName = (key: string): string => key.replace(/^(?:resource|span|scope|event|link)\./, "");

function keys(fields: FieldName[]): Completion[] {
  const known = new Set(OWN.map((one) => one.name));
  const own = OWN.map((one, index) => ({
    label: one.name,
    detail: one.example,
    apply: one.name === "duration" ? "duration>" : `${one.name}:`,
    boost: 50 - index,
  }));
  const found = fields
    .filter((field) => field.scope !== "" && !known.has(field.name))
    .map((field) => ({
      label: writeKey(field.name, field.scope),
      detail: field.values[0]?.value.slice(0, 40) ?? "",
      apply: `${writeKey(field.name, field.scope)}:`,
    }));
  return [...own, ...found];
}

function values(key: string, fields: FieldName[]): Completion[] {
  const counts = new Map<string, number>();
  for (const field of fields) {
    for (const { value, spans } of field.values) counts.set(value, Math.max(spans, counts.get(value) ?? 0));
  }
  const found = [...counts].sort((a, b) => b[1] - a[1]);
  const offered =
    key === "error" && !found.length
      ? ([
          ["true", 0],
          ["false", 0],
        ] as [string, number][])
      : found;
  return offered.map(([value, spans], index) => ({
    label: writeValue(value),
    detail: spans ? t("query.spans", { n: formatCount(spans) }) : "",
    boost: 99 - Math.min(99, index),
  }));
}

const language = StreamLanguage.define<{ text: string; tokens: Token[] }>({
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

const LANGUAGE = { extension: language, oneLine: true };

export function QueryEditor(props: EditorProps) {
  return <CodeEditor {...props} language={LANGUAGE} />;
}
