/** Resources that changed, each with its YAML before and after; long lists begin closed. */

import { useState } from "preact/hooks";
import type { ChangeText, What } from "../api/config";
import { Icon } from "../components/Icon";
import { t } from "../i18n";
import { DiffCounts, DiffView } from "./DiffView";
import { nameOf, shortFile } from "./model";

const TONES: Record<What, string> = { added: "ok", changed: "warn", removed: "bad" };
/** As many are open from the beginning. */
const OPEN = 5;

export function Changes({ changes, open }: { changes: readonly ChangeText[]; open: boolean }) {
  return (
    <ul class="changes">
      {changes.map((one) => (
        <ChangeItem key={nameOf(one)} one={one} open={open && changes.length <= OPEN} />
      ))}
    </ul>
  );
}

function ChangeItem({ one, open: first }: { one: ChangeText; open: boolean }) {
  const [open, setOpen] = useState(first);
  return (
    <li class="rule">
      <button type="button" class="rule-head" aria-expanded={open} onClick={() => setOpen(!open)}>
        <Icon name={open ? "down" : "right"} size={12} />
        <span class={`code code-${TONES[one.change]}`}>{t(`config.what.${one.change}`)}</span>
        <b>{one.name}</b>
        <span class="tag">{one.namespace}</span>
        <span class="muted">{one.kind}</span>
        <span class="end">
          <DiffCounts before={one.before} after={one.after} />
          <span class="muted mono" title={`${one.file}:${one.line}`}>
            {shortFile(one.file)}
          </span>
        </span>
      </button>
      {open && <DiffView label={nameOf(one)} before={one.before} after={one.after} />}
    </li>
  );
}
