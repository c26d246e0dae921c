/** A value that follows another once that has rested. */

import { useEffect, useState } from "preact/hooks";

export function useRested<T>(value: T, milliseconds: number): T {
  const [rested, setRested] = useState(value);
  useEffect(() => {
    const timer = window.setTimeout(() => setRested(value), milliseconds);
    return () => window.clearTimeout(timer);
  }, [value]);
  return rested;
}
