/** An editor of a query with its buttons, and what the server found wrong in it. */

import type { ComponentType } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { EditorProps } from "../components/CodeEditor";
import { Icon } from "../components/Icon";
import { RecentQueries } from "../components/RecentQueries";
import { t } from "../i18n";
import type { QueryList } from "../lib/recent";
import { mistakeOf } from "./searchState";

interface Props {
  editor: ComponentType<EditorProps>;
  /** Begins the test ids of its parts. */
  name: string;
  hint: string;
  list: QueryList;
  /** The query in the URL, and what the server said of it. */
  q: string;
  error: Error | undefined;
  busy: boolean;
  onRun: (q: string) => void;
}

export function QueryLine(props: Props) {
  const { editor: Editor, name, q, error, onRun } = props;
  const [text, setText] = useState(q);
  useEffect(() => setText(q), [q]);
  const mistake = error ? mistakeOf(error.message, q) : null;
  const problems = mistake
    ? [{ line: 1, column: mistake.at + 1, message: mistake.reason, severity: "error" as const }]
    : [];
  return (
    <>
      <div class={`query-line ${mistake ? "query-bad" : ""}`}>
        <div class="query-editor">
          <Editor
            testId={`${name}-query`}
            value={text}
            label={t("query.label")}
            hint={props.hint}
            problems={problems}
            asked={q}
            focus={false}
            onInput={setText}
            onRun={() => onRun(text)}
          />
        </div>
        <span class="button-group query-buttons">
          <RecentQueries list={props.list} align="right" iconOnly onPick={onRun} />
          <button
            type="button"
            class="button button-primary"
            data-testid={`${name}-search`}
            aria-busy={props.busy}
            onClick={() => onRun(text)}
          >
            <Icon name="search" size={14} />
            <span>{t("query.run")}</span>
          </button>
        </span>
      </div>
      {mistake && (
        <p class="query-message text-bad" role="alert" data-testid="query-error">
          <Icon name="warning" size={14} />
          <span>
            {t("query.mistake", { at: mistake.at + 1 })} {mistake.reason}
          </span>
        </p>
      )}
    </>
  );
}
