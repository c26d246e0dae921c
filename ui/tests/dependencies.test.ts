import { describe, expect, it } from "vitest";
import type { CallFigures, DependencyEdge } from "../src/api/analysis";
import { edgesOf, graphOf, touching, traceQueryOf } from "../src/dependencies/model";
import { attachedOf } from "../src/traces/inferred";

const figures = (calls: number, share = 0): CallFigures => ({
  calls,
  errors: calls * share,
  estimated_calls: calls,
  error_share: share,
  duration_ms: { p50: 1, p95: 2, p99: 3 },
});
const edge = (parent: string, child: string, rest: Partial<DependencyEdge> = {}): DependencyEdge => ({
  parent,
  child,
  connection: "",
  spans: figures(10),
  access_logs: null,
  ...rest,
});

describe("dependencies", () => {
  const found = [
    edge("web.shop", "cart.shop", { access_logs: figures(20, 0.2) }),
    edge("cart.shop", "cart.shop"),
    edge("cart.shop", "ledger", { spans: null, access_logs: figures(5) }),
  ];

  it("are those a source tells of, and between services unless asked otherwise", () => {
    const calls = (source: "any" | "spans" | "access_logs", within: boolean) =>
      edgesOf(found, source, within).map((one) => one.figures.calls);
    expect(calls("any", false)).toEqual([10, 5]);
    expect(calls("any", true)).toEqual([10, 10, 5]);
    expect(calls("spans", false)).toEqual([10]);
    expect(calls("access_logs", true)).toEqual([20, 5]);
    expect(touching(found, "ledger")).toHaveLength(1);
  });

  it("are drawn in boxes of namespaces with rates over the window", () => {
    const graph = graphOf(edgesOf(found, "access_logs", false), 10);
    expect(graph.boxes.map((box) => box.title)).toEqual(["shop"]);
    expect(graph.nodes.map((node) => [node.title, node.rate, node.health, node.root])).toEqual([
      ["cart", 2, "failing", false],
      ["ledger", 0.5, "healthy", false],
      ["web", 2, "failing", true],
    ]);
  });

  it("lead to traces by the span that says it", () => {
    expect(traceQueryOf(found[0]!, true)).toBe("service:web.shop kind:client cart status:error");
    expect(traceQueryOf(edge("a", "b"), false)).toBe("service:b");
    expect(traceQueryOf(edge("a", "pg", { connection: "database" }), false)).toBe("service:a kind:client");
  });
});

describe("an attached span", () => {
  const span = (tags: { key: string; value: string | number }[]) => ({
    traceID: "a",
    spanID: "b",
    operationName: "",
    startTime: 0,
    duration: 0,
    processID: "p",
    tags,
  });

  it("tells its own trace, and the first of it how sure the link is", () => {
    expect(attachedOf(span([]))).toBeNull();
    const below = { key: "windvane.inferred.trace_id", value: "t" };
    expect(attachedOf(span([below]))).toEqual({ trace: "t", confidence: null, by: "" });
    const first = [
      below,
      { key: "windvane.inferred.confidence", value: 0.5 },
      { key: "windvane.inferred.by", value: "timing" },
    ];
    expect(attachedOf(span(first))).toEqual({ trace: "t", confidence: 0.5, by: "timing" });
  });
});
