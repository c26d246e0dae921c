/** Text widths, by the browser's own font, remembered. */

import { signal } from "@preact/signals";

/** Rises when a font arrives: what was measured before was another font's. */
const fonts = signal(0);

document.fonts?.addEventListener("loadingdone", () => {
  widths.clear();
  fonts.value += 1;
});

let context: CanvasRenderingContext2D | null = null;
const widths = new Map<string, number>();

export function textWidth(text: string, font: string): number {
  fonts.value; // a component that measures draws again when a font arrives
  const key = font + text;
  const known = widths.get(key);
  if (known !== undefined) return known;
  context ??= document.createElement("canvas").getContext("2d");
  if (!context) return text.length * 7;
  context.font = font;
  const width = context.measureText(text).width;
  if (widths.size > 5000) widths.clear();
  widths.set(key, width);
  return width;
}

/** The text, or as much of its beginning as fits before an ellipsis. */
export function ellipsize(text: string, font: string, room: number): string {
  if (textWidth(text, font) <= room) return text;
  let [low, high] = [0, text.length];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (textWidth(`${text.slice(0, middle)}…`, font) <= room) low = middle;
    else high = middle - 1;
  }
  return `${text.slice(0, low)}…`;
}
