import { describe, expect, it } from "vitest";
import type { CohortProperty, ComparedPlace, FlameNode, TracePath } from "../src/api/analysis";
import type { RawSpan } from "../src/api/jaeger";
import { cohortParams, pText, questionOf, readCohorts } from "../src/analysis/cohorts";
import { changes, shownPlaces } from "../src/analysis/compare";
import { ofOperation, withProperty } from "../src/analysis/queries";
import { rowsInFrame } from "../src/lib/useFrame";
import { operationRows } from "../src/services/operations";
import { joined, layOver, NO_PATH } from "../src/traces/criticalPath";
import { boxAt, layOut, neighbour, wayTo } from "../src/traces/flame";
import { sortedRows } from "../src/traces/spanRows";
import { attributeNames, groupSpans, ranked } from "../src/traces/statistics";
import { buildTrace, stepMatch } from "../src/traces/tree";

const span = (
  id: string,
  parent: string | null,
  start: number,
  duration: number,
  tags: RawSpan["tags"] = [],
) => ({
  traceID: "t",
  spanID: id,
  operationName: `op ${id}`,
  references: parent ? [{ refType: "CHILD_OF", traceID: "t", spanID: parent }] : [],
  startTime: 1_000_000 + start,
  duration,
  tags,
  processID: "p",
});
const trace = buildTrace({
  traceID: "t",
  spans: [
    span("a", null, 0, 100, [{ key: "zone", value: "x" }]),
    span("b", "a", 10, 30, [{ key: "zone", value: "y" }]),
    span("c", "a", 50, 40, [{ key: "zone", value: "y" }]),
  ],
  processes: { p: { serviceName: "cart.shop" } },
});

describe("the critical path", () => {
  const section = (span_id: string, start_ms: number, duration_ms: number) => ({
    service: "",
    operation: "",
    span_id,
    start_ms,
    duration_ms,
  });
  const path: TracePath = {
    trace_id: "t",
    service: "",
    operation: "",
    start: "1970-01-01T00:00:01.000000Z",
    duration_ms: 0.1,
    spans: 3,
    roots: 1,
    sections: [section("a", 0, 0.05), section("c", 0.05, 0.06), section("gone", 0, 1)],
  };

  it("lies over the spans, cut to them", () => {
    const laid = layOver(path, trace);
    expect(laid.sections.get("a")).toEqual([{ start: 0, duration: 50 }]);
    expect(laid.sections.get("c")).toEqual([{ start: 50, duration: 40 }]);
    expect(laid.sections.has("gone")).toBe(false);
    expect(laid.owned.get("c")).toBeCloseTo(60);
  });

  it("draws near parts as one", () => {
    const parts = [
      { start: 0, duration: 5 },
      { start: 6, duration: 5 },
      { start: 30, duration: 1 },
    ];
    expect(joined(parts, 2)).toEqual([
      { start: 0, duration: 11 },
      { start: 30, duration: 1 },
    ]);
    expect(parts[0]).toEqual({ start: 0, duration: 5 });
  });
});

describe("rows on the screen", () => {
  it("are those in the frame and some around it, never more than there are", () => {
    const frame = (top: number, height: number) => ({ top, height, bar: 0 });
    expect(rowsInFrame(frame(0, 280), 50_000, 28, 2)).toEqual([0, 12]);
    expect(rowsInFrame(frame(28_000, 280), 50_000, 28, 2)).toEqual([998, 1012]);
    expect(rowsInFrame(frame(1e9, 280), 10, 28, 2)).toEqual([10, 10]);
    expect(rowsInFrame(frame(0, 280), 0, 28)).toEqual([0, 0]);
  });

  it("are sorted by any column, equal ones as in the trace", () => {
    const all = [0, 1, 2];
    expect(sortedRows(trace, all, NO_PATH, "duration", true)).toEqual([0, 2, 1]);
    expect(sortedRows(trace, all, NO_PATH, "service", true)).toEqual([0, 1, 2]);
  });

  it("are stepped through by match, around the ends", () => {
    expect(stepMatch([2, 5, 9], 5, 1)).toBe(9);
    expect(stepMatch([2, 5, 9], 9, 1)).toBe(2);
    expect(stepMatch([2, 5, 9], 2, -1)).toBe(9);
    expect(stepMatch([], 2, 1)).toBeUndefined();
  });
});

describe("statistics", () => {
  it("group by any attribute, and keep all self time", () => {
    const groups = groupSpans(trace, "zone", NO_PATH);
    expect(groups.map((one) => [one.name, one.spans, one.total, one.self, one.most])).toEqual([
      ["x", 1, 100, 30, 100],
      ["y", 2, 70, 70, 40],
    ]);
    expect(groupSpans(trace, "none", NO_PATH)).toMatchObject([{ name: "", spans: 3 }]);
    expect(attributeNames(trace, 9)).toEqual(["zone"]);
  });

  it("take the nearest rank for quantiles", () => {
    expect([0.5, 0.95, 0].map((quantile) => ranked([1, 2, 3, 4], quantile))).toEqual([2, 4, 1]);
  });
});

describe("the flame graph", () => {
  const node = (parent: number, depth: number, self_ms: number): FlameNode => ({
    service: "s",
    operation: `${parent}-${depth}`,
    parent,
    depth,
    spans: 1,
    traces: 1,
    errors: 0,
    total_ms: 0,
    self_ms,
    path_ms: 0,
  });
  const flame = layOut([node(-1, 0, 10), node(0, 1, 20), node(0, 1, 50), node(2, 2, 20)]);

  it("makes boxes as wide as the work in and below them, the widest first", () => {
    expect(flame.boxes.map((box) => [box.from, box.to].map((edge) => Number(edge.toFixed(9))))).toEqual([
      [0, 1],
      [0.7, 0.9],
      [0, 0.7],
      [0, 0.2],
    ]);
    for (const row of flame.rows) {
      for (let at = 1; at < row.length; at += 1)
        expect(flame.boxes[row[at]!]!.from).toBeGreaterThanOrEqual(flame.boxes[row[at - 1]!]!.to);
    }
  });

  it("finds what is under the pointer, and where arrows lead", () => {
    expect([
      boxAt(flame, 1, 0.5),
      boxAt(flame, 1, 0.75),
      boxAt(flame, 1, 0.95),
      boxAt(flame, 7, 0.5),
    ]).toEqual([2, 1, -1, -1]);
    expect(neighbour(flame, 0, "down")).toBe(2);
    expect(neighbour(flame, 2, "right")).toBe(1);
    expect(neighbour(flame, 1, "right")).toBe(1);
    expect(neighbour(flame, 3, "up")).toBe(2);
    expect(wayTo(flame, 3).map((one) => one.depth)).toEqual([0, 1, 2]);
    expect(layOut([])).toMatchObject({ boxes: [], depth: 0 });
  });
});

describe("comparison", () => {
  const place = (parent: number, depth: number, change: ComparedPlace["change"]): ComparedPlace => {
    const side = { spans: 1, errors: 0, total_ms: 1, self_ms: 1, path_ms: 0 };
    return { service: "s", operation: "o", parent, depth, change, a: side, b: side };
  };
  const places = [
    place(-1, 0, "same"),
    place(0, 1, "same"),
    place(0, 1, "same"),
    place(1, 2, "slower"),
    place(2, 2, "same"),
  ];

  it("shows what changed with all above it, children below their parents", () => {
    expect(shownPlaces(places, false)).toEqual([0, 1, 3]);
    expect(shownPlaces(places, true)).toEqual([0, 1, 3, 2, 4]);
    expect(changes(places)).toEqual([["slower", 1]]);
  });
});

describe("cohorts", () => {
  const choice = { q: "service:cart", start: 100, end: 160, limit: 1000 };
  const state = readCohorts(new URLSearchParams());

  it("ask for two sets", () => {
    expect(questionOf(state, choice)).toMatchObject({
      selection: { q: "service:cart status:error" },
      baseline: { q: "service:cart" },
    });
    expect(questionOf({ ...state, mode: "before" }, choice)!.baseline).toMatchObject({ start: 40, end: 100 });
    expect(questionOf({ ...state, mode: "slow" }, choice)!.selection).toMatchObject({ sort: "slowest" });
    const values = { ...state, mode: "values" as const, field: "version", a: "v1", b: "v 2" };
    expect(questionOf(values, choice)!.baseline.q).toBe('service:cart version:"v 2"');
    expect(questionOf({ ...values, b: "v1" }, choice)).toBeNull();
    expect(questionOf({ ...state, mode: "queries" }, choice)).toBeNull();
  });

  it("are kept in the URL", () => {
    expect(cohortParams({ mode: "values", a: "v1", b: "" })).toEqual({ by: "values", va: "v1", vb: null });
    expect(readCohorts(new URLSearchParams("by=values&va=v1"))).toMatchObject({ mode: "values", a: "v1" });
  });

  it("lead to the traces of a row", () => {
    const property = (kind: CohortProperty["kind"], key: string, value: string) =>
      withProperty("service:cart", { kind, key, value });
    expect(property("attribute", "span.http.status_code", "503")).toBe("service:cart http.status_code:503");
    expect(property("attribute", "resource.zone", "a b")).toBe('service:cart resource.zone:"a b"');
    expect(property("failing", "pay", "GET /x")).toBe('service:pay name:"GET /x" status:error');
    expect(property("edge", "cart", "pay")).toBe("service:pay");
    expect(property("duration", "10", "20")).toBe("service:cart duration:[10ms TO 20ms]");
    expect(ofOperation("x", { service: "pay", operation: "" })).toBe("x service:pay");
  });

  it("write small p-values", () => {
    expect([0.0421, 3.2e-8, 0].map(pText)).toEqual(["0.042", "3e−8", "< 1e-99"]);
  });
});

describe("operations of a service", () => {
  it("take the last points and share the work", () => {
    const points = (entries: [string, number[]][]) => new Map(entries);
    const rows = operationRows({
      course: points([["a", [1, 2]]]),
      calls: points([
        ["a", [9, 3]],
        ["b", [1]],
        ["idle", [0]],
      ]),
      errors: points([["a", [NaN]]]),
      quantiles: [
        points([
          ["a", [10]],
          ["b", [10]],
        ]),
        new Map(),
        new Map(),
      ],
    });
    expect(rows.map((row) => [row.operation, row.rate, row.errors, row.p50, row.p95, row.share])).toEqual([
      ["a", 3, 0, 10, null, 0.75],
      ["b", 1, 0, 10, null, 0.25],
    ]);
  });
});
