import { describe, expect, it } from "vitest";
import {
  formatBytes,
  formatCount,
  formatMicros,
  formatMs,
  formatNumber,
  formatRate,
  formatRatio,
  uptimeParts,
} from "../src/lib/format";

const plain = (text: string) => text.replaceAll("\u00a0", " ");

describe("numbers", () => {
  it.each([
    [0, "0"],
    [0.0004, "<0.001"],
    [0.0123, "0.012"],
    [1.234, "1.23"],
    [12.34, "12.3"],
    [1234.5, "1,235"],
    [Number.NaN, "–"],
  ])("%d reads as %s", (value, text) => expect(formatNumber(value)).toBe(text));

  it("shortens large counts and rates", () => {
    expect(formatCount(9999)).toBe("9,999");
    expect(formatCount(12_345)).toBe("12.3k");
    expect(formatCount(2_500_000)).toBe("2.5M");
    expect(formatRate(48.21)).toBe("48.2/s");
    expect(formatRate(120_000)).toBe("120k/s");
  });
});

describe("ratios", () => {
  it("never shows a present error as zero, nor a missing one as all", () => {
    expect(formatRatio(0)).toBe("0%");
    expect(formatRatio(0.0001)).toBe("<0.1%");
    expect(formatRatio(0.9)).toBe("90.0%");
    expect(formatRatio(0.99999)).toBe(">99.9%");
    expect(formatRatio(1)).toBe("100%");
    expect(formatRatio(0.00234, 2)).toBe("0.23%");
  });
});

describe("durations and sizes", () => {
  it.each([
    [0, "0 ms"],
    [0.0421, "42.1 µs"],
    [5.58, "5.58 ms"],
    [310.4, "310 ms"],
    [1270, "1.27 s"],
    [125_000, "2 min 5 s"],
  ])("%d ms reads as %s", (ms, text) => expect(plain(formatMs(ms))).toBe(text));

  it("takes Jaeger's microseconds", () => expect(plain(formatMicros(174_600))).toBe("175 ms"));

  it("steps bytes by 1024", () => {
    expect(plain(formatBytes(813))).toBe("813 B");
    expect(plain(formatBytes(4618))).toBe("4.51 KiB");
    expect(plain(formatBytes(48_200_000))).toBe("46 MiB");
  });

  it("tells uptime in two units", () => {
    expect(uptimeParts(5423)).toEqual([
      { n: 1, unit: "h" },
      { n: 30, unit: "m" },
    ]);
    expect(uptimeParts(86_400)).toEqual([{ n: 1, unit: "d" }]);
    expect(uptimeParts(0.4)).toEqual([{ n: 0, unit: "s" }]);
  });
});
