/** The waterfall: only the rows on the screen exist, so tens of thousands of spans scroll smoothly. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { t } from "../i18n";
import { formatMicros } from "../lib/format";
import { assignColours } from "../lib/palette";
import { rowsInFrame, scrollToRow, useFrame } from "../lib/useFrame";
import { useRested } from "../lib/useRested";
import { Minimap, type Window } from "./Minimap";
import { SpanRow } from "./SpanRow";
import { rulerTicks } from "./scale";
import type { ViewProps } from "./TracePage";
import { searchSpans, shortNames, stepMatch, type Trace, visibleRows } from "./tree";
import { useBranches } from "./useBranches";
import { useKeys } from "./useKeys";
import { WaterfallBar } from "./WaterfallBar";

export const ROW = 28;
/** Searching waits until typing rests so long. */
const REST_MS = 120;
const WHOLE: Window = { from: 0, to: 1 };

export function Waterfall({ trace, critical, selected, select, tabs, openHelp }: ViewProps) {
  const { collapsed, depth, toggle, showDepth, open } = useBranches(trace);
  const [view, setView] = useState(WHOLE);
  const [text, setText] = useState("");
  const scroller = useRef<HTMLDivElement>(null);
  const frame = useFrame(scroller);
  const colours = useMemo(() => assignColours(trace.services.map((service) => service.name)), [trace]);
  const names = useMemo(() => shortNames(trace), [trace]);
  const rows = useMemo(() => visibleRows(trace, collapsed), [trace, collapsed]);
  const wanted = useRested(text.trim(), REST_MS);
  const matches = useMemo(() => searchSpans(trace, wanted), [trace, wanted]);
  const matched = useMemo(() => new Set(matches), [matches]);

  // A chosen span is brought into view: out of collapsed branches, and onto the screen.
  useEffect(() => {
    if (selected >= 0)
      scrollToRow(scroller.current, visibleRows(trace, open(selected)).indexOf(selected), ROW);
  }, [selected]);

  const toMatch = (step: 1 | -1) => select(stepMatch(matches, selected, step) ?? null);
  useKeys((key) =>
    handleKey(key, {
      ...{ trace, rows, selected, depth, select, toggle, showDepth, toMatch },
      matches: matches.length,
      resetZoom: () => setView(WHOLE),
    }),
  );

  const [first, last] = rowsInFrame(frame, rows.length, ROW);
  const [start, end] = [view.from * trace.duration, view.to * trace.duration];
  const drawRow = (index: number) => {
    const node = trace.nodes[index]!;
    return (
      <SpanRow
        key={index}
        node={node}
        critical={critical.sections.get(node.span.spanID)}
        colour={colours.get(node.service) ?? 1}
        collapsed={collapsed.has(node.span.spanID)}
        selected={index === selected}
        matched={matched.has(index)}
        dim={wanted !== "" && !matched.has(index)}
        start={start}
        end={end}
        name={names.get(node.service) ?? ""}
        onSelect={() => select(index === selected ? null : index)}
        onToggle={() => toggle(index)}
      />
    );
  };
  return (
    <div class="waterfall" data-testid="waterfall" style={{ "--bar": `${frame.bar}px` }}>
      <WaterfallBar
        tabs={tabs}
        text={text}
        matches={matches}
        selected={selected}
        depth={depth}
        deepest={trace.depth}
        onText={setText}
        onMatch={toMatch}
        onDepth={showDepth}
        zoomed={view.from > 0 || view.to < 1}
        onResetZoom={() => setView(WHOLE)}
        onHelp={openHelp}
      />
      <Minimap trace={trace} colours={colours} view={view} onView={setView} />
      <div class="waterfall-head">
        <span class="span-name">{t("trace.operation")}</span>
        <span class="ruler">
          {rulerTicks(start, end).map((tick, index) => (
            <span key={index}>{formatMicros(Math.round(tick))}</span>
          ))}
        </span>
      </div>
      <div
        class="waterfall-rows"
        ref={scroller}
        role="tree"
        aria-label={t("trace.waterfall")}
        aria-activedescendant={selected >= 0 ? `span-${trace.nodes[selected]!.span.spanID}` : undefined}
        tabIndex={0}
      >
        <div style={{ height: rows.length * ROW }}>
          <div style={{ transform: `translateY(${first * ROW}px)` }}>
            {rows.slice(first, last).map(drawRow)}
          </div>
        </div>
      </div>
    </div>
  );
}

interface Actions {
  trace: Trace;
  rows: number[];
  selected: number;
  depth: number;
  matches: number;
  select: (index: number | null) => void;
  toggle: (index: number, close: boolean) => void;
  showDepth: (depth: number) => void;
  toMatch: (step: 1 | -1) => void;
  resetZoom: () => void;
}

/** What a key does; false for keys that do nothing here. */
function handleKey(key: string, actions: Actions): boolean {
  const { trace, rows, selected, depth, matches, select, toggle, showDepth, toMatch, resetZoom } = actions;
  const at = rows.indexOf(selected);
  const node = trace.nodes[selected];
  if (key === "j" || key === "ArrowDown") select(rows[Math.min(rows.length - 1, at + 1)] ?? null);
  else if (key === "k" || key === "ArrowUp") select(rows[Math.max(0, at - 1)] ?? null);
  else if (key === "Enter" && selected < 0) select(rows[0] ?? null);
  else if (key === "ArrowLeft" && node) {
    if (node.children.length && rows[at + 1] === selected + 1) toggle(selected, true);
    else if (node.parent >= 0) select(node.parent);
  } else if (key === "ArrowRight" && node?.children.length) toggle(selected, false);
  else if (key === "[") showDepth(depth - 1);
  else if (key === "]") showDepth(depth + 1);
  else if (key === "c") showDepth(1);
  else if (key === "e") showDepth(trace.depth);
  else if (key === "z") resetZoom();
  else if (key === "/") document.getElementById("trace-find")?.focus();
  else if ((key === "n" || key === "N") && matches > 0) toMatch(key === "n" ? 1 : -1);
  else if (key === "x") select(nextErrorRoot(trace, selected));
  else return false;
  return true;
}

/** Where the next failure began, from the first again after the last; null without any. */
function nextErrorRoot(trace: Trace, selected: number): number | null {
  const next = trace.nodes.findIndex((node, index) => node.errorRoot && index > selected);
  const found = next >= 0 ? next : trace.nodes.findIndex((node) => node.errorRoot);
  return found >= 0 ? found : null;
}
