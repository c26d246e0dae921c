/** Where a scroller stands, how tall it is and how wide its scroll bar; scrolling redraws at most once a frame. */

import { useEffect, useState } from "preact/hooks";

export interface Frame {
  top: number;
  height: number;
  bar: number;
}

export function useFrame(scroller: { current: HTMLElement | null }): Frame {
  const [frame, setFrame] = useState<Frame>({ top: 0, height: 800, bar: 0 });
  useEffect(() => {
    const element = scroller.current!;
    let asked = 0;
    const read = () => {
      asked = 0;
      setFrame({
        top: element.scrollTop,
        height: element.clientHeight,
        bar: element.offsetWidth - element.clientWidth,
      });
    };
    const ask = () => {
      asked ||= requestAnimationFrame(read);
    };
    const observer = new ResizeObserver(ask);
    observer.observe(element);
    element.addEventListener("scroll", ask, { passive: true });
    read();
    return () => {
      cancelAnimationFrame(asked);
      observer.disconnect();
      element.removeEventListener("scroll", ask);
    };
  }, []);
  return frame;
}

/** The rows to draw: those in the frame and some around it. */
export function rowsInFrame(frame: Frame, count: number, rowHeight: number, margin = 12): [number, number] {
  const first = Math.max(0, Math.floor(frame.top / rowHeight) - margin);
  const last = Math.min(count, Math.ceil((frame.top + frame.height) / rowHeight) + margin);
  return [Math.min(first, last), last];
}

/** Scrolls just as far as a row needs to be seen, with some rows of company. */
export function scrollToRow(element: HTMLElement | null, row: number, rowHeight: number): void {
  if (!element || row < 0) return;
  const top = row * rowHeight;
  if (top < element.scrollTop) element.scrollTop = top - rowHeight * 2;
  else if (top + rowHeight > element.scrollTop + element.clientHeight)
    element.scrollTop = top + rowHeight * 3 - element.clientHeight;
}
