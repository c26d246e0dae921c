import { describe, expect, it } from "vitest";
import type { RawGraph, RawNode } from "../src/api/kiali";
import { hide, parseFilter } from "../src/graph/filter";
import { nodeRect, overlaps } from "../src/graph/geometry";
import { layOut } from "../src/graph/layered";
import { keepLayout, type Shape, shapeKey } from "../src/graph/layout";
import { type Graph, parseGraph } from "../src/graph/model";
import { placePorts } from "../src/graph/ports";
import { verticalShifts } from "../src/graph/separate";
import { fitView, toDrawing, zoomAt } from "../src/graph/viewport";

const app = (name: string, version: string, namespace = "shop"): RawNode => ({
  id: `${name}-${version}`,
  nodeType: "app",
  namespace,
  app: name,
  version,
  workload: `${name}-${version}`,
});

function edge(source: string, target: string, rates: Record<string, string>, more: object = {}) {
  const protocol = "tcp" in rates ? "tcp" : "grpc" in rates ? "grpc" : "http";
  return { data: { id: `${source}>${target}`, source, target, traffic: { protocol, rates }, ...more } };
}

function shop(): RawGraph {
  const nodes = [
    app("frontend", "v1"),
    app("reviews", "v1"),
    app("reviews", "v2"),
    app("payment", "v1", "payments"),
    app("ledger", "v1", "payments"),
  ];
  return {
    timestamp: 1000,
    duration: 60,
    graphType: "versionedApp",
    elements: {
      nodes: nodes.map((data) => ({ data })),
      edges: [
        edge("frontend-v1", "reviews-v1", { http: "9.00" }, { isMTLS: "100", responseTime: "12" }),
        edge("frontend-v1", "reviews-v2", { http: "1.00", http4xx: "0.05", httpPercentErr: "5.0" }),
        edge("frontend-v1", "payment-v1", { http: "2.00", http5xx: "0.30", httpPercentErr: "15.0" }),
        edge("payment-v1", "ledger-v1", { tcp: "2048.00" }, { isMTLS: "50" }),
      ],
    },
  };
}

const find = (graph: Graph, id: string) => graph.nodes.find((node) => node.id === id)!;

describe("reading Kiali's JSON", () => {
  const graph = parseGraph(shop());

  it("turns texts into numbers and judges health by Kiali's tolerances", () => {
    const [first, second, third, tcp] = graph.edges;
    expect(first).toMatchObject({ rate: 9, p95: 12, mtls: 1, health: "healthy", errorRatio: 0 });
    expect(second).toMatchObject({ health: "healthy", errorRatio: 0.05 });
    expect(third).toMatchObject({ health: "failing", errorRatio: 0.15 });
    expect(tcp).toMatchObject({ protocol: "tcp", rate: 2048, mtls: 0.5, health: "tcp" });
  });

  it("lets the server's verdict win", () => {
    const raw = shop();
    Object.assign(raw.elements.edges![0]!.data, { healthStatus: "Degraded" });
    expect(parseGraph(raw).edges[0]!.health).toBe("degraded");
  });

  it("splits an app's traffic between its versions", () => {
    expect(find(graph, "reviews-v1").share).toBeCloseTo(0.9);
    expect(find(graph, "reviews-v2").share).toBeCloseTo(0.1);
    expect(find(graph, "frontend-v1").share).toBeNull();
  });

  it("boxes every namespace, and apps of several versions inside", () => {
    expect(graph.boxes.map((box) => [box.kind, box.title, box.parent])).toEqual([
      ["namespace", "shop", null],
      ["app", "reviews", "namespace shop"],
      ["namespace", "payments", null],
    ]);
    expect(find(graph, "reviews-v2").parent).toBe("app shop reviews");
  });

  it("takes roots and rates from the edges", () => {
    expect(find(graph, "frontend-v1")).toMatchObject({ root: true, rate: 12 });
    expect(find(graph, "ledger-v1")).toMatchObject({ root: false, rate: 0, health: "tcp" });
  });

  it("survives an empty graph", () => {
    const empty = { ...shop(), elements: { nodes: null, edges: null } };
    expect(parseGraph(empty)).toMatchObject({ nodes: [], edges: [], boxes: [] });
  });
});

describe("layout", () => {
  const graph = parseGraph(shop());
  const first = layOut(graph);
  const rects = (shape: Shape, layout: typeof first) =>
    shape.nodes.map((node) => nodeRect(layout.positions.get(node.id)!));

  it("places every node, none over another, callers left of the called", () => {
    const placed = rects(graph, first);
    const touching = placed.filter((a, i) => placed.slice(i + 1).some((b) => overlaps(a, b)));
    expect(touching).toEqual([]);
    for (const one of graph.edges) {
      expect(first.positions.get(one.source)!.x).toBeLessThan(first.positions.get(one.target)!.x);
    }
  });

  it("is kept as it is while the structure stays", () => {
    expect(keepLayout(first, graph)).toBe(first);
    const busier = shop();
    for (const { data } of busier.elements.edges!) Object.assign(data.traffic!.rates!, { http: "99" });
    expect(shapeKey(parseGraph(busier))).toBe(shapeKey(graph));
  });

  it("moves nothing for a new node, and gives it free space in its box", () => {
    const raw = shop();
    raw.elements.nodes!.push({ data: app("reviews", "v3") });
    raw.elements.edges!.push(edge("frontend-v1", "reviews-v3", { http: "0.1" }));
    const grown = parseGraph(raw);
    const next = keepLayout(first, grown)!;
    for (const [id, at] of first.positions) expect(next.positions.get(id)).toEqual(at);
    const [added, ...others] = [...rects(grown, next)].reverse();
    for (const other of others) expect(overlaps(added!, other)).toBe(false);
  });

  it("finds a node's old place when it returns", () => {
    const raw = shop();
    raw.elements.nodes = raw.elements.nodes!.filter(({ data }) => data.id !== "ledger-v1");
    raw.elements.edges!.pop();
    const without = keepLayout(first, parseGraph(raw));
    expect(keepLayout(without, graph)!.positions.get("ledger-v1")).toEqual(first.positions.get("ledger-v1"));
  });

  it("starts afresh when most of the graph is new", () => {
    const raw = shop();
    for (let i = 0; i < 9; i += 1) raw.elements.nodes!.push({ data: app(`extra${i}`, "v1") });
    expect(keepLayout(first, parseGraph(raw))).toBeNull();
    expect(keepLayout(null, graph)).toBeNull();
  });

  it("moves touching boxes apart, the smaller one aside", () => {
    const big = { id: "big", rect: { x: 0, y: 0, width: 400, height: 400 } };
    const small = { id: "small", rect: { x: 350, y: -80, width: 100, height: 100 } };
    const shifts = verticalShifts([small, big]);
    expect(shifts.has("big")).toBe(false);
    expect(shifts.get("small")).toBeLessThan(0);
    const apart = { id: "apart", rect: { x: 900, y: 0, width: 10, height: 10 } };
    expect(verticalShifts([big, apart]).size).toBe(0);
  });

  it("spreads edges over a card's side in the order of their ends", () => {
    const ports = placePorts(graph.edges, first.positions, first.routes);
    const outgoing = graph.edges
      .filter((one) => one.source === "frontend-v1")
      .map((one) => ports.get(one.id)!.from);
    expect(new Set(outgoing.map((point) => point.y)).size).toBe(outgoing.length);
    expect(new Set(outgoing.map((point) => point.x)).size).toBe(1);
  });
});

describe("find and hide", () => {
  const graph = parseGraph(shop());
  const nodes = (text: string) => graph.nodes.filter(parseFilter(text).node).map((node) => node.id);
  const edges = (text: string) => graph.edges.filter(parseFilter(text).edge).map((one) => one.target);

  it("matches names, values and questions", () => {
    expect(nodes("revi")).toEqual(["reviews-v1", "reviews-v2"]);
    expect(nodes("ns = payments")).toEqual(["payment-v1", "ledger-v1"]);
    expect(nodes("version = v2 OR root")).toEqual(["frontend-v1", "reviews-v2"]);
    expect(edges("error > 10")).toEqual(["payment-v1"]);
    expect(edges("tcp")).toEqual(["ledger-v1"]);
    expect(edges("p95 >= 12")).toEqual(["reviews-v1"]);
  });

  it("binds AND tighter than OR, and negates", () => {
    expect(nodes("name = reviews AND version = v1 OR name = ledger")).toEqual(["reviews-v1", "ledger-v1"]);
    expect(edges("!mtls")).toEqual(["reviews-v2", "payment-v1", "ledger-v1"]);
    expect(nodes("!mtls")).toEqual([]);
    expect(nodes("ns = shop AND !healthy")).toEqual(["frontend-v1"]);
  });

  it("says which part it does not understand, and then matches nothing", () => {
    expect(parseFilter("colour = red").problem).toBe("colour = red");
    expect(nodes("frontend OR a > b <")).toEqual([]);
    expect(parseFilter("  ").problem).toBe("");
  });

  it("hides nodes with their edges", () => {
    const left = hide(graph, parseFilter("payment"));
    expect(left.nodes.map((node) => node.id)).not.toContain("payment-v1");
    expect(left.edges.every((one) => one.source !== "payment-v1" && one.target !== "payment-v1")).toBe(true);
  });
});

describe("the view", () => {
  it("keeps the point under the pointer when zooming", () => {
    const view = { x: 30, y: -20, scale: 0.8 };
    const at = { x: 200, y: 150 };
    const before = toDrawing(view, at);
    const after = toDrawing(zoomAt(view, 1.5, at), at);
    expect(after.x).toBeCloseTo(before.x);
    expect(after.y).toBeCloseTo(before.y);
  });

  it("fits everything into the window", () => {
    const area = { x: -100, y: 50, width: 3000, height: 900 };
    const view = fitView(area, { width: 1280, height: 700 });
    const right = (area.x + area.width) * view.scale + view.x;
    expect(area.x * view.scale + view.x).toBeGreaterThanOrEqual(0);
    expect(right).toBeLessThanOrEqual(1280);
  });
});
