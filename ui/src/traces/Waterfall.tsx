/** The waterfall: only the rows on the screen exist, so thousands of spans scroll smoothly. */

import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { params, setParams } from "../app/router";
import { t } from "../i18n";
import { formatMicros } from "../lib/format";
import { assignColours } from "../lib/palette";
import { Minimap, type Window } from "./Minimap";
import { SpanPanel } from "./SpanPanel";
import { SpanRow } from "./SpanRow";
import { rulerTicks } from "./scale";
import { searchSpans, shortNames, type Trace, visibleRows } from "./tree";
import { useTraceKeys } from "./useTraceKeys";
import { WaterfallBar } from "./WaterfallBar";

export const ROW = 28;
const MARGIN = 12;

export function Waterfall({ trace }: { trace: Trace }) {
  const [collapsed, setCollapsed] = useState<ReadonlySet<string>>(new Set());
  const [view, setView] = useState<Window>({ from: 0, to: 1 });
  const [text, setText] = useState("");
  const scroller = useRef<HTMLDivElement>(null);
  const frame = useFrame(scroller);
  const colours = useMemo(() => assignColours(trace.services.map((service) => service.name)), [trace]);
  const names = useMemo(() => shortNames(trace), [trace]);
  const rows = useMemo(() => visibleRows(trace, collapsed), [trace, collapsed]);
  const matches = useMemo(() => searchSpans(trace, text), [trace, text]);
  const matched = useMemo(() => new Set(matches), [matches]);
  const selectedId = params.value.get("span");
  const selected = trace.nodes.findIndex((node) => node.span.spanID === selectedId);

  const reveal = (index: number) => {
    const open = new Set(collapsed);
    for (let at = trace.nodes[index]?.parent ?? -1; at >= 0; at = trace.nodes[at]!.parent)
      open.delete(trace.nodes[at]!.span.spanID);
    if (open.size !== collapsed.size) setCollapsed(open);
    scrollTo(scroller.current, visibleRows(trace, open).indexOf(index));
  };
  const select = (index: number | null) => {
    const id = index === null ? null : (trace.nodes[index]?.span.spanID ?? null);
    setParams({ span: id });
    if (index !== null) reveal(index);
  };
  const toggle = (index: number, close?: boolean) => {
    const id = trace.nodes[index]!.span.spanID;
    const next = new Set(collapsed);
    if (close ?? !next.has(id)) next.add(id);
    else next.delete(id);
    setCollapsed(next);
  };
  useEffect(() => {
    if (selected > 0) reveal(selected);
  }, []);
  useTraceKeys({ trace, rows, selected, select, toggle });

  const first = Math.max(0, Math.floor(frame.top / ROW) - MARGIN);
  const last = Math.min(rows.length, Math.ceil((frame.top + frame.height) / ROW) + MARGIN);
  const start = view.from * trace.duration;
  const end = view.to * trace.duration;
  return (
    <div class="trace-body">
      <div class="waterfall" data-testid="waterfall" style={{ "--bar": `${frame.bar}px` }}>
        <WaterfallBar
          text={text}
          matches={matches}
          selected={selected}
          onText={setText}
          onSelect={select}
          onCollapse={() =>
            setCollapsed(
              new Set(trace.nodes.filter((node) => node.below > 0).map((node) => node.span.spanID)),
            )
          }
          onExpand={() => setCollapsed(new Set())}
          zoomed={view.from > 0 || view.to < 1}
          onResetZoom={() => setView({ from: 0, to: 1 })}
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
          aria-activedescendant={selected >= 0 ? `span-${selectedId}` : undefined}
          tabIndex={0}
        >
          <div style={{ height: rows.length * ROW }}>
            <div style={{ transform: `translateY(${first * ROW}px)` }}>
              {rows.slice(first, last).map((index) => (
                <SpanRow
                  key={index}
                  node={trace.nodes[index]!}
                  colour={colours.get(trace.nodes[index]!.service) ?? 1}
                  collapsed={collapsed.has(trace.nodes[index]!.span.spanID)}
                  selected={index === selected}
                  matched={matched.has(index)}
                  dim={text.trim() !== "" && !matched.has(index)}
                  start={start}
                  end={end}
                  name={names.get(trace.nodes[index]!.service) ?? ""}
                  onSelect={() => select(index === selected ? null : index)}
                  onToggle={() => toggle(index)}
                />
              ))}
            </div>
          </div>
        </div>
        <p class="waterfall-keys">{t("trace.keys")}</p>
      </div>
      {selected >= 0 && (
        <SpanPanel trace={trace} node={trace.nodes[selected]!} onClose={() => select(null)} />
      )}
    </div>
  );
}

/** Where the scroller stands, how tall it is and how wide its scroll bar; scrolling redraws at most once a frame. */
function useFrame(scroller: { current: HTMLDivElement | null }): {
  top: number;
  height: number;
  bar: number;
} {
  const [frame, setFrame] = useState({ top: 0, height: 800, bar: 0 });
  useEffect(() => {
    const element = scroller.current!;
    let asked = 0;
    const read = () => {
      asked = 0;
      setFrame({
        top: element.scrollTop,
        height: element.clientHeight,
        bar: element.offsetWidth - element.clientWidth,
      });
    };
    const ask = () => {
      asked ||= requestAnimationFrame(read);
    };
    const observer = new ResizeObserver(ask);
    observer.observe(element);
    element.addEventListener("scroll", ask, { passive: true });
    read();
    return () => {
      cancelAnimationFrame(asked);
      observer.disconnect();
      element.removeEventListener("scroll", ask);
    };
  }, []);
  return frame;
}

function scrollTo(element: HTMLDivElement | null, row: number): void {
  if (!element || row < 0) return;
  const top = row * ROW;
  if (top < element.scrollTop) element.scrollTop = top - ROW * 2;
  else if (top + ROW > element.scrollTop + element.clientHeight)
    element.scrollTop = top + ROW * 3 - element.clientHeight;
}
