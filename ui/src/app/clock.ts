/** When pages ask again: a tick that every visible query follows, and whether it runs. */

import { effect, signal } from "@preact/signals";
import { params, path, setParams } from "./router";

export const REFRESH_CHOICES = [5, 10, 30, 60, 0] as const;

/** Rises by one when data should be asked again. */
export const tick = signal(0);
export const paused = signal(false);
/** What was found and a query's answer must not change under the pointer; everything else is live. */
const STILL = /^\/(?:traces|logs|explore|dependencies|propagation)(?:\/|$)/;
const defaultRefresh = (): number => (STILL.test(path.value) ? 0 : 10);

/** Seconds between ticks; 0 is off. */
export function refreshSeconds(): number {
  const text = params.value.get("refresh");
  if (text === "off") return 0;
  const seconds = Number(text?.replace(/s$/, ""));
  return seconds > 0 ? seconds : defaultRefresh();
}

export function setRefresh(seconds: number): void {
  setParams({ refresh: seconds === 0 ? "off" : `${seconds}s` });
}

export function refreshNow(): void {
  tick.value += 1;
}

effect(() => {
  const seconds = refreshSeconds();
  if (paused.value || seconds === 0) return;
  const timer = window.setInterval(() => {
    if (!document.hidden) tick.value = tick.peek() + 1;
  }, seconds * 1000);
  return () => window.clearInterval(timer);
});

document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !paused.peek() && refreshSeconds() > 0) refreshNow();
});
