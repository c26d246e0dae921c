/** Which places of a comparison are shown, and in which order. */

import type { Change, ComparedPlace } from "../api/analysis";

/** How many places changed in which way, the gravest first. */
export function changes(places: readonly ComparedPlace[]): [Change, number][] {
  const order: Change[] = ["failed", "added", "removed", "slower", "more", "faster", "fewer", "recovered"];
  return order.flatMap((change) => {
    const count = places.filter((place) => place.change === change).length;
    return count ? [[change, count] as [Change, number]] : [];
  });
}

/** Indexes of places that changed and of all above them (of all places when `all`), each above those below it. */
export function shownPlaces(places: readonly ComparedPlace[], all: boolean): number[] {
  const shown = new Set<number>();
  places.forEach((place, index) => {
    if (!all && place.change === "same") return;
    for (let at = index; at >= 0 && !shown.has(at); at = places[at]!.parent) shown.add(at);
  });
  return inTreeOrder(places).filter((index) => shown.has(index));
}

/** The server sends places level by level; read from above, children follow their parent. */
function inTreeOrder(places: readonly ComparedPlace[]): number[] {
  const children = new Map<number, number[]>();
  places.forEach((place, index) => {
    const list = children.get(place.parent);
    if (list) list.push(index);
    else children.set(place.parent, [index]);
  });
  const order: number[] = [];
  const open = [...(children.get(-1) ?? [])].reverse();
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    order.push(next);
    open.push(...[...(children.get(next) ?? [])].reverse());
  }
  return order;
}
