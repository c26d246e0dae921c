/** Keys of a page, wherever the focus is, unless something is being written or a dialog is open. */

import { useEffect, useRef } from "preact/hooks";

/** `handle` says whether it took the key. */
export function useKeys(handle: (key: string) => boolean): void {
  const current = useRef(handle);
  current.current = handle;
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const focused = event.target as Element;
      if (focused.closest("input, select, textarea, dialog")) return;
      if (event.key === "Enter" && focused.closest("button, a")) return;
      if (current.current(event.key)) event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
}
