/** One trace's flame graph: spans with the same way of operations above them are one box. */

import { fetchTraceFlame } from "../api/analysis";
import { LoadStates } from "../components/States";
import { useData } from "../lib/useData";
import { FlameGraph } from "./FlameGraph";
import type { ViewProps } from "./TracePage";

export function TraceFlame({ trace, tabs }: ViewProps) {
  const loaded = useData(`flame ${trace.id}`, (signal) => fetchTraceFlame(trace.id, signal), { live: false });
  if (loaded.data) return <FlameGraph answer={loaded.data} tabs={tabs} />;
  return (
    <div class="waterfall">
      <div class="waterfall-bar">{tabs}</div>
      <LoadStates loaded={loaded} />
    </div>
  );
}
