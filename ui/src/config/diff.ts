/** Lines of two texts compared: what is the same, what went, what came; and the parts worth showing. */

export interface DiffLine {
  kind: "same" | "old" | "new";
  text: string;
  /** Line numbers from 1; null on the side that does not have it. */
  before: number | null;
  after: number | null;
}

/** Lines around a change that are shown with it. */
const CONTEXT = 3;
/** Beyond this many pairs of lines the middle is told as replaced as a whole. */
const MOST_PAIRS = 4_000_000;

const linesOf = (text: string): string[] => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));

export function diffLines(before: string, after: string): DiffLine[] {
  const [a, b] = [linesOf(before), linesOf(after)];
  let head = 0;
  while (head < a.length && head < b.length && a[head] === b[head]) head += 1;
  let tail = 0;
  while (tail < Math.min(a.length, b.length) - head && a[a.length - 1 - tail] === b[b.length - 1 - tail])
    tail += 1;
  const lines: DiffLine[] = [];
  const same = (i: number, j: number) =>
    lines.push({ kind: "same", text: a[i]!, before: i + 1, after: j + 1 });
  for (let i = 0; i < head; i += 1) same(i, i);
  const [aEnd, bEnd] = [a.length - tail, b.length - tail];
  let [i, j] = [head, head];
  for (const keep of common(a.slice(head, aEnd), b.slice(head, bEnd))) {
    while (i < head + keep[0]) lines.push({ kind: "old", text: a[i]!, before: (i += 1), after: null });
    while (j < head + keep[1]) lines.push({ kind: "new", text: b[j]!, before: null, after: (j += 1) });
    same(i, j);
    i += 1;
    j += 1;
  }
  while (i < aEnd) lines.push({ kind: "old", text: a[i]!, before: (i += 1), after: null });
  while (j < bEnd) lines.push({ kind: "new", text: b[j]!, before: null, after: (j += 1) });
  for (; i < a.length; i += 1, j += 1) same(i, j);
  return lines;
}

/** Pairs of indexes of a longest common subsequence. */
function common(a: string[], b: string[]): [number, number][] {
  if (a.length * b.length > MOST_PAIRS) return [];
  const width = b.length + 1;
  const length = new Uint32Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      length[i * width + j] =
        a[i] === b[j]
          ? length[(i + 1) * width + j + 1]! + 1
          : Math.max(length[(i + 1) * width + j]!, length[i * width + j + 1]!);
    }
  }
  const pairs: [number, number][] = [];
  let [i, j] = [0, 0];
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) pairs.push([i++, j++]);
    else if (length[(i + 1) * width + j]! >= length[i * width + j + 1]!) i += 1;
    else j += 1;
  }
  return pairs;
}

/** A run of lines to show, or how many unchanged ones are left out. */
export type DiffPart = { lines: DiffLine[] } | { hidden: DiffLine[] };

/** Changed lines with some around them; a gap of one line is shown rather than counted. */
export function parts(lines: readonly DiffLine[]): DiffPart[] {
  const near = lines.map((_, at) =>
    lines.slice(Math.max(0, at - CONTEXT), at + CONTEXT + 1).some((line) => line.kind !== "same"),
  );
  const found: DiffPart[] = [];
  for (let at = 0; at < lines.length;) {
    let end = at;
    while (end < lines.length && near[end] === near[at]) end += 1;
    const run = lines.slice(at, end);
    const last = found[found.length - 1];
    if (near[at] || run.length === 1) {
      if (last && "lines" in last) last.lines.push(...run);
      else found.push({ lines: [...run] });
    } else found.push({ hidden: run });
    at = end;
  }
  return found;
}

export function counts(lines: readonly DiffLine[]): { added: number; removed: number } {
  return {
    added: lines.filter((line) => line.kind === "new").length,
    removed: lines.filter((line) => line.kind === "old").length,
  };
}
