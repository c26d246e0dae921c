import { describe, expect, it } from "vitest";
import { type Answer, readAnswer } from "../src/api/prometheus";
import { heatRows, isBuckets, nativeRows, trimmed } from "../src/metrics/buckets";
import { ownTimes } from "../src/metrics/nodes";
import { placeOf, placesOf } from "../src/lib/places";
import {
  commonLabels,
  grid,
  legendText,
  linesOf,
  onTimes,
  seriesText,
  stack,
  summary,
  valueRange,
} from "../src/metrics/series";
import { withRun } from "../src/lib/recent";
import { explorerHref, readState, stepOf, writeState } from "../src/metrics/state";
import { formatShort, formatter, guessUnit } from "../src/metrics/units";

const answer = (series: Answer["series"]): Answer => ({
  type: "matrix",
  series,
  samples: [],
  warnings: [],
  infos: [],
  stats: undefined,
  milliseconds: 1,
});

describe("units", () => {
  it("are guessed from names and functions", () => {
    for (const [query, unit] of [
      ["sum(rate(istio_requests_total[5m]))", "cps"],
      [
        'histogram_quantile(0.95, sum by (le) (rate(istio_request_duration_milliseconds_bucket{a="b"}[5m])))',
        "ms",
      ],
      ["histogram_quantile(0.9, rate(http_seconds_bucket[5m]))", "s"],
      ["process_resident_memory_bytes", "bytes"],
      ["rate(istio_tcp_sent_bytes_total[1m])", "Bps"],
      ["rate(process_cpu_seconds_total[1m])", "short"],
      ["count(up)", "none"],
      ["rate(x_seconds_count[1m])", "cps"],
      ['sum(rate(errors_total{code=~"5.."}[5m])) / sum(rate(errors_total[5m]))', "percentunit"],
      ["sum(rate(a_seconds_sum[5m])) / sum(rate(a_seconds_count[5m]))", "short"],
      ["up", "short"],
      ['{__name__="x_bytes"}', "short"],
    ] as const)
      expect([query, guessUnit(query)]).toEqual([query, unit]);
  });

  it("write any number in a few characters", () => {
    expect(
      [0, 0.00001, 0.1234, 12.345, 1105.4, 56_789, -3e6, 2e13, NaN, Infinity, -Infinity].map(formatShort),
    ).toEqual(["0", "1.00e-5", "0.123", "12.35", "1,105", "56.8k", "-3M", "2.00e13", "NaN", "+Inf", "-Inf"]);
    expect(formatter("percentunit")(0.98)).toBe("98.00%");
    expect(formatter("Bps")(2048)).toBe("2\u00a0KiB/s");
    expect(formatter("s")(0.25)).toBe("250\u00a0ms");
    expect(formatter("furlongs")(3)).toBe("3");
    expect(formatter("ms")(null)).toBe("–");
  });
});

describe("series", () => {
  it("are written as PromQL writes them", () => {
    expect(seriesText({ __name__: "up", job: 'a"b' })).toBe('up{job="a\\"b"}');
    expect(seriesText({ __name__: "up" })).toBe("up");
    expect(seriesText({})).toBe("{}");
    expect(seriesText({ __name__: "utf.8", "a.b": "c" })).toBe('{"utf.8", "a.b"="c"}');
  });

  it("say common labels once", () => {
    const labels = [
      { a: "1", b: "x" },
      { a: "1", b: "y" },
    ];
    expect(commonLabels(labels)).toEqual({ a: "1" });
    expect(commonLabels(labels.slice(0, 1))).toEqual({});
    const lines = linesOf(answer(labels.map((one) => ({ labels: one, times: [0], values: [1] }))), {
      times: [0],
      step: 15,
      query: 0,
      first: 9,
    });
    expect(lines.map((line) => line.label)).toEqual(['{b="x"}', '{b="y"}']);
    expect(lines.map((line) => [line.colour, line.dash])).toEqual([
      ["--c10", false],
      ["--c1", true],
    ]);
  });

  it("fill legends as Grafana does", () => {
    expect(legendText("{{a}}.{{ b }} P95 {{c}}", { a: "x", b: "y" })).toBe("x.y P95 ");
    expect(legendText("", { a: "x" })).toBe('{a="x"}');
  });

  it("lie on the grid of the range, with gaps where there is nothing to draw", () => {
    const times = grid(7, 61, 15);
    expect(times).toEqual([0, 15, 30, 45, 60]);
    expect(onTimes({ times: [15, 45, 60], values: [1, NaN, Infinity] }, times, 15)).toEqual([
      null,
      1,
      null,
      null,
      null,
    ]);
  });

  it("are summed up, stacked and given an axis", () => {
    expect(summary([null, 2, 4, null])).toEqual({ last: 4, min: 2, max: 4, mean: 3 });
    expect(summary([null])).toEqual({ last: null, min: null, max: null, mean: null });
    expect(
      stack([
        [1, null, null],
        [2, 3, null],
      ]),
    ).toEqual([
      [1, 0, null],
      [3, 3, null],
    ]);
    expect(valueRange(1, 10, "short")[0]).toBe(0);
    expect(valueRange(95, 100, "short")[0]).toBeGreaterThan(90);
    expect(valueRange(95, 100, "reqps")[0]).toBe(0);
    expect(valueRange(0.98, 0.99, "percentunit")[1]).toBeCloseTo(1, 3);
    expect(valueRange(-5, 5, "short")[0]).toBeLessThan(-5);
    expect(valueRange(0, 0, "short")).toEqual([0, 1]);
    expect(valueRange(null, null, "short")).toEqual([0, 1]);
  });
});

describe("heatmaps", () => {
  const times = [0, 15];
  it("take cumulative buckets apart, and never below zero", () => {
    const one = answer([
      { labels: { le: "+Inf" }, times, values: [9, 7] },
      { labels: { le: "1" }, times, values: [2, 3] },
      { labels: { le: "5" }, times, values: [8, 2] },
    ]);
    expect(isBuckets(one)).toBe(true);
    const rows = heatRows(one, times, 15);
    expect(rows.map((row) => [row.lower, row.upper])).toEqual([
      [0, 1],
      [1, 5],
      [5, Infinity],
    ]);
    expect(rows.map((row) => row.values)).toEqual([
      [2, 3],
      [6, 0],
      [1, 5],
    ]);
  });

  it("cut empty rows at both ends and nothing between", () => {
    const row = (upper: number, values: number[]) => ({ lower: 0, upper, values });
    const rows = [row(1, [0]), row(2, [0]), row(3, [1]), row(4, [0]), row(5, [1]), row(6, [0])];
    expect(trimmed(rows).map((one) => one.upper)).toEqual([2, 3, 4, 5]);
    expect(trimmed([row(1, [0])])).toEqual([]);
  });

  it("show native histograms by their own bounds", () => {
    const one = answer([
      {
        labels: {},
        times: [],
        values: [],
        histograms: [
          [0, { count: "3", sum: "4", buckets: [[0, "1", "2", "3"]] }],
          [15, { count: "5", sum: "9", buckets: [[0, "2", "4", "5"]] }],
        ],
      },
    ]);
    expect(nativeRows(one, times, 15)).toEqual([
      { lower: 1, upper: 2, values: [3, null] },
      { lower: 2, upper: 4, values: [null, 5] },
    ]);
  });
});

describe("answers", () => {
  it("keep the text of samples, and read scalars, strings and histograms", () => {
    const read = (resultType: string, result: unknown) =>
      readAnswer({ data: { resultType: resultType as Answer["type"], result } }, 1);
    expect(read("scalar", [5, "0.1"]).samples[0]).toMatchObject({ value: 0.1, text: "0.1", time: 5 });
    expect(read("string", [5, "hello"]).samples[0]?.text).toBe("hello");
    expect(read("vector", [{ metric: { a: "b" }, value: [5, "1e-7"] }]).samples[0]).toMatchObject({
      labels: { a: "b" },
      text: "1e-7",
    });
    const histogram = { count: "4", sum: "2", buckets: [] };
    expect(read("vector", [{ metric: {}, histogram: [5, histogram] }]).samples[0]).toMatchObject({
      value: 4,
      histogram,
    });
    expect(read("matrix", [{ metric: {}, histograms: [[5, histogram]] }]).series[0]).toMatchObject({
      times: [],
      histograms: [[5, histogram]],
    });
  });
});

describe("messages with a place", () => {
  it("are read from parse errors and annotations", () => {
    expect(placeOf('invalid parameter "query": 2:5: parse error: unexpected ")"', "error")).toEqual({
      line: 2,
      column: 5,
      message: 'unexpected ")"',
      severity: "error",
    });
    expect(placeOf("PromQL info: metric might not be a counter (1:6)", "info")).toMatchObject({
      line: 1,
      column: 6,
    });
    expect(placeOf("query timed out", "error")).toBeNull();
    expect(placesOf({ error: "1:1: x", warnings: ["w (1:2)", "elsewhere"], infos: [] })).toHaveLength(2);
  });
});

describe("the explorer's URL", () => {
  const state = {
    queries: [
      { expr: 'rate(a{b="c&d"}[5m])', hidden: false },
      { expr: "up", hidden: true },
    ],
    view: "heatmap" as const,
    step: 60,
    explain: true,
    exemplars: true,
  };

  it("says all of the state and keeps the range", () => {
    const text = writeState(state, new URLSearchParams("range=15m&q=old"));
    const params = new URLSearchParams(text);
    expect(readState(params)).toEqual(state);
    expect(params.get("range")).toBe("15m");
  });

  it("falls back on nonsense", () => {
    expect(readState(new URLSearchParams("view=cake&step=-1"))).toEqual({
      queries: [],
      view: "graph",
      step: null,
      explain: false,
      exemplars: false,
    });
  });

  it("never asks for more points than the API gives", () => {
    expect(stepOf({ ...state, step: 5 }, { kind: "relative", seconds: 3600 })).toBe(5);
    expect(stepOf({ ...state, step: 5 }, { kind: "relative", seconds: 86_400 * 30 })).toBeGreaterThan(1000);
  });

  it("is what links from other pages lead to", () => {
    const href = explorerHref(["a", "b"], { kind: "relative", seconds: 900 }, "table");
    expect(readState(new URL(href, "http://x").searchParams)).toMatchObject({
      queries: [{ expr: "a" }, { expr: "b" }],
      view: "table",
    });
    expect(href).toContain("range=15m");
  });
});

describe("explained nodes", () => {
  it("have their own time without that of their children", () => {
    const node = (depth: number, milliseconds: number) => ({ node: "", depth, series: 1, milliseconds });
    expect(ownTimes([node(0, 10), node(1, 6), node(2, 5), node(1, 3)])).toEqual([1, 1, 5, 3]);
  });
});

describe("recent queries", () => {
  it("are kept newest first, each once, and not for ever", () => {
    expect(withRun(["up", "b"], [" b ", "", "c"])).toEqual(["b", "c", "up"]);
    const many = Array.from({ length: 30 }, (_, number) => `m${number}`);
    expect(withRun(many, ["up"])).toHaveLength(20);
  });
});
