/** Which branches of a trace are collapsed: one by one, or all below a depth. */

import { useState } from "preact/hooks";
import { collapsedBelow, type Trace } from "./tree";

const NONE: ReadonlySet<string> = new Set();

export interface Branches {
  /** Ids of spans whose children are not shown. */
  collapsed: ReadonlySet<string>;
  depth: number;
  toggle: (index: number, close?: boolean) => void;
  showDepth: (depth: number) => void;
  /** Opens what hides a span, and tells what is collapsed then. */
  open: (index: number) => ReadonlySet<string>;
}

export function useBranches(trace: Trace): Branches {
  const [collapsed, setCollapsed] = useState(NONE);
  const [depth, setDepth] = useState(trace.depth);
  const toggle = (index: number, close?: boolean) => {
    const id = trace.nodes[index]!.span.spanID;
    // Rows keep the closure of their last drawing: what else is collapsed by now, only the state knows.
    setCollapsed((before) => {
      const next = new Set(before);
      if (close ?? !next.has(id)) next.add(id);
      else next.delete(id);
      return next;
    });
  };
  const showDepth = (wanted: number) => {
    const within = Math.max(1, Math.min(trace.depth, wanted));
    setDepth(within);
    setCollapsed(within >= trace.depth ? NONE : collapsedBelow(trace, within));
  };
  const open = (index: number) => {
    const left = without(trace, collapsed, index);
    if (left !== collapsed) setCollapsed(left);
    return left;
  };
  return { collapsed, depth, toggle, showDepth, open };
}

/** The collapsed branches without those above a span; the same set if there are none. */
function without(trace: Trace, collapsed: ReadonlySet<string>, index: number): ReadonlySet<string> {
  const open = new Set(collapsed);
  for (let at = trace.nodes[index]?.parent ?? -1; at >= 0; at = trace.nodes[at]!.parent)
    open.delete(trace.nodes[at]!.span.spanID);
  return open.size === collapsed.size ? collapsed : open;
}
