/** Labels as small tags, in order of their names. */

import type { Labels } from "../api/prometheus";

export function LabelList({ labels }: { labels: Labels }) {
  return (
    <span class="label-list">
      {Object.entries(labels)
        .sort(([a], [b]) => a.localeCompare(b))
        .map(([name, value]) => (
          <span key={name} class="tag mono">
            {name}=<b>{value}</b>
          </span>
        ))}
    </span>
  );
}
