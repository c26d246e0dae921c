/** A table panel: the targets' instant answers joined on the panel's labels. */

import type { Panel } from "../api/dashboards";
import type { Answer, Labels } from "../api/prometheus";

export interface TableRow {
  key: string;
  labels: Labels;
  /** One a target; null where it has no such row. */
  values: (number | null)[];
}

export function joinRows(panel: Panel, answers: (Answer | null)[]): TableRow[] {
  const names = panel.labels.map((column) => column.label);
  const rows = new Map<string, TableRow>();
  answers.forEach((answer, target) => {
    for (const sample of answer?.samples ?? []) {
      const key = names.map((name) => sample.labels[name] ?? "").join("\u0000");
      const row = rows.get(key) ?? {
        key,
        labels: sample.labels,
        values: panel.targets.map(() => null),
      };
      rows.set(key, row);
      row.values[target] = Number.isFinite(sample.value) ? sample.value : null;
    }
  });
  return [...rows.values()];
}
