/** Scales and tick marks for durations and times. */

/** Maps durations to a screen coordinate logarithmically, from `bottom` (low) to `top` (high). */
export function logScale(low: number, high: number, bottom: number, top: number): (value: number) => number {
  const [a, b] = padded(low, high).map(Math.log) as [number, number];
  return (value) => bottom - ((Math.log(Math.max(value, 1)) - a) / (b - a)) * (bottom - top);
}

/** A little room on either side, and never a range of nothing. */
function padded(low: number, high: number): [number, number] {
  const from = Math.max(1, low / 1.15);
  return [from, Math.max(from * 2, high * 1.15)];
}

/** Round durations (1, 2, 5 × 10ⁿ µs) inside the range, thinned to at most five. */
export function durationTicks(low: number, high: number): number[] {
  const [from, to] = padded(low, high);
  const wide = to / from > 100;
  const ticks: number[] = [];
  for (let power = 10 ** Math.floor(Math.log10(from)); power <= to; power *= 10) {
    for (const step of wide ? [1] : [1, 2, 5]) {
      const tick = step * power;
      if (tick >= from && tick <= to) ticks.push(tick);
    }
  }
  const every = Math.ceil(ticks.length / 5);
  return ticks.filter((_, index) => index % every === 0);
}

const STEPS = [
  1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800,
  604_800,
];

/** Round times inside the range, at most `most`. */
export function timeTicks(from: number, to: number, most: number): number[] {
  const step = STEPS.find((size) => (to - from) / size <= most) ?? STEPS[STEPS.length - 1]!;
  const offset = new Date(from * 1000).getTimezoneOffset() * 60;
  const first = Math.ceil((from - offset) / step) * step + offset;
  const ticks: number[] = [];
  for (let tick = first; tick <= to; tick += step) ticks.push(tick);
  return ticks;
}

/** Even marks over a duration for the waterfall's ruler. */
export function rulerTicks(start: number, end: number, count = 5): number[] {
  return Array.from({ length: count }, (_, index) => start + ((end - start) * index) / (count - 1));
}
