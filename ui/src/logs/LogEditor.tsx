/** The editor of the log search: names and values are those of the newest lines. */

import { fetchLogFields } from "../api/logs";
import { CodeEditor, type EditorProps } from "../components/CodeEditor";
import { t } from "../i18n";
import { formatCount } from "../lib/format";
import { queryLanguage } from "../traces/queryLanguage";

const OWN = [
  { name: "severity", example: "severity>=warn" },
  { name: "service", example: "service:reviews" },
  { name: "namespace", example: "namespace:shop" },
  { name: "kind", example: "kind:access" },
  { name: "body", example: 'body:"out of stock*"' },
  { name: "status", example: "status>=500" },
  { name: "method", example: "method:POST" },
  { name: "path", example: "path:/api*" },
  { name: "duration", example: "duration>100ms" },
  { name: "flags", example: "flags:UF" },
  { name: "trace_id", example: "trace_id:4bf92f…" },
];
/** Scopes that a query writes in front of a name; headers and tags of access logs go by their name alone. */
const WRITTEN = new Set(["log", "resource", "scope"]);

const LANGUAGE = queryLanguage({
  own: OWN,
  fetch: async (name, values, signal) =>
    (await fetchLogFields({ name, limit: values }, signal)).fields.map((field) => ({
      name: field.name,
      scope: WRITTEN.has(field.scope) ? field.scope : "",
      values: field.values
        .filter((one) => one.value !== "")
        .map((one) => ({ value: one.value, n: one.lines })),
    })),
  counted: (n) => t("logs.counted", { n: formatCount(n) }),
});

export function LogEditor(props: EditorProps) {
  return <CodeEditor {...props} language={LANGUAGE} />;
}
