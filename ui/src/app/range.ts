/** The page's time range: in the URL where the reader chose one, else the page's default. */

import { rangeParams, readRange, type TimeRange } from "../lib/time";
import { params, path, setParams } from "./router";

/** What a page shows when the URL names no range, in seconds. */
function defaultSeconds(pathname: string): number {
  if (/^\/(?:traces|explore|dependencies|propagation)(?:\/|$)/.test(pathname)) return 3600;
  if (pathname.startsWith("/logs") || pathname.startsWith("/dashboards/")) return 900;
  if (pathname === "/insights") return 86_400;
  if (pathname === "/services") return 300;
  return pathname.startsWith("/services/") ? 900 : 60;
}

export function currentRange(): TimeRange {
  return readRange(params.value, defaultSeconds(path.value));
}

export function setRange(range: TimeRange): void {
  setParams(rangeParams(range), false);
}
