/** All spans of a trace as a table, sortable by any column; only the rows on the screen exist. */

import { useMemo, useRef, useState } from "preact/hooks";
import { params, setParams } from "../app/router";
import { TextField } from "../components/Controls";
import { Icon } from "../components/Icon";
import { readSorting, type Sorting, writeSorting } from "../components/Table";
import { count, t } from "../i18n";
import { DASH, formatMicros } from "../lib/format";
import { assignColours } from "../lib/palette";
import { rowsInFrame, scrollToRow, useFrame } from "../lib/useFrame";
import { useRested } from "../lib/useRested";
import type { CriticalPath } from "./criticalPath";
import { COLUMNS, NUMERIC, type SpanColumn, sortedRows, valueIn } from "./spanRows";
import type { ViewProps } from "./TracePage";
import { searchSpans, type SpanNode } from "./tree";
import { useKeys } from "./useKeys";

const ROW = 30;

export function SpanTable({ trace, critical, selected, select, tabs }: ViewProps) {
  const [text, setText] = useState("");
  const wanted = useRested(text.trim(), 120);
  const sorting = readSorting(params.value.get("sort"), { column: "start", descending: false });
  const column = COLUMNS.find((one) => one === sorting.column) ?? "start";
  const rows = useMemo(() => {
    const all = wanted ? searchSpans(trace, wanted) : trace.nodes.map((_, index) => index);
    return sortedRows(trace, all, critical, column, sorting.descending);
  }, [trace, critical, wanted, column, sorting.descending]);
  const scroller = useRef<HTMLDivElement>(null);
  const frame = useFrame(scroller);
  const colours = useMemo(() => assignColours(trace.services.map((service) => service.name)), [trace]);
  useKeys((key) => {
    const step = { j: 1, ArrowDown: 1, k: -1, ArrowUp: -1 }[key];
    if (key === "/") document.getElementById("span-filter")?.focus();
    if (!step) return key === "/";
    const at = Math.max(0, Math.min(rows.length - 1, rows.indexOf(selected) + step));
    select(rows[at] ?? null);
    scrollToRow(scroller.current, at, ROW);
    return true;
  });
  const [first, last] = rowsInFrame(frame, rows.length, ROW);
  return (
    <div class="waterfall span-table" data-testid="span-table" style={{ "--bar": `${frame.bar}px` }}>
      <div class="waterfall-bar">
        {tabs}
        <TextField
          label={t("trace.search")}
          placeholder={t("trace.filterSpans")}
          icon="search"
          id="span-filter"
          value={text}
          onInput={setText}
        />
        <span class="end muted">{count("traces.spans", rows.length)}</span>
      </div>
      <div class="span-grid span-grid-head">
        {COLUMNS.map((one) => (
          <Head key={one} column={one} sorting={{ ...sorting, column }} />
        ))}
      </div>
      <div class="waterfall-rows" ref={scroller} data-testid="span-table-rows">
        <div style={{ height: rows.length * ROW }}>
          <div style={{ transform: `translateY(${first * ROW}px)` }}>
            {rows.slice(first, last).map((index) => (
              <Row
                key={index}
                node={trace.nodes[index]!}
                critical={critical}
                colour={colours.get(trace.nodes[index]!.service) ?? 1}
                chosen={index === selected}
                onSelect={() => select(index === selected ? null : index)}
              />
            ))}
          </div>
        </div>
      </div>
    </div>
  );
}

function Head({ column, sorting }: { column: SpanColumn; sorting: Sorting }) {
  const active = sorting.column === column;
  const next = {
    column,
    descending: active ? !sorting.descending : NUMERIC.has(column) && column !== "start",
  };
  const icon = active ? (sorting.descending ? "down" : "up") : "sort";
  return (
    <button
      type="button"
      class={`${NUMERIC.has(column) ? "numeric" : ""} ${active ? "sort-active" : ""}`}
      onClick={() => setParams({ sort: writeSorting(next) })}
    >
      {t(`spans.${column}`)}
      <Icon name={icon} size={12} />
    </button>
  );
}

interface RowProps {
  node: SpanNode;
  critical: CriticalPath;
  colour: number;
  chosen: boolean;
  onSelect: () => void;
}

function Row({ node, critical, colour, chosen, onSelect }: RowProps) {
  const path = valueIn(node, "path", critical) as number;
  return (
    <button
      type="button"
      class={`span-grid ${chosen ? "chosen" : ""}`}
      data-testid="span-table-row"
      aria-pressed={chosen}
      onClick={onSelect}
    >
      <span class="truncate">
        <i class="span-swatch" style={{ background: `var(--c${colour})` }} /> {node.service}
      </span>
      <span class="truncate" title={node.span.operationName}>
        {valueIn(node, "operation", critical)}
      </span>
      <span class="muted">{valueIn(node, "kind", critical)}</span>
      <span class={node.error ? "text-bad" : ""}>
        {node.error ? t("spans.failed") : valueIn(node, "status", critical)}
      </span>
      <span class="numeric muted">+{formatMicros(node.start)}</span>
      <span class="numeric">{formatMicros(node.duration)}</span>
      <span class="numeric">{formatMicros(node.self)}</span>
      <span class="numeric">{path > 0 ? formatMicros(Math.round(path)) : DASH}</span>
    </button>
  );
}
