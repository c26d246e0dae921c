/** The view of the drawing: fitted until the reader moves it; changed without drawing anything again. */

import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import type { Point, Rect } from "./geometry";
import { fitView, type View, zoomAt } from "./viewport";

export interface Viewport {
  svg: { current: SVGSVGElement | null };
  world: { current: SVGGElement | null };
  view: { current: View };
  zoomBy: (factor: number, at?: Point) => void;
  panBy: (dx: number, dy: number) => void;
  fitAll: () => void;
}

/** Below this scale, labels are too small to read and are left out. */
const FAR = 0.42;

export function useViewport(area: Rect, fitKey: string): Viewport {
  const svg = useRef<SVGSVGElement>(null);
  const world = useRef<SVGGElement>(null);
  const view = useRef<View>({ x: 0, y: 0, scale: 1 });
  const touched = useRef(false);

  const apply = (next: View) => {
    view.current = next;
    world.current?.setAttribute("transform", `translate(${next.x} ${next.y}) scale(${next.scale})`);
    svg.current?.classList.toggle("graph-far", next.scale < FAR);
  };
  const fitAll = () => {
    const box = svg.current?.getBoundingClientRect();
    if (box?.width) apply(fitView(area, box));
    touched.current = false;
  };
  const zoomBy = (factor: number, at?: Point) => {
    const box = svg.current!.getBoundingClientRect();
    touched.current = true;
    apply(zoomAt(view.current, factor, at ?? { x: box.width / 2, y: box.height / 2 }));
  };
  const panBy = (dx: number, dy: number) => {
    touched.current = true;
    apply({ ...view.current, x: view.current.x + dx, y: view.current.y + dy });
  };

  useLayoutEffect(fitAll, [fitKey]);
  const refit = useRef(fitAll);
  refit.current = fitAll;
  useEffect(() => {
    const element = svg.current!;
    const observer = new ResizeObserver(() => {
      if (!touched.current) refit.current();
    });
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      const box = element.getBoundingClientRect();
      const speed = event.ctrlKey ? 0.01 : 0.0016;
      zoomBy(Math.exp(-event.deltaY * speed), { x: event.clientX - box.x, y: event.clientY - box.y });
    };
    observer.observe(element);
    element.addEventListener("wheel", wheel, { passive: false });
    return () => {
      observer.disconnect();
      element.removeEventListener("wheel", wheel);
    };
  }, []);
  return { svg, world, view, zoomBy, panBy, fitAll };
}
