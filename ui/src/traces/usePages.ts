/** Further pages of a search behind the first one. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { FoundTrace, FoundTraces } from "../api/traces";

interface Pages {
  traces: FoundTrace[];
  next: string | null;
  busy: boolean;
  error: Error | null;
  load: () => void;
}

export function usePages(
  first: FoundTrace[],
  cursor: string | null,
  ask: (cursor: string, signal: AbortSignal) => Promise<FoundTraces>,
): Pages {
  const [further, setFurther] = useState<FoundTraces>({ traces: [], next: cursor });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => {
    setFurther({ traces: [], next: cursor });
    setBusy(false);
    setError(null);
    return () => running.current?.abort();
  }, [first, cursor]);
  const load = () => {
    if (busy || !further.next) return;
    const control = new AbortController();
    running.current = control;
    setBusy(true);
    ask(further.next, control.signal).then(
      (page) => {
        if (control.signal.aborted) return;
        setFurther({ traces: [...further.traces, ...page.traces], next: page.next });
        setBusy(false);
        setError(null);
      },
      (reason: Error) => {
        if (control.signal.aborted) return;
        setBusy(false);
        setError(reason);
      },
    );
  };
  return { traces: [...first, ...further.traces], next: further.next, busy, error, load };
}
