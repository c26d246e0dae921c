/** Above the waterfall: which view, finding in the trace, how deep it is shown, leaving a zoom. */

import type { ComponentChildren } from "preact";
import { Button, IconButton, TextField } from "../components/Controls";
import { t } from "../i18n";

interface Props {
  tabs: ComponentChildren;
  text: string;
  matches: number[];
  selected: number;
  depth: number;
  deepest: number;
  zoomed: boolean;
  onText: (text: string) => void;
  onMatch: (step: 1 | -1) => void;
  onDepth: (depth: number) => void;
  onResetZoom: () => void;
  onHelp: () => void;
}

export function WaterfallBar(props: Props) {
  const { text, matches, selected, depth, deepest } = props;
  const note =
    matches.length === 0
      ? t("trace.search.none")
      : t("trace.search.count", { at: matches.indexOf(selected) + 1, n: matches.length });
  return (
    <div class="waterfall-bar">
      {props.tabs}
      <TextField
        label={t("trace.search")}
        placeholder={t("trace.search")}
        icon="search"
        id="trace-find"
        value={text}
        onInput={props.onText}
        onEnter={() => props.onMatch(1)}
        testId="trace-find"
      >
        {text.trim() && <span class="field-note">{note}</span>}
      </TextField>
      <IconButton
        label={t("trace.previous")}
        icon="up"
        disabled={matches.length === 0}
        onClick={() => props.onMatch(-1)}
      />
      <IconButton
        label={t("trace.next")}
        icon="down"
        disabled={matches.length === 0}
        onClick={() => props.onMatch(1)}
      />
      <span class="end">
        {props.zoomed && (
          <Button icon="fit" onClick={props.onResetZoom}>
            {t("trace.resetZoom")}
          </Button>
        )}
        <span class="button-group depth" data-testid="trace-depth">
          <IconButton
            label={t("trace.shallower")}
            icon="minus"
            disabled={depth <= 1}
            onClick={() => props.onDepth(depth - 1)}
          />
          <span class="muted">{t("trace.depthOf", { depth, deepest })}</span>
          <IconButton
            label={t("trace.deeper")}
            icon="plus"
            disabled={depth >= deepest}
            onClick={() => props.onDepth(depth + 1)}
          />
        </span>
        <IconButton label={t("keys.title")} icon="keyboard" data-testid="open-keys" onClick={props.onHelp} />
      </span>
    </div>
  );
}
