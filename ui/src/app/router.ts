/** The address bar as state: a path and a query, both signals; links are plain anchors. */

import { computed, signal } from "@preact/signals";

const address = signal(new URL(window.location.href));

window.addEventListener("popstate", () => {
  address.value = new URL(window.location.href);
});

export const path = computed(() => address.value.pathname.replace(/\/+$/, "") || "/");
export const params = computed(() => address.value.searchParams);

export function navigate(to: string, options: { replace?: boolean } = {}): void {
  const next = new URL(to, window.location.href);
  if (next.href === window.location.href) return;
  if (options.replace) window.history.replaceState(null, "", next);
  else window.history.pushState(null, "", next);
  const moved = next.pathname !== address.value.pathname;
  address.value = next;
  if (moved) window.scrollTo(0, 0);
}

/** Changes some query parameters and keeps the rest; null or "" removes one. */
export function setParams(changes: Record<string, string | null>, replace = true): void {
  navigate(hrefWith(changes), { replace });
}

export function hrefWith(changes: Record<string, string | null>): string {
  const next = new URL(address.value.href);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === "") next.searchParams.delete(key);
    else next.searchParams.set(key, value);
  }
  return next.pathname + next.search;
}

/** A link to another page that takes the time range along. */
export function linkTo(pathname: string, query: Record<string, string | null> = {}): string {
  const next = new URLSearchParams();
  for (const key of ["range", "from", "to"]) {
    const value = params.value.get(key);
    if (value) next.set(key, value);
  }
  for (const [key, value] of Object.entries(query)) {
    if (value === null) next.delete(key);
    else if (value !== "") next.set(key, value);
  }
  const text = next.toString();
  return text ? `${pathname}?${text}` : pathname;
}

/** Lets plain anchors of this page navigate without a reload. */
export function followLinks(event: MouseEvent): void {
  if (
    event.defaultPrevented ||
    event.button !== 0 ||
    event.metaKey ||
    event.ctrlKey ||
    event.shiftKey ||
    event.altKey
  )
    return;
  const anchor = (event.target as Element | null)?.closest?.("a");
  if (!anchor?.getAttribute("href")?.startsWith("/") || anchor.target || anchor.hasAttribute("download"))
    return;
  event.preventDefault();
  navigate(anchor.getAttribute("href")!);
}
