/** Further pages of a search behind the first one. */

import { useEffect, useRef, useState } from "preact/hooks";

interface Page<Row> {
  rows: Row[];
  next: string | null;
}

interface Pages<Row> extends Page<Row> {
  busy: boolean;
  error: Error | null;
  load: () => void;
}

export function usePages<Row>(
  first: Row[],
  cursor: string | null,
  ask: (cursor: string, signal: AbortSignal) => Promise<Page<Row>>,
): Pages<Row> {
  const [further, setFurther] = useState<Page<Row>>({ rows: [], next: cursor });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error | null>(null);
  const running = useRef<AbortController | null>(null);
  useEffect(() => {
    setFurther({ rows: [], next: cursor });
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
        setFurther({ rows: [...further.rows, ...page.rows], next: page.next });
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
  return { rows: [...first, ...further.rows], next: further.next, busy, error, load };
}
