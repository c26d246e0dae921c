/** One query: its editor, what the server says about it, and what it cost. */

import { useMemo } from "preact/hooks";
import { lazy } from "../app/lazy";
import { IconButton } from "../components/Controls";
import { Icon } from "../components/Icon";
import { messageFor } from "../components/States";
import { count, t } from "../i18n";
import { formatCount, formatMs } from "../lib/format";
import type { EditorProps } from "../components/CodeEditor";
import { pointCount, type Result } from "./load";
import { placeOf, placesOf } from "../lib/places";
import type { Query } from "./state";

const Editor = lazy<EditorProps>(() => import("./Editor").then((m) => m.Editor));

interface Props {
  index: number;
  query: Query;
  several: boolean;
  focus: boolean;
  result: Result | null;
  busy: boolean;
  onInput: (expr: string) => void;
  onRun: () => void;
  onHide: () => void;
  onRemove: () => void;
}

export const letter = (index: number): string => String.fromCharCode(65 + (index % 26));

export function QueryRow(props: Props) {
  const { query, result, index } = props;
  const { error, answer } = result ?? {};
  const problems = useMemo(
    () => placesOf({ ...(error ? { error: error.message } : {}), ...(answer ?? {}) }),
    [error, answer],
  );
  return (
    <div class={`query ${query.hidden ? "query-hidden" : ""}`} data-testid="query-row">
      <div class={`query-line ${error ? "query-bad" : ""}`}>
        {props.several && <b class="query-letter">{letter(index)}</b>}
        <div class="query-editor">
          <Editor
            testId="promql-editor"
            value={query.expr}
            label={t("metrics.query", { letter: letter(index) })}
            hint={t("metrics.placeholder")}
            problems={problems}
            asked={result?.expr ?? null}
            focus={props.focus}
            onInput={props.onInput}
            onRun={props.onRun}
          />
        </div>
        <span class="button-group query-buttons">
          {props.several && (
            <IconButton
              label={query.hidden ? t("metrics.show") : t("metrics.hide")}
              icon="eye"
              pressed={!query.hidden}
              onClick={props.onHide}
            />
          )}
          {(props.several || query.expr) && (
            <IconButton label={t("metrics.remove")} icon="close" onClick={props.onRemove} />
          )}
          {index === 0 && (
            <button type="button" class="button button-primary" data-testid="run-query" onClick={props.onRun}>
              <Icon name="play" size={12} />
              <span>{t("metrics.run")}</span>
            </button>
          )}
        </span>
      </div>
      {error && (
        <p class="query-message text-bad" role="alert" data-testid="query-error">
          <Icon name="warning" size={14} />
          <Message text={messageFor(error)} />
        </p>
      )}
      {answer?.warnings.map((text) => (
        <p key={text} class="query-message text-warn">
          <Icon name="warning" size={14} />
          <Message text={text} />
        </p>
      ))}
      {answer?.infos.map((text) => (
        <p key={text} class="query-message muted">
          <Icon name="warning" size={14} />
          <Message text={text} />
        </p>
      ))}
      {answer && <Cost result={result!} />}
    </div>
  );
}

/** A message of the server, its place in the reader's words. */
function Message({ text }: { text: string }) {
  const place = placeOf(text, "error");
  if (!place) return <span>{text}</span>;
  return (
    <span>
      {t("metrics.place", { line: place.line, column: place.column })} {place.message}
    </span>
  );
}

/** "12 series · 2,880 points · 34,560 samples read · 23 ms". */
function Cost({ result }: { result: Result }) {
  const answer = result.answer!;
  const read = answer.stats?.samples?.totalQueryableSamples;
  const series = answer.type === "matrix" ? answer.series.length : answer.samples.length;
  const server = answer.stats?.timings?.execTotalTime ?? answer.stats?.timings?.evalTotalTime;
  const parts = [
    count("metrics.cost.series", series),
    t("metrics.cost.points", { n: formatCount(pointCount(answer)) }),
    ...(read === undefined ? [] : [t("metrics.cost.samples", { n: formatCount(read) })]),
    ...(server === undefined ? [] : [formatMs(server * 1000)]),
  ];
  return (
    <p class="query-cost muted" data-testid="query-cost">
      {parts.join(" · ")}
    </p>
  );
}
