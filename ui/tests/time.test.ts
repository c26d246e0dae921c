import { describe, expect, it } from "vitest";
import {
  durationText,
  parseDuration,
  rangeParams,
  rateWindow,
  readRange,
  resolve,
  stepFor,
} from "../src/lib/time";

describe("time ranges in the URL", () => {
  it("reads relative and absolute ranges and falls back on nonsense", () => {
    expect(readRange(new URLSearchParams("range=15m"), 60)).toEqual({ kind: "relative", seconds: 900 });
    expect(readRange(new URLSearchParams("from=100&to=200"), 60)).toEqual({
      kind: "absolute",
      from: 100,
      to: 200,
    });
    expect(readRange(new URLSearchParams("from=200&to=100"), 60)).toEqual({ kind: "relative", seconds: 60 });
    expect(readRange(new URLSearchParams("range=soon"), 60)).toEqual({ kind: "relative", seconds: 60 });
  });

  it("writes what it reads", () => {
    for (const range of [
      { kind: "relative", seconds: 10_800 } as const,
      { kind: "absolute", from: 1_700_000_000, to: 1_700_000_900 } as const,
    ]) {
      const params = new URLSearchParams();
      for (const [key, value] of Object.entries(rangeParams(range))) if (value) params.set(key, value);
      expect(readRange(params, 60)).toEqual(range);
    }
  });

  it("resolves relative ranges against now", () => {
    expect(resolve({ kind: "relative", seconds: 60 }, 1000)).toEqual({ from: 940, to: 1000 });
  });
});

describe("durations", () => {
  it("round-trip in the shortest unit", () => {
    for (const text of ["30s", "1m", "90s", "3h", "7d"])
      expect(durationText(parseDuration(text)!)).toBe(text);
    expect(parseDuration("0m")).toBeNull();
    expect(parseDuration("1.5h")).toBeNull();
  });
});

describe("range queries", () => {
  it("take a round step near the wanted number of points", () => {
    expect(stepFor(60)).toBe(5);
    expect(stepFor(900)).toBe(10);
    expect(stepFor(86_400)).toBe(900);
    expect(86_400 / stepFor(86_400)).toBeLessThanOrEqual(120);
  });

  it("rate over no less than the step", () => {
    expect(rateWindow(5)).toBe(30);
    expect(rateWindow(900)).toBe(900);
  });
});
