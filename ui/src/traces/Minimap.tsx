/** The whole trace in a strip; dragging over it zooms the time axis below. */

import { useEffect, useRef, useState } from "preact/hooks";
import { shownTheme } from "../app/prefs";
import { t } from "../i18n";
import type { Trace } from "./tree";

/** The shown part of the trace, as fractions of its duration. */
export interface Window {
  from: number;
  to: number;
}

interface Props {
  trace: Trace;
  colours: Map<string, number>;
  view: Window;
  onView: (view: Window) => void;
}

const HEIGHT = 52;

export function Minimap({ trace, colours, view, onView }: Props) {
  const canvas = useRef<HTMLCanvasElement>(null);
  const [drag, setDrag] = useState<{ start: number; now: number } | null>(null);
  const theme = shownTheme.value;

  useEffect(() => {
    const element = canvas.current!;
    const paint = () => draw(element, trace, colours);
    const observer = new ResizeObserver(paint);
    observer.observe(element);
    return () => observer.disconnect();
  }, [trace, colours, theme]);

  const at = (event: PointerEvent) => {
    const box = (event.currentTarget as Element).getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
  };
  const shown = drag ? { from: Math.min(drag.start, drag.now), to: Math.max(drag.start, drag.now) } : view;
  return (
    <div class="minimap">
      <span class="span-name" />
      <div
        class="minimap-track"
        role="img"
        aria-label={t("trace.minimap")}
        title={t("trace.minimap")}
        onPointerDown={(event) => {
          event.currentTarget.setPointerCapture(event.pointerId);
          setDrag({ start: at(event), now: at(event) });
        }}
        onPointerMove={(event) => drag && setDrag({ ...drag, now: at(event) })}
        onPointerUp={() => {
          if (drag && shown.to - shown.from > 0.004) onView(shown);
          setDrag(null);
        }}
        onDblClick={() => onView({ from: 0, to: 1 })}
      >
        <canvas ref={canvas} height={HEIGHT} />
        <i class="minimap-shade" style={{ left: 0, width: `${shown.from * 100}%` }} />
        <i class="minimap-shade" style={{ right: 0, width: `${(1 - shown.to) * 100}%` }} />
      </div>
    </div>
  );
}

/** One line a span where there is room, else rows share lines in order. */
function draw(element: HTMLCanvasElement, trace: Trace, colours: Map<string, number>): void {
  const width = element.clientWidth;
  const ratio = window.devicePixelRatio || 1;
  element.width = width * ratio;
  element.height = HEIGHT * ratio;
  const context = element.getContext("2d");
  if (!context || trace.duration <= 0) return;
  const style = getComputedStyle(document.documentElement);
  const colour = new Map(
    [...colours].map(([name, index]) => [name, style.getPropertyValue(`--c${index}`).trim()]),
  );
  const bad = style.getPropertyValue("--bad").trim();
  context.scale(ratio, ratio);
  const step = Math.min(4, (HEIGHT - 8) / trace.nodes.length);
  const thick = Math.max(1, Math.min(2.5, step * 0.7));
  trace.nodes.forEach((node, index) => {
    context.fillStyle = node.error ? bad : (colour.get(node.service) ?? "");
    const x = (node.start / trace.duration) * width;
    context.fillRect(x, 4 + index * step, Math.max(1, (node.duration / trace.duration) * width), thick);
  });
}
