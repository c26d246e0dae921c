/** Colours for things without a health: service names get one each, always the same. */

/** How many `--c1`…`--cN` the style sheet defines. */
export const PALETTE_SIZE = 10;

/** Gives each name a palette index: by hash, but different for the first ten names where possible. */
export function assignColours(names: string[]): Map<string, number> {
  const taken = new Set<number>();
  const result = new Map<string, number>();
  for (const name of [...new Set(names)].sort()) {
    let index = hash(name) % PALETTE_SIZE;
    if (taken.size >= PALETTE_SIZE) taken.clear();
    while (taken.has(index)) index = (index + 1) % PALETTE_SIZE;
    taken.add(index);
    result.set(name, index + 1);
  }
  return result;
}

/** FNV-1a, 32 bits. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) {
    value ^= text.charCodeAt(i);
    value = Math.imul(value, 0x01000193) >>> 0;
  }
  return value;
}
