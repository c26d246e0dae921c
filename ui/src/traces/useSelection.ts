/** The chosen span: shown at once, written to the URL when the choice rests (browsers refuse a flood of changes). */

import { useEffect, useState } from "preact/hooks";
import { params, setParams } from "../app/router";
import type { Trace } from "./tree";

const REST_MS = 200;

/** The span that the URL names: `?span=ID`, or `#span=ID` as other tools link. */
function asked(): string | null {
  return params.value.get("span") ?? new URLSearchParams(window.location.hash.slice(1)).get("span");
}

export function useSelection(trace: Trace): [selected: number, select: (index: number | null) => void] {
  const inUrl = asked();
  const [id, setId] = useState(inUrl);
  useEffect(() => setId(inUrl), [inUrl]);
  useEffect(() => {
    if (id === asked()) return;
    const timer = window.setTimeout(() => setParams({ span: id }), REST_MS);
    return () => window.clearTimeout(timer);
  }, [id]);
  const select = (index: number | null) =>
    setId(index === null ? null : (trace.nodes[index]?.span.spanID ?? null));
  return [id === null ? -1 : (trace.index.get(id) ?? -1), select];
}
