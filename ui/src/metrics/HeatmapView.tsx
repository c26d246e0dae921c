/** Histograms of the explorer's queries as heatmaps: classic buckets (a label `le`) and native ones. */

import { EmptyState } from "../components/States";
import { t } from "../i18n";
import { heatRows, isBuckets, nativeRows, trimmed } from "./buckets";
import { Heatmap } from "./Heatmap";
import type { Loaded } from "./load";
import { guessUnit, type Unit } from "./units";

export function HeatmapView({ loaded }: { loaded: Loaded }) {
  const maps = loaded.results.flatMap((result) => {
    if (!result?.answer) return [];
    const { answer } = result;
    const native = answer.series.some((one) => one.histograms);
    if (!native && !isBuckets(answer)) return [];
    const rows = native
      ? nativeRows(answer, loaded.times, loaded.step)
      : heatRows(answer, loaded.times, loaded.step);
    return [{ expr: result.expr, rows: trimmed(rows) }];
  });
  if (!maps.some((map) => map.rows.length))
    return <EmptyState title={t("metrics.heatmap.none")} text={t("metrics.heatmap.hint")} icon="metrics" />;
  return (
    <div class="card-body stack">
      {maps.map((map, index) => (
        <Heatmap
          key={index}
          label={map.expr}
          rows={map.rows}
          times={loaded.times}
          unit={bucketUnit(map.expr)}
          height={340}
        />
      ))}
    </div>
  );
}

/** The bounds are in the metric's own unit, whatever is counted in the cells. */
export function bucketUnit(expr: string): Unit {
  const unit = guessUnit(`histogram_quantile(0, ${/[a-zA-Z_:][\w:]*_bucket\b/.exec(expr)?.[0] ?? expr})`);
  return unit === "Bps" ? "bytes" : unit;
}
