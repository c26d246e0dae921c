/** Above the waterfall: finding in the trace, collapsing and expanding, leaving a zoom. */

import { Button, IconButton, TextField } from "../components/Controls";
import { t } from "../i18n";

interface Props {
  text: string;
  matches: number[];
  selected: number;
  zoomed: boolean;
  onText: (text: string) => void;
  onSelect: (index: number) => void;
  onCollapse: () => void;
  onExpand: () => void;
  onResetZoom: () => void;
}

export function WaterfallBar(props: Props) {
  const { text, matches, selected } = props;
  const at = matches.indexOf(selected);
  const go = (step: 1 | -1) => {
    if (matches.length === 0) return;
    const next =
      step > 0 ? matches.find((index) => index > selected) : matches.findLast((index) => index < selected);
    props.onSelect(next ?? (step > 0 ? matches[0]! : matches[matches.length - 1]!));
  };
  const note =
    matches.length === 0
      ? t("trace.search.none")
      : t("trace.search.count", { at: at + 1, n: matches.length });
  return (
    <div class="waterfall-bar">
      <TextField
        label={t("trace.search")}
        placeholder={t("trace.search")}
        icon="search"
        id="trace-find"
        value={text}
        onInput={props.onText}
        onEnter={() => go(1)}
        testId="trace-find"
      >
        {text.trim() && <span class="field-note">{note}</span>}
      </TextField>
      <IconButton
        label={t("trace.previous")}
        icon="up"
        disabled={matches.length === 0}
        onClick={() => go(-1)}
      />
      <IconButton label={t("trace.next")} icon="down" disabled={matches.length === 0} onClick={() => go(1)} />
      <span class="end">
        {props.zoomed && (
          <Button icon="fit" onClick={props.onResetZoom}>
            {t("trace.resetZoom")}
          </Button>
        )}
        <Button tone="ghost" onClick={props.onExpand}>
          {t("trace.expand")}
        </Button>
        <Button tone="ghost" onClick={props.onCollapse}>
          {t("trace.collapse")}
        </Button>
      </span>
    </div>
  );
}
