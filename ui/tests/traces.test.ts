import { describe, expect, it } from "vitest";
import type { RawSpan, RawTrace } from "../src/api/jaeger";
import { hopOf, logTime, proxyName, sameHop } from "../src/traces/hop";
import { durationTicks, logScale, timeTicks } from "../src/traces/scale";
import { spanTitle, summarize } from "../src/traces/summary";
import {
  buildTrace,
  collapsedBelow,
  searchSpans,
  selfTime,
  shortNames,
  visibleRows,
} from "../src/traces/tree";

function span(
  id: string,
  parent: string | null,
  start: number,
  duration: number,
  more: Partial<RawSpan> = {},
): RawSpan {
  return {
    traceID: "t",
    spanID: id,
    operationName: `op ${id}`,
    references: parent ? [{ refType: "CHILD_OF", traceID: "t", spanID: parent }] : [],
    startTime: 1_000_000 + start,
    duration,
    tags: [],
    logs: [],
    processID: "p1",
    ...more,
  };
}

const trace = (spans: RawSpan[]): RawTrace => ({
  traceID: "t",
  spans,
  processes: { p1: { serviceName: "cart.shop" }, p2: { serviceName: "pay.payments" } },
});

const ids = (raw: RawTrace) => buildTrace(raw).nodes.map((node) => node.span.spanID);
const failed = { tags: [{ key: "error", value: true }] };

describe("the tree", () => {
  it("puts parents before children and children by start", () => {
    const raw = trace([
      span("c", "a", 50, 10),
      span("b", "a", 10, 30),
      span("a", null, 0, 100),
      span("d", "b", 12, 5),
    ]);
    const built = buildTrace(raw);
    expect(built.nodes.map((node) => [node.span.spanID, node.depth, node.below])).toEqual([
      ["a", 0, 3],
      ["b", 1, 1],
      ["d", 2, 0],
      ["c", 1, 0],
    ]);
    expect(built).toMatchObject({ roots: 1, depth: 3, duration: 100, errors: 0 });
  });

  it("keeps orphans as roots and says so", () => {
    const built = buildTrace(trace([span("a", null, 0, 10), span("b", "gone", 5, 10)]));
    expect(built.roots).toBe(2);
    expect(built.nodes[1]).toMatchObject({ orphan: true, depth: 0 });
  });

  it("does not hang on cycles or duplicates", () => {
    expect(ids(trace([span("a", "b", 0, 1), span("b", "a", 1, 1)])).sort()).toEqual(["a", "b"]);
    expect(ids(trace([span("a", null, 0, 1), span("a", null, 0, 1)]))).toEqual(["a"]);
    expect(buildTrace(trace([]))).toMatchObject({ nodes: [], duration: 0 });
  });

  it("handles a chain deeper than the call stack", () => {
    const spans = Array.from({ length: 30_000 }, (_, i) => span(`s${i}`, i ? `s${i - 1}` : null, i, 10));
    const built = buildTrace(trace(spans));
    expect(built.depth).toBe(30_000);
    expect(built.nodes[0]!.below).toBe(29_999);
  });

  it("tells self time from the union of the children", () => {
    const at = (start: number, duration: number) => ({ start, duration });
    expect(selfTime(at(0, 100), [])).toBe(100);
    expect(selfTime(at(0, 100), [at(10, 30), at(20, 30)])).toBe(60);
    expect(selfTime(at(0, 100), [at(-20, 40), at(90, 50)])).toBe(70);
  });

  it("collapses branches and shows errors below", () => {
    const built = buildTrace(
      trace([
        span("a", null, 0, 9),
        span("b", "a", 1, 5),
        span("c", "b", 2, 2, failed),
        span("d", "a", 7, 1),
      ]),
    );
    expect(visibleRows(built, new Set())).toEqual([0, 1, 2, 3]);
    expect(visibleRows(built, new Set(["b"]))).toEqual([0, 1, 3]);
    expect(visibleRows(built, new Set(["a", "b"]))).toEqual([0]);
    expect(built.nodes[0]!.errorBelow).toBe(true);
    expect(built.nodes[3]!.errorBelow).toBe(false);
  });

  it("tells where a failure began: no failed span below explains it", () => {
    const built = buildTrace(
      trace([
        span("a", null, 0, 9, failed),
        span("b", "a", 1, 5),
        span("c", "b", 2, 2, failed),
        span("d", "a", 7, 1, failed),
        span("e", "d", 7, 1, { tags: [{ key: "otel.status_code", value: "OK" }] }),
        span("f", "e", 7, 1, failed),
      ]),
    );
    const began = built.nodes.filter((node) => node.errorRoot).map((node) => node.span.spanID);
    expect(began).toEqual(["c", "d", "f"]);
  });

  it("collapses everything below a depth", () => {
    const built = buildTrace(trace([span("a", null, 0, 9), span("b", "a", 1, 5), span("c", "b", 2, 2)]));
    expect([...collapsedBelow(built, 1)]).toEqual(["a", "b"]);
    expect([...collapsedBelow(built, 2)]).toEqual(["b"]);
    expect(visibleRows(built, collapsedBelow(built, 2))).toEqual([0, 1]);
    expect(collapsedBelow(built, 3).size).toBe(0);
  });

  it("finds spans by operation, service and tags", () => {
    const built = buildTrace(
      trace([
        span("a", null, 0, 9),
        span("b", "a", 1, 5, { processID: "p2", tags: [{ key: "x", value: 7 }] }),
      ]),
    );
    expect(searchSpans(built, "OP A")).toEqual([0]);
    expect(searchSpans(built, "pay.")).toEqual([1]);
    expect(searchSpans(built, "x=7")).toEqual([1]);
    expect(searchSpans(built, " ")).toEqual([]);
  });

  it("shortens service names that stay distinct", () => {
    const built = buildTrace(trace([span("a", null, 0, 9), span("b", "a", 1, 5, { processID: "p2" })]));
    expect([...shortNames(built)]).toEqual([
      ["cart.shop", "cart"],
      ["pay.payments", "pay"],
    ]);
  });
});

describe("summaries", () => {
  const raw = trace([span("b", "a", 10, 5, { processID: "p2", ...failed }), span("a", null, 0, 20)]);

  it("name the root and count", () => {
    expect(summarize(raw)).toMatchObject({
      service: "cart.shop",
      operation: "op a",
      duration: 20,
      spans: 2,
      errors: 1,
    });
  });

  it("show a proxy's span by method and path", () => {
    const tags = [
      { key: "http.method", value: "GET" },
      { key: "http.url", value: "http://cart:80/items/7?x=1" },
    ];
    expect(spanTitle(span("a", null, 0, 1, { tags }))).toBe("GET /items/7");
    expect(spanTitle(span("a", null, 0, 1, { operationName: "cart.shop.svc.cluster.local:80/*" }))).toBe(
      "cart.shop:80/*",
    );
  });
});

describe("access-log entries of a hop", () => {
  const tags = [
    { key: "node_id", value: "sidecar~127.0.0.5~cart-v1.shop~shop.svc.cluster.local" },
    { key: "span.kind", value: "server" },
  ];
  const node = buildTrace(trace([span("a", null, 0, 9, { tags })])).nodes[0]!;
  const entry = (node_id: unknown, reporter: string, timestamp: string) => ({
    node_id: String(node_id),
    reporter,
    timestamp,
  });

  it("are the same proxy's, of the same side, nearest in time", () => {
    const entries = [
      entry(tags[0]!.value, "source", "1970-01-01T00:00:01.000000Z"),
      entry(tags[0]!.value, "destination", "1970-01-01T00:00:09.000000Z"),
      entry(tags[0]!.value, "destination", "1970-01-01T00:00:01.000300Z"),
      entry("sidecar~x~other.shop~d", "destination", "1970-01-01T00:00:01.000000Z"),
    ];
    expect(sameHop(entries, hopOf(node), node.span.startTime)).toBe(entries[2]);
  });

  it("fall back to a gateway's only entry", () => {
    const entries = [entry(tags[0]!.value, "source", "1970-01-01T00:00:01Z")];
    expect(sameHop(entries, hopOf(node), 0)).toBe(entries[0]);
    expect(sameHop(entries, { nodeId: "", reporter: "" }, 0)).toBeUndefined();
  });

  it("keep the microseconds of their time", () => {
    expect(logTime({ timestamp: "1970-01-01T00:00:01.000300123Z" })).toBeCloseTo(1_000_300.123, 2);
    expect(proxyName("sidecar~1~cart-v1.shop~d")).toBe("cart-v1.shop");
  });
});

describe("scales", () => {
  it("place durations logarithmically", () => {
    const y = logScale(1000, 100_000, 100, 0);
    expect(y(1000)).toBeGreaterThan(y(10_000));
    expect(y(10_000) - y(100_000)).toBeCloseTo(y(1000) - y(10_000));
  });

  it("mark round values, few of them", () => {
    expect(durationTicks(4000, 33_000)).toEqual([5000, 10_000, 20_000]);
    expect(durationTicks(1, 1e9).length).toBeLessThanOrEqual(5);
    expect(timeTicks(1000, 1060, 6).length).toBeLessThanOrEqual(7);
    expect(durationTicks(5, 5).every(Number.isFinite)).toBe(true);
  });
});
