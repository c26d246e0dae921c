/** What shapes, colours and keys mean. */

import { useState } from "preact/hooks";
import { IconButton } from "../components/Controls";
import { Icon, type IconName } from "../components/Icon";
import { type PlainKey, t } from "../i18n";

const KINDS: { icon: IconName; key: PlainKey }[] = [
  { icon: "workload", key: "graph.kind.workload" },
  { icon: "app", key: "graph.kind.app" },
  { icon: "service", key: "graph.kind.service" },
  { icon: "gateway", key: "graph.kind.gateway" },
  { icon: "serviceEntry", key: "graph.kind.serviceEntry" },
  { icon: "route", key: "graph.badge.vs" },
  { icon: "breaker", key: "graph.badge.cb" },
  { icon: "fault", key: "graph.badge.fi" },
];

const HEALTHS: { name: string; key: PlainKey }[] = [
  { name: "healthy", key: "legend.healthy" },
  { name: "degraded", key: "legend.degraded" },
  { name: "failing", key: "legend.failing" },
  { name: "tcp", key: "legend.tcp" },
  { name: "idle", key: "legend.idle" },
];

const KEYS: { keys: string[]; key: PlainKey }[] = [
  { keys: ["+", "−"], key: "graph.keys.zoom" },
  { keys: ["0"], key: "graph.keys.fit" },
  { keys: ["←", "↑", "↓", "→"], key: "graph.keys.pan" },
  { keys: ["Tab"], key: "graph.keys.next" },
  { keys: ["Enter"], key: "graph.keys.open" },
  { keys: ["Esc"], key: "graph.keys.close" },
  { keys: ["/"], key: "graph.keys.find" },
  { keys: ["p"], key: "graph.keys.pause" },
];

export function Legend() {
  const [open, setOpen] = useState(false);
  if (!open) {
    return (
      <button type="button" class="button button-plain legend-button" onClick={() => setOpen(true)}>
        <Icon name="list" />
        <span>{t("graph.legend")}</span>
      </button>
    );
  }
  return (
    <aside class="legend" aria-label={t("graph.legend")}>
      <header>
        <h2>{t("graph.legend")}</h2>
        <IconButton label={t("common.close")} icon="close" onClick={() => setOpen(false)} />
      </header>
      <h3>{t("legend.edges")}</h3>
      <ul>
        {HEALTHS.map(({ name, key }) => (
          <li key={name}>
            <i class={`legend-line legend-${name}`} />
            {t(key)}
          </li>
        ))}
        <li>
          <i class="legend-line legend-wide" />
          {t("legend.width")}
        </li>
        <li>
          <Icon name="lock" size={14} />
          {t("legend.lock")}
        </li>
        <li class="text-warn">
          <Icon name="unlock" size={14} />
          {t("legend.unlock")}
        </li>
      </ul>
      <h3>{t("legend.nodes")}</h3>
      <ul class="legend-columns">
        {KINDS.map(({ icon, key }) => (
          <li key={key}>
            <Icon name={icon} size={14} />
            {t(key)}
          </li>
        ))}
        <li class="text-bad">
          <Icon name="warning" size={14} />
          {t("events.node")}
        </li>
      </ul>
      <h3>{t("graph.keys")}</h3>
      <ul>
        {KEYS.map(({ keys, key }) => (
          <li key={key}>
            <span class="keys">
              {keys.map((one) => (
                <kbd key={one}>{one}</kbd>
              ))}
            </span>
            {t(key)}
          </li>
        ))}
      </ul>
    </aside>
  );
}
