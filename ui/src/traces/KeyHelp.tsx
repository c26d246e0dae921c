/** Every key of the trace page, in a dialog. */

import { useEffect, useRef } from "preact/hooks";
import { IconButton } from "../components/Controls";
import { type PlainKey, t } from "../i18n";

const KEYS: { keys: string[]; text: PlainKey }[] = [
  { keys: ["j", "↓"], text: "keys.next" },
  { keys: ["k", "↑"], text: "keys.previous" },
  { keys: ["Enter"], text: "keys.details" },
  { keys: ["←"], text: "keys.collapse" },
  { keys: ["→"], text: "keys.expand" },
  { keys: ["[", "]"], text: "keys.depth" },
  { keys: ["e", "c"], text: "keys.all" },
  { keys: ["/"], text: "keys.find" },
  { keys: ["n", "N"], text: "keys.match" },
  { keys: ["x"], text: "keys.error" },
  { keys: ["z"], text: "keys.zoom" },
  { keys: ["1", "2", "3", "4"], text: "keys.views" },
  { keys: ["Esc"], text: "keys.close" },
  { keys: ["?"], text: "keys.help" },
];

export function KeyHelp({ onClose }: { onClose: () => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current!.showModal(), []);
  return (
    <dialog
      ref={dialog}
      class="key-help"
      aria-label={t("keys.title")}
      data-testid="key-help"
      onClose={onClose}
    >
      <header>
        <h2>{t("keys.title")}</h2>
        <IconButton label={t("common.close")} icon="close" onClick={() => dialog.current!.close()} />
      </header>
      <dl>
        {KEYS.map(({ keys, text }) => (
          <div key={text}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{t(text)}</dd>
          </div>
        ))}
      </dl>
    </dialog>
  );
}
