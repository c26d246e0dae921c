/** The flame graph of all traces that match. */

import { fetchFlame } from "../api/analysis";
import { useData } from "../lib/useData";
import { FlameGraph } from "../traces/FlameGraph";
import { AnalysisPage, ReadFacts } from "./AnalysisPage";
import { useChoice } from "./useChoice";

export function FlamePage() {
  const choice = useChoice();
  const loaded = useData(`flame ${choice.key}`, (signal) => fetchFlame(choice.now(), signal));
  return (
    <AnalysisPage here="flame" q={choice.q} loaded={loaded}>
      {loaded.data && <ReadFacts answer={loaded.data} />}
      {loaded.data && (
        <section class="card flame-card">
          <FlameGraph answer={loaded.data} />
        </section>
      )}
    </AnalysisPage>
  );
}
