/** The editor of the trace search: names and values are those of the newest spans. */

import { fetchFields } from "../api/traces";
import { CodeEditor, type EditorProps } from "../components/CodeEditor";
import { t } from "../i18n";
import { formatCount } from "../lib/format";
import { queryLanguage } from "./queryLanguage";

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

const LANGUAGE = queryLanguage({
  own: OWN,
  fetch: async (name, values, signal) =>
    (await fetchFields(name, values, signal)).fields
      .filter((field) => name !== "" || field.scope !== "")
      .map((field) => ({
        ...field,
        values: field.values.map((one) => ({ value: one.value, n: one.spans })),
      })),
  counted: (n) => t("query.spans", { n: formatCount(n) }),
});

export function QueryEditor(props: EditorProps) {
  return <CodeEditor {...props} language={LANGUAGE} />;
}
