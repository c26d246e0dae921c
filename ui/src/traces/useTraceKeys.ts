/** Keys of the trace page, wherever the focus is, unless it is in a field. */

import { useEffect, useRef } from "preact/hooks";
import type { Trace } from "./tree";

interface Actions {
  trace: Trace;
  rows: number[];
  selected: number;
  select: (index: number | null) => void;
  toggle: (index: number, close: boolean) => void;
}

export function useTraceKeys(actions: Actions): void {
  const current = useRef(actions);
  current.current = actions;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.target as Element).closest("input, select, textarea")) return;
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      if (handle(event.key, current.current)) event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}

function handle(key: string, { trace, rows, selected, select, toggle }: Actions): boolean {
  const at = rows.indexOf(selected);
  const node = trace.nodes[selected];
  if (key === "j" || key === "ArrowDown") select(rows[Math.min(rows.length - 1, at + 1)] ?? null);
  else if (key === "k" || key === "ArrowUp") select(rows[Math.max(0, at - 1)] ?? null);
  else if (key === "Escape") select(null);
  else if (key === "Enter" && selected < 0) select(rows[0] ?? null);
  else if (key === "ArrowLeft" && node) {
    if (node.children.length && rows[at + 1] === selected + 1) toggle(selected, true);
    else if (node.parent >= 0) select(node.parent);
  } else if (key === "ArrowRight" && node?.children.length) toggle(selected, false);
  else if (key === "/") document.getElementById("trace-find")?.focus();
  else return false;
  return true;
}
