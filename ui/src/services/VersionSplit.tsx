/** How a service's traffic splits between its versions: a bar and its parts in words. */

import type { ServiceVersion } from "../api/own";
import { formatRatio } from "../lib/format";

export function VersionSplit({ versions }: { versions: ServiceVersion[] }) {
  const total = versions.reduce((sum, version) => sum + version.rate, 0);
  if (versions.length === 0) return null;
  if (versions.length === 1 || total <= 0) {
    return <span class="muted">{versions.map((version) => version.version).join(", ")}</span>;
  }
  const sorted = [...versions].sort((a, b) => a.version.localeCompare(b.version));
  const text = sorted.map((one) => `${one.version} ${formatRatio(one.rate / total)}`).join("  ");
  return (
    <span class="split" title={text}>
      <span class="split-bar" aria-hidden="true">
        {sorted.map((one, index) => (
          <i
            key={one.version}
            style={{ flexGrow: one.rate / total, background: `var(--c${(index % 10) + 1})` }}
          />
        ))}
      </span>
      <span class="split-text">
        {sorted.map((one, index) => (
          <span key={one.version}>
            <i style={{ background: `var(--c${(index % 10) + 1})` }} />
            {one.version} <b>{formatRatio(one.rate / total)}</b>
          </span>
        ))}
      </span>
    </span>
  );
}
