/** A button that opens a panel below itself; closes on Escape, on a click elsewhere and on choice. */

import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Icon, type IconName } from "./Icon";

interface Props {
  label: string;
  /** What the button shows; the label where nothing is given. */
  text?: ComponentChildren;
  icon?: IconName;
  align?: "left" | "right";
  testId?: string;
  iconOnly?: boolean;
  children: (close: () => void) => ComponentChildren;
}

export function Popover({ label, text, icon, align = "left", testId, iconOnly, children }: Props) {
  const [open, setOpen] = useState(false);
  const root = useRef<HTMLDivElement>(null);
  const button = useRef<HTMLButtonElement>(null);
  const id = useId();
  const close = () => setOpen(false);

  useEffect(() => {
    if (!open) return;
    const outside = (event: PointerEvent) => {
      if (!root.current?.contains(event.target as Node)) close();
    };
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      close();
      button.current?.focus();
    };
    document.addEventListener("pointerdown", outside);
    document.addEventListener("keydown", onKey, true);
    return () => {
      document.removeEventListener("pointerdown", outside);
      document.removeEventListener("keydown", onKey, true);
    };
  }, [open]);

  return (
    <div class="popover" ref={root}>
      <button
        ref={button}
        type="button"
        class={`button ${iconOnly ? "button-ghost button-icon" : "button-plain"}`}
        aria-label={typeof text === "string" ? `${label}: ${text}` : label}
        title={iconOnly ? label : undefined}
        aria-expanded={open}
        aria-controls={id}
        data-testid={testId}
        onClick={() => setOpen(!open)}
      >
        {icon && <Icon name={icon} />}
        {!iconOnly && <span class="truncate">{text ?? label}</span>}
        {!iconOnly && <Icon name="down" size={12} />}
      </button>
      {open && (
        <div class={`popover-panel popover-${align}`} id={id}>
          {children(() => {
            close();
            button.current?.focus();
          })}
        </div>
      )}
    </div>
  );
}
