/** A flame graph on a canvas: click or Enter zooms, arrows move, Escape goes back. Any number of nodes. */

import type { ComponentChildren } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { FlameAnswer, FlameNode } from "../api/analysis";
import { shownTheme } from "../app/prefs";
import { readColours } from "../components/axes";
import { Button, TextField } from "../components/Controls";
import { count, t } from "../i18n";
import { formatCount, formatMs, formatRatio } from "../lib/format";
import { ellipsize } from "../lib/measure";
import { assignColours } from "../lib/palette";
import { useFrame } from "../lib/useFrame";
import { useWidth } from "../lib/useWidth";
import { boxAt, type Direction, type Flame, layOut, neighbour, wayTo } from "./flame";
import { shortOperation } from "./summary";

const ROW = 22;
const KEYS: Record<string, Direction> = {
  ArrowUp: "up",
  ArrowDown: "down",
  ArrowLeft: "left",
  ArrowRight: "right",
};

interface View {
  from: number;
  to: number;
}
const WHOLE: View = { from: 0, to: 1 };

export function FlameGraph({ answer, tabs }: { answer: FlameAnswer; tabs?: ComponentChildren }) {
  const flame = useMemo(() => layOut(answer.nodes), [answer]);
  const colours = useMemo(() => assignColours(answer.nodes.map((node) => node.service)), [answer]);
  const [view, setView] = useState(WHOLE);
  const [focus, setFocus] = useState(0);
  const [hovered, setHovered] = useState(-1);
  const [text, setText] = useState("");
  const scroller = useRef<HTMLDivElement>(null);
  const canvas = useRef<HTMLCanvasElement>(null);
  const frame = useFrame(scroller);
  const width = useWidth(scroller) || 0;
  const theme = shownTheme.value;
  useEffect(() => {
    setView(WHOLE);
    setFocus(0);
  }, [flame]);
  useEffect(() => {
    if (width > 0 && canvas.current)
      draw(canvas.current, {
        flame,
        colours,
        view,
        focus,
        hovered,
        text: text.trim().toLowerCase(),
        width,
        frame,
      });
  }, [flame, colours, view, focus, hovered, text, width, frame, theme]);
  const zoom = (index: number) => {
    const box = flame.boxes[index];
    if (!box) return;
    setFocus(index);
    setView(box.node.parent < 0 && flame.rows[0]!.length === 1 ? WHOLE : { from: box.from, to: box.to });
  };
  const at = (event: MouseEvent) => {
    const place = canvas.current!.getBoundingClientRect();
    const part = view.from + ((event.clientX - place.left) / width) * (view.to - view.from);
    return boxAt(flame, Math.floor((event.clientY - place.top + frame.top) / ROW), part);
  };
  const onKey = (event: KeyboardEvent) => {
    const direction = KEYS[event.key];
    if (direction) {
      const next = neighbour(flame, focus, direction);
      setFocus(next);
      keepInView(flame, next, view, setView, scroller.current);
    } else if (event.key === "Enter" || event.key === " ") zoom(focus);
    else if (event.key === "Escape" || event.key === "0") setView(WHOLE);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const shown = flame.boxes[hovered >= 0 ? hovered : focus]?.node;
  return (
    <div class="flame" data-testid="flame">
      <FlameBar
        tabs={tabs}
        text={text}
        onText={setText}
        zoomed={view.from > 0 || view.to < 1}
        onReset={() => setView(WHOLE)}
      />
      {shown && (
        <Described flame={flame} index={hovered >= 0 ? hovered : focus} answer={answer} node={shown} />
      )}
      {/* eslint-disable jsx-a11y/no-noninteractive-tabindex, jsx-a11y/no-noninteractive-element-interactions -- an application: what is focused is written out above */}
      <div
        class="flame-scroll"
        ref={scroller}
        tabIndex={0}
        role="application"
        aria-label={t("traces.page.flame")}
        data-testid="flame-canvas"
        onKeyDown={onKey}
        onMouseMove={(event) => setHovered(at(event))}
        onMouseLeave={() => setHovered(-1)}
        onClick={(event) => zoom(at(event))}
      >
        <div style={{ height: flame.depth * ROW }}>
          <canvas ref={canvas} />
        </div>
      </div>
      {/* eslint-enable */}
    </div>
  );
}

interface BarProps {
  tabs: ComponentChildren;
  text: string;
  onText: (text: string) => void;
  zoomed: boolean;
  onReset: () => void;
}

function FlameBar({ tabs, text, onText, zoomed, onReset }: BarProps) {
  return (
    <div class="waterfall-bar">
      {tabs}
      <TextField
        label={t("flame.find")}
        placeholder={t("flame.find")}
        icon="search"
        value={text}
        onInput={onText}
      />
      <span class="end">
        {zoomed && (
          <Button icon="fit" data-testid="flame-reset" onClick={onReset}>
            {t("trace.resetZoom")}
          </Button>
        )}
        <span class="muted flame-hint">{t("flame.keys")}</span>
      </span>
    </div>
  );
}

function keepInView(
  flame: Flame,
  index: number,
  view: View,
  setView: (view: View) => void,
  scroller: HTMLElement | null,
): void {
  const box = flame.boxes[index];
  if (!box || !scroller) return;
  if (box.to <= view.from || box.from >= view.to || box.to - box.from > view.to - view.from)
    setView(box.node.parent < 0 ? WHOLE : pick(flame, box.node.parent));
  const top = box.node.depth * ROW;
  if (top < scroller.scrollTop) scroller.scrollTop = top;
  else if (top + ROW > scroller.scrollTop + scroller.clientHeight)
    scroller.scrollTop = top + ROW - scroller.clientHeight;
}

const pick = (flame: Flame, index: number): View => {
  const { from, to } = flame.boxes[index]!;
  return { from, to };
};

function Described(props: { flame: Flame; index: number; answer: FlameAnswer; node: FlameNode }) {
  const { flame, index, answer, node } = props;
  const numbers = [
    count("traces.spans", node.spans),
    ...(answer.traces > 1 ? [t("flame.traces", { n: formatCount(node.traces) })] : []),
    t("flame.total", { time: formatMs(node.total_ms) }),
    t("flame.self", {
      time: formatMs(node.self_ms),
      share: formatRatio(node.self_ms / (answer.total_ms || 1)),
    }),
    t("flame.path", { time: formatMs(node.path_ms) }),
  ];
  const above = wayTo(flame, index).slice(0, -1);
  return (
    <p class="flame-described" aria-live="polite" data-testid="flame-described">
      <b class="truncate" title={above.map((one) => `${one.service} ${one.operation}`).join(" → ")}>
        {node.service} <span>{shortOperation(node.operation)}</span>
      </b>
      <span class="muted">
        {numbers.join(" · ")}
        {node.errors > 0 && <span class="text-bad"> · {count("traces.errors", node.errors)}</span>}
      </span>
    </p>
  );
}

interface Drawing {
  flame: Flame;
  colours: Map<string, number>;
  view: View;
  focus: number;
  hovered: number;
  text: string;
  width: number;
  frame: { top: number; height: number };
}

/** Only rows in the frame and boxes wider than half a pixel are drawn. */
function draw(canvas: HTMLCanvasElement, drawing: Drawing): void {
  const { flame, width, frame, view } = drawing;
  const ratio = window.devicePixelRatio || 1;
  const height = Math.min(frame.height, flame.depth * ROW);
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const pen = canvas.getContext("2d")!;
  pen.scale(ratio, ratio);
  pen.textBaseline = "middle";
  const colour = readColours();
  const font = `12px ${colour("--font")}`;
  pen.font = font;
  const scale = width / (view.to - view.from);
  const last = Math.min(flame.depth - 1, Math.floor((frame.top + height) / ROW));
  for (let row = Math.floor(frame.top / ROW); row <= last; row += 1) {
    for (const index of flame.rows[row] ?? []) {
      const box = flame.boxes[index]!;
      const left = Math.max(0, (box.from - view.from) * scale);
      const right = Math.min(width, (box.to - view.from) * scale);
      if (right - left < 0.5) continue;
      drawBox(pen, drawing, colour, font, { index, left, right, top: row * ROW - frame.top });
    }
  }
}

function drawBox(
  pen: CanvasRenderingContext2D,
  { flame, colours, focus, hovered, text }: Drawing,
  colour: (token: string) => string,
  font: string,
  { index, left, right, top }: { index: number; left: number; right: number; top: number },
): void {
  const { node } = flame.boxes[index]!;
  const label = `${node.service.split(".")[0]} ${shortOperation(node.operation)}`;
  const faded = text !== "" && !`${node.service} ${node.operation}`.toLowerCase().includes(text);
  const [across, down] = [Math.max(0.5, right - left - 1), ROW - 2];
  pen.globalAlpha = faded ? 0.12 : index === hovered ? 0.55 : 0.34;
  pen.fillStyle = colour(`--c${colours.get(node.service) ?? 1}`);
  pen.fillRect(left, top + 1, across, down);
  pen.globalAlpha = faded ? 0.4 : 1;
  pen.fillRect(left, top + 1, Math.min(3, across), down);
  if (node.errors > 0) {
    pen.fillStyle = colour("--bad");
    pen.fillRect(left, top + ROW - 4, Math.max(1, across * (node.errors / node.spans)), 3);
  }
  if (index === focus) {
    pen.strokeStyle = colour("--accent");
    pen.lineWidth = 2;
    pen.strokeRect(left + 1, top + 2, Math.max(1, across - 2), down - 2);
  }
  if (across > 36) {
    pen.fillStyle = colour(faded ? "--text-3" : "--text");
    pen.fillText(ellipsize(label, font, across - 12), left + 8, top + ROW / 2);
  }
  pen.globalAlpha = 1;
}
