/** The PromQL editor: Prometheus's own grammar and completion. Loaded when the explorer opens, for it is large. */

import { PromQLExtension } from "@prometheus-io/codemirror-promql";
import { CodeEditor, type EditorProps } from "../components/CodeEditor";

const promql = new PromQLExtension().activateLinter(false).setComplete({
  remote: { url: "", lookbackInterval: 12 * 3_600_000, httpMethod: "GET", cache: { maxAge: 120_000 } },
});

const LANGUAGE = {
  extension: promql.asExtension(),
  lint: (view: Parameters<ReturnType<ReturnType<typeof promql.getLinter>["promQL"]>>[0]) =>
    promql.getLinter().promQL()(view),
};

export function Editor(props: EditorProps) {
  return <CodeEditor {...props} language={LANGUAGE} />;
}
