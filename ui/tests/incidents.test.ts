import { describe, expect, it } from "vitest";
import type { Incident, IncidentDetails, OddSignal } from "../src/api/incidents";
import type { Health, ServiceRow } from "../src/api/own";
import type { Why } from "../src/api/why";
import { bandTop, runs, stretchesAt } from "../src/components/overlay";
import { bandsOf } from "../src/insights/bands";
import { oddOf } from "../src/insights/courses";
import {
  around,
  concerns,
  factorText,
  filtered,
  ordered,
  readFullName,
  servicesOf,
  signalValue,
  sinceText,
  timeline,
  whyTime,
} from "../src/insights/model";
import { callsOfWhy, pathOf } from "../src/insights/path";
import { suggestions } from "../src/insights/suggest";

const odd = (service: string, change: Partial<OddSignal> = {}): OddSignal => ({
  scope: { kind: "service", namespace: "shop", service, detail: "" },
  signal: "latency",
  start: 1000,
  end: 1300,
  open: true,
  factor: 3,
  score: 9,
  expected: 20,
  seen: 60,
  unit: "ms",
  ...change,
});

const incident = (id: string, change: Partial<Incident> = {}): Incident => ({
  id,
  start: 1000,
  end: null,
  open: true,
  severity: "page",
  service: "reviews",
  namespace: "shop",
  title: id,
  anomalies: [odd("reviews"), odd("frontend")],
  cause: null,
  changes: [],
  feedback: null,
  ...change,
});

const over = { open: false, end: 1600 };

describe("the list", () => {
  it("shows what goes on first, urgent before the rest, then the latest", () => {
    const list = [
      incident("old", { ...over, start: 10 }),
      incident("ticket", { severity: "ticket", start: 5000 }),
      incident("new", { ...over, start: 900 }),
      incident("page"),
    ];
    expect(ordered(list).map((one) => one.id)).toEqual(["page", "ticket", "new", "old"]);
  });

  it("filters by state, by any service that takes part, and by its namespace", () => {
    const fraud = incident("fraud", {
      ...over,
      service: "fraud",
      namespace: "payments",
      anomalies: [
        odd("fraud", { scope: { kind: "edge", namespace: "payments", service: "fraud", detail: "pay.pci" } }),
      ],
    });
    const list = [incident("a"), fraud];
    const ids = (change: object) =>
      filtered(list, { state: "all", service: "", namespace: "", ...change }).map((one) => one.id);
    expect(ids({})).toEqual(["a", "fraud"]);
    expect(ids({ state: "ended" })).toEqual(["fraud"]);
    expect(ids({ service: "frontend.shop" })).toEqual(["a"]);
    expect(ids({ namespace: "pci" })).toEqual(["fraud"]);
    expect(servicesOf(fraud)).toEqual(["fraud.payments", "pay.pci"]);
  });

  it("leaves out versions that are fine where only some are odd", () => {
    const version = odd("reviews", {
      scope: { kind: "version", namespace: "shop", service: "reviews", detail: "v2" },
    });
    const one = incident("a", { anomalies: [odd("reviews"), version] });
    expect(["v1", "v2", ""].map((name) => concerns(one, "reviews.shop", name))).toEqual([false, true, true]);
    expect(concerns(incident("b"), "reviews.shop", "v1")).toBe(true);
  });
});

describe("words and times", () => {
  it("tell factors and values in their units", () => {
    expect(factorText(11.5)).toBe("× 11.5");
    expect(factorText(0.24)).toBe("−76%");
    expect(signalValue(0.14, "share")).toBe("14.00%");
    expect(signalValue(390, "ms")).toBe("390\u00a0ms");
    expect(signalValue(450, "/min")).toBe("450/min");
    expect(signalValue(null, "ms")).toBe("–");
    expect(readFullName("istio-ingressgateway.istio-system")).toEqual({
      service: "istio-ingressgateway",
      namespace: "istio-system",
    });
  });

  it("look around an incident, never into the future, and ask while it was bad", () => {
    expect(around({ start: 10_000, end: 10_600 }, 20_000)).toEqual({ from: 9400, to: 11_200 });
    expect(around({ start: 10_000, end: null }, 10_300)).toEqual({ from: 9400, to: 10_300 });
    expect(whyTime({ start: 1000, end: 1200 })).toBe(1200);
    expect(whyTime({ start: 1000, end: 9000 })).toBe(1600);
    expect(whyTime({ start: 1000, end: null })).toBeNull();
    expect(sinceText(90_061)).toBe("1501m");
    expect(sinceText(1)).toBe("1m");
  });
});

const why = (change: Partial<Why> = {}): Why => ({
  service: "frontend",
  namespace: "shop",
  signal: "latency",
  since: 1000,
  at: 1600,
  notes: [],
  causes: [
    {
      service: "reviews",
      namespace: "shop",
      caller: null,
      text: "",
      explains: 1,
      confidence: 1,
      departure: 9,
      usual: 1,
      now: 9,
      calls_per_minute: 60,
      path: ["frontend.shop", "frontend.shop → reviews.shop", "reviews.shop"],
      flags: {},
    },
  ],
  ...change,
});

const details = (change: Partial<IncidentDetails> = {}): IncidentDetails => ({
  ...incident("a"),
  signals: [],
  events: [],
  why: null,
  ...change,
});

describe("the timeline", () => {
  it("tells a change once, with the link of the answer, in order", () => {
    const told = timeline(
      details({
        changes: [{ at: 900, kind: "configuration", text: "Version 3" }],
        events: [{ at: 1090, text: "Opened" }],
        why: why({
          changes: [
            { at: 900.2, kind: "configuration", text: "Version 3", ref: { kind: "version", number: 3 } },
          ],
        }),
      }),
    );
    expect(told.map((one) => [one.kind, one.text])).toEqual([
      ["change", "Version 3"],
      ["event", "Opened"],
    ]);
    expect(told[0]!.ref).toEqual({ kind: "version", number: 3 });
  });

  it("finds the odd times of one signal", () => {
    const one = details({
      anomalies: [odd("a", { start: 9 }), odd("a", { start: 5 }), odd("a", { signal: "rate" })],
    });
    expect(oddOf(one, odd("a")).map((each) => each.start)).toEqual([5, 9]);
  });
});

describe("the path", () => {
  const calls = [
    { caller: "gateway.shop", callee: "frontend.shop" },
    { caller: "frontend.shop", callee: "middle.shop" },
    { caller: "middle.shop", callee: "reviews.shop" },
    { caller: "frontend.shop", callee: "cart.shop" },
  ];
  const columns = (path: ReturnType<typeof pathOf>) =>
    Object.fromEntries(path.nodes.map((node) => [node.name, node.column]));

  it("joins odd services by what lies between them, callers left of where it begins", () => {
    const path = pathOf(incident("a"), calls, null);
    expect(columns(path)).toEqual({ "frontend.shop": 0, "middle.shop": 1, "reviews.shop": 2 });
    expect(path.nodes.map((node) => node.role)).toEqual(["odd", "way", "lead"]);
    expect(path).toMatchObject({ columns: 3, rows: 1 });
  });

  it("shows the callers of a service that alone is odd", () => {
    const alone = incident("a", { anomalies: [odd("reviews")] });
    expect(columns(pathOf(alone, calls, null))).toEqual({ "middle.shop": 0, "reviews.shop": 1 });
  });

  it("marks a way that is the cause, and draws an answer's path without other calls", () => {
    const cause = { ...why().causes[0]!, caller: "frontend.shop" };
    expect(callsOfWhy(why({ causes: [cause] }))).toEqual([
      { caller: "frontend.shop", callee: "reviews.shop", suspect: true },
    ]);
    const path = pathOf({ ...why(), service: "reviews", anomalies: [] }, [], why({ causes: [cause] }));
    expect(path.edges.map((edge) => edge.suspect)).toEqual([true]);
  });

  it("ends with calls in a circle", () => {
    const circle = [...calls, { caller: "reviews.shop", callee: "frontend.shop" }];
    expect(pathOf(incident("a"), circle, null).nodes).toHaveLength(3);
  });
});

describe("bands and stretches", () => {
  const series = (bound: string, values: number[], signal = "rate") => ({
    labels: { signal, bound },
    times: [60, 120, 180],
    values,
  });

  it("reads a band of each signal with both bounds", () => {
    const bands = bandsOf([
      series("low", [1, Number.NaN, 2]),
      series("high", [3, 4, 5]),
      series("expected", [2, 3, 4]),
      series("high", [1, 1, 1], "errors"),
    ]);
    expect([...bands.keys()]).toEqual(["rate"]);
    const band = bands.get("rate")!;
    expect(band.low).toEqual([1, null, 2]);
    expect(runs(band)).toEqual([
      [0, 0],
      [2, 2],
    ]);
    expect(bandTop({ band }, 0, 130)).toBe(4);
    expect(bandTop(undefined, 0, 130)).toBe(0);
  });

  it("finds the stretches of a time, the latest first", () => {
    const stretch = (key: string, from: number, to: number | null) => ({
      key,
      from,
      to,
      text: key,
      tone: "bad" as const,
    });
    const all = [stretch("over", 0, 50), stretch("early", 10, null), stretch("late", 60, 90)];
    expect(stretchesAt(all, 70).map((one) => one.key)).toEqual(["late", "early"]);
  });
});

describe("what is worth asking", () => {
  it("offers services of open incidents first, then the least healthy", () => {
    const row = (name: string, health: Health) => ({ name, namespace: "shop", health }) as ServiceRow;
    const rows = [
      row("ads", "Healthy"),
      row("reviews", "Healthy"),
      row("cart", "Failure"),
      row("b", "Degraded"),
    ];
    const { first, others } = suggestions(rows, [incident("i", { anomalies: [odd("reviews")] })]);
    expect(first.map((one) => [one.name, one.incident])).toEqual([
      ["reviews.shop", "i"],
      ["cart.shop", null],
      ["b.shop", null],
    ]);
    expect(others.map((one) => one.name)).toEqual(["ads.shop"]);
  });
});
