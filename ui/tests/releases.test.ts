import { describe, expect, it } from "vitest";
import type { Release, ReleaseDetail } from "../src/api/releases";
import {
  chosenOf,
  evidenceColumns,
  evidenceText,
  gaugeShare,
  ladder,
  spanOf,
  weightColumns,
} from "../src/releases/model";

const release = (more: Partial<ReleaseDetail> = {}): ReleaseDetail =>
  ({
    name: "reviews",
    namespace: "shop",
    phase: "Progressing",
    weight: 20,
    steps: [5, 20, 50],
    events: [
      { at: 100, phase: "Progressing", weight: 5, text: "", warning: false },
      { at: 280, phase: "Progressing", weight: 20, text: "", warning: false },
    ],
    ended: null,
    now: 400,
    needed: 20,
    evidence_over_time: [
      { at: 160, evidence: 1 },
      { at: 220, evidence: 0 },
    ],
    ...more,
  }) as ReleaseDetail;

describe("releases", () => {
  it("shows how far a release came", () => {
    expect(ladder(release(), release().events).map((one) => one.state)).toEqual([
      "done",
      "here",
      "ahead",
      "ahead",
    ]);
    const failed = release({ phase: "Failed", weight: 0 });
    expect(ladder(failed, failed.events).map((one) => one.state)).toEqual([
      "done",
      "failed",
      "ahead",
      "ahead",
    ]);
    const promoted = release({ phase: "Succeeded", weight: 100 });
    expect(ladder(promoted, []).every((one) => one.state === "done")).toBe(true);
  });

  it("draws weights as steps up to now", () => {
    const { times, lines } = weightColumns(release());
    expect(lines[0]!.values).toEqual([0, 5, 5, 20, 20]);
    expect(times[times.length - 1]).toBe(400);
    expect(times).toEqual([...times].sort((a, b) => a - b));
  });

  it("puts evidence on a scale of powers of ten", () => {
    expect(evidenceColumns(release()).lines[0]!.values).toEqual([1, 0]);
    expect(gaugeShare(1, 20)).toBe(0.5);
    expect(gaugeShare(20, 20)).toBe(1);
    expect(gaugeShare(1e9, 20)).toBe(1);
    expect(gaugeShare(0, 20)).toBe(0);
    expect([0.0342, 17.2, 123456].map(evidenceText)).toEqual(["0.034", "17", "1.2e5"]);
  });

  it("places intervals around no change", () => {
    const finding = {
      name: "errors",
      verdict: "safe",
      harm: 1,
      safety: 1,
      base: 0.01,
      canary: 0.01,
      unit: "share",
      change: 1,
      low: 0.5,
      high: null,
      clump: 1,
      minutes: null,
      text: "",
    } as const;
    const span = spanOf(finding)!;
    expect(span.at).toBe(0.5);
    expect(span.low).toBeCloseTo(0.25);
    expect(span.high).toBe(1);
    expect(spanOf({ ...finding, change: null })).toBeNull();
  });

  it("finds the release that a URL names, else the first", () => {
    const all = [release(), release({ name: "ratings" })] as Release[];
    expect(chosenOf(all, "shop/ratings")?.name).toBe("ratings");
    expect(chosenOf(all, "shop/gone")?.name).toBe("reviews");
    expect(chosenOf([], null)).toBeUndefined();
  });
});
