/** Lays graphs out beside the page, so that it stays responsive. */

import { layOut } from "./layered";
import type { Shape } from "./layout";

export interface LayoutRequest {
  id: number;
  shape: Shape;
  numbers: number;
}

self.addEventListener("message", (event: MessageEvent<LayoutRequest>) => {
  const { id, shape, numbers } = event.data;
  self.postMessage({ id, layout: layOut(shape, numbers) });
});
