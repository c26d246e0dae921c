/** One resource's YAML before and after: changed lines with some around them, the rest on demand. */

import { useMemo, useState } from "preact/hooks";
import { count, t } from "../i18n";
import { counts, type DiffLine, diffLines, parts } from "./diff";
import { YamlLine } from "./YamlView";

const SIGNS: Record<DiffLine["kind"], string> = { same: " ", old: "−", new: "+" };

export function DiffView({ label, before, after }: { label: string; before: string; after: string }) {
  const shown = useMemo(() => parts(diffLines(before, after)), [before, after]);
  return (
    <pre class="yaml diff" aria-label={label} data-testid="diff">
      {shown.map((part, index) =>
        "lines" in part ? (
          part.lines.map((line) => <Line key={`${line.before} ${line.after}`} line={line} />)
        ) : (
          <Hidden key={`hidden ${index}`} lines={part.hidden} />
        ),
      )}
    </pre>
  );
}

function Line({ line }: { line: DiffLine }) {
  return (
    <span class={`yaml-line diff-${line.kind}`}>
      <i>{line.before ?? ""}</i>
      <i>{line.after ?? ""}</i>
      <b>{SIGNS[line.kind]}</b>
      <YamlLine text={line.text} />
    </span>
  );
}

function Hidden({ lines }: { lines: DiffLine[] }) {
  const [open, setOpen] = useState(false);
  if (open) return lines.map((line) => <Line key={`${line.before} ${line.after}`} line={line} />);
  return (
    <button type="button" class="diff-hidden" onClick={() => setOpen(true)}>
      {count("config.diff.hidden", lines.length)}
    </button>
  );
}

/** "+3 −1". */
export function DiffCounts({ before, after }: { before: string; after: string }) {
  const { added, removed } = useMemo(() => counts(diffLines(before, after)), [before, after]);
  return (
    <span class="diff-counts mono" title={t("config.diff.counts", { added, removed })}>
      {added > 0 && <span class="text-ok">+{added}</span>}
      {removed > 0 && <span class="text-bad">−{removed}</span>}
    </span>
  );
}
