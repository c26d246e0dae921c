/** Loads data for a key and again on every tick, keeping what is shown until the new answer is there. */

import { useEffect, useRef, useState } from "preact/hooks";
import { tick } from "../app/clock";

export interface Loaded<T> {
  data: T | undefined;
  error: Error | undefined;
  /** Nothing to show yet: neither data nor an error. */
  loading: boolean;
  /** The shown data belongs to an earlier key; the asked one is on its way. */
  stale: boolean;
  retry: () => void;
}

interface State<T> {
  key: string;
  data: T | undefined;
  error: Error | undefined;
}

interface Options {
  /** Follow the refresh tick (default). */
  live?: boolean;
  /** Show the previous key's data until the new one arrives (default). */
  keep?: boolean;
}

/** `key` names everything that `load` depends on; null means "nothing to load". */
export function useData<T>(
  key: string | null,
  load: (signal: AbortSignal) => Promise<T>,
  { live = true, keep = true }: Options = {},
): Loaded<T> {
  const [state, setState] = useState<State<T>>({ key: "", data: undefined, error: undefined });
  const [attempt, setAttempt] = useState(0);
  const running = useRef<AbortController | null>(null);
  const loader = useRef(load);
  loader.current = load;
  const beat = live ? tick.value : 0;

  useEffect(
    () => () => {
      running.current?.abort();
      running.current = null;
    },
    [key],
  );

  useEffect(() => {
    // An answer slower than the refresh interval is waited for, not asked again.
    if (key === null || running.current) return;
    const control = new AbortController();
    running.current = control;
    const settle = (next: (before: State<T>) => State<T>) => {
      if (control.signal.aborted) return;
      running.current = null;
      setState(next);
    };
    loader.current(control.signal).then(
      (data) => settle(() => ({ key, data, error: undefined })),
      (error: Error) =>
        settle((before) => ({ key, data: before.key === key ? before.data : undefined, error })),
    );
  }, [key, beat, attempt]);

  const current = state.key === key;
  const data = key !== null && (current || keep) ? state.data : undefined;
  const error = current ? state.error : undefined;
  return {
    data,
    error,
    loading: key !== null && data === undefined && !error,
    stale: data !== undefined && !current,
    retry: () => setAttempt(attempt + 1),
  };
}
