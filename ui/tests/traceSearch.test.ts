import { describe, expect, it } from "vitest";
import { intervalText } from "../src/lib/time";
import { brushed, heatGrid, rowMicros, rowOf, usedWindow } from "../src/traces/heat";
import {
  contextAt,
  termsOf,
  tokenize,
  valueOf,
  withCondition,
  withTerm,
  writeDuration,
  writeKey,
  writeValue,
} from "../src/traces/querySyntax";
import { asTraceId, mistakeOf, readState, stateParams } from "../src/traces/searchState";
import { ofFound } from "../src/traces/summary";

const words = (text: string) => tokenize(text).map((one) => [one.type, text.slice(one.from, one.to)]);

describe("the query bar's words", () => {
  it("tells names, operators and values apart", () => {
    expect(words('service:cart duration>=100ms "a b":*')).toEqual([
      ["key", "service"],
      ["operator", ":"],
      ["value", "cart"],
      ["key", "duration"],
      ["operator", ">="],
      ["number", "100ms"],
      ["key", '"a b"'],
      ["operator", ":"],
      ["value", "*"],
    ]);
    expect(words("-error:true (a OR NOT b)").map(([type]) => type)).toEqual([
      "keyword",
      "key",
      "operator",
      "value",
      "bracket",
      "word",
      "keyword",
      "keyword",
      "word",
      "bracket",
    ]);
    expect(words("d:[1ms TO 2s} path:/api.*/ timeout").map(([, text]) => text)).toEqual([
      "d",
      ":",
      "[",
      "1ms",
      "TO",
      "2s",
      "}",
      "path",
      ":",
      "/api.*/",
      "timeout",
    ]);
  });

  it("covers any text from left to right without overlap", () => {
    const pieces = [
      "a:",
      '"',
      "\\",
      "(",
      ")",
      "[",
      "]",
      "/",
      "-",
      "!",
      " ",
      "OR",
      "x",
      ">",
      "~",
      "TO",
      "é",
      ":",
    ];
    let seed = 7;
    for (let round = 0; round < 400; round += 1) {
      let text = "";
      for (let i = 0; i < 12; i += 1) {
        seed = (seed * 1103515245 + 12345) % 2147483648;
        text += pieces[seed % pieces.length];
      }
      let reached = 0;
      for (const { from, to } of tokenize(text)) {
        expect(to).toBeGreaterThan(from);
        expect(text.slice(reached, from).trim()).toBe("");
        reached = to;
      }
      expect(text.slice(reached).trim()).toBe("");
      contextAt(text, text.length);
      withTerm(text, "service", ":x");
    }
  });

  it("knows what is being written", () => {
    expect(contextAt("serv", 4)).toMatchObject({ kind: "key", from: 0, text: "serv" });
    expect(contextAt("service:ca", 10)).toMatchObject({ kind: "value", key: "service", from: 8, text: "ca" });
    expect(contextAt("service:", 8)).toMatchObject({ kind: "value", key: "service", from: 8 });
    expect(contextAt("kind:(server ", 13)).toMatchObject({ kind: "value", key: "kind" });
    expect(contextAt("service:cart ", 13)).toMatchObject({ kind: "key", from: 13, text: "" });
    expect(contextAt('"a:b":', 6)).toMatchObject({ kind: "value", key: "a:b" });
  });

  it("quotes what would mean something else", () => {
    expect(["cart.shop", "503", "GET /x", "a*", "OR", 'a"b', "x:80/y"].map(writeValue)).toEqual([
      "cart.shop",
      "503",
      '"GET /x"',
      '"a*"',
      '"OR"',
      '"a\\"b"',
      "x:80/y",
    ]);
    expect(writeKey("guid:x-request-id", "span")).toBe('"guid:x-request-id"');
    expect(writeKey("zone", "resource")).toBe("resource.zone");
  });

  it("changes one condition and keeps the others", () => {
    expect(withTerm("", "service", ":cart")).toBe("service:cart");
    expect(withTerm("service:cart timeout", "service", ":pay")).toBe("timeout service:pay");
    expect(withTerm("a:1 AND service:cart", "service", "")).toBe("a:1");
    expect(withTerm("-service:cart", "service", ":pay")).toBe("-service:cart service:pay");
    expect(withTerm("duration:[1ms TO 2s] x", "duration", ">1s")).toBe("x duration>1s");
    expect(withTerm("kind:(server OR client) x", "kind", ":server")).toBe("x kind:server");
    expect(withCondition("a OR b", "c")).toBe("(a OR b) c");
    expect(termsOf("a:1 OR b:2")).toEqual([]);
    expect(valueOf('service:"a b" x', "service")).toBe("a b");
    expect(valueOf("service:ca*", "service")).toBe("");
    expect([1500, 2_345_678, 12].map(writeDuration)).toEqual(["1.5ms", "2.35s", "12us"]);
  });
});

describe("the search's state", () => {
  it("is in the URL, without what is usual", () => {
    const params = stateParams({ q: " a ", sort: "slowest", picture: "heatmap" });
    expect(params).toEqual({ q: "a", sort: "slowest", picture: null });
    expect(readState(new URLSearchParams("q=a&sort=slowest&picture=odd"))).toEqual({
      q: "a",
      sort: "slowest",
      picture: "heatmap",
    });
  });

  it("takes a trace id for what it is", () => {
    expect(asTraceId(" 0AF7651916CD43DD8448EB211C80319C ")).toBe("0af7651916cd43dd8448eb211c80319c");
    expect(asTraceId("cafe")).toBeNull();
  });

  it("finds the place of a mistake behind characters of two units", () => {
    expect(mistakeOf("query, character 3: wrong", "😀a(")).toEqual({ at: 3, reason: "wrong" });
    expect(mistakeOf("store is full", "a")).toBeNull();
  });

  it("keeps a found trace's microseconds", () => {
    const found = ofFound({
      trace_id: "t",
      root_service: "s",
      root_name: "cart.shop.svc.cluster.local:80/*",
      start: "1970-01-01T00:00:01.000300500Z",
      duration_ms: 1.5,
      spans: 2,
      errors: 0,
      orphans: 0,
      services: [],
      matched: 1,
      matches: [],
    });
    expect(found).toMatchObject({ operation: "cart.shop:80/*", duration: 1500 });
    expect(found.start).toBeCloseTo(1_000_300.5, 1);
  });

  it("writes an interval in few words", () => {
    const at = (text: string) => new Date(text).getTime() / 1000;
    const now = at("2026-03-02T12:00:00");
    expect(intervalText(at("2026-03-02T10:00:00"), at("2026-03-02T11:00:00"), now)).toBe(
      "10:00:00 – 11:00:00",
    );
    expect(intervalText(at("2026-03-01T10:00:00"), at("2026-03-01T11:00:00"), now)).toBe(
      "03-01 10:00:00 – 11:00:00",
    );
    expect(intervalText(at("2026-03-01T10:00:00"), at("2026-03-02T11:00:00"), now)).toBe(
      "03-01 10:00:00 – 03-02 11:00:00",
    );
  });
});

describe("the heat map", () => {
  const map = {
    start: 1000,
    step_seconds: 10,
    columns: 60,
    bands_per_decade: 8,
    cells: [
      { column: 40, band: 48, spans: 4, errors: 1 },
      { column: 59, band: 56, spans: 9, errors: 0 },
    ],
  };
  const grid = heatGrid(map)!;

  it("shows the bands in use and some room", () => {
    expect(grid).toMatchObject({ lowest: 48, bands: 10, most: 9, spans: 13 });
    expect(grid.cells[1]).toMatchObject({ column: 59, row: 8 });
    expect(rowMicros(grid, 0)).toBeCloseTo(1000);
    expect(rowOf(grid, 10_000)).toBeCloseTo(8);
    expect(heatGrid({ ...map, cells: [] })).toBeNull();
  });

  it("tells the part of the window in use", () => {
    expect(usedWindow(map, 0.5)).toEqual({ from: 1400, to: 1600 });
    expect(usedWindow(map, 0.2)).toBeNull();
  });

  it("brushes whole cells, whichever corner came first", () => {
    const brush = brushed(grid, [41.2, 8.9], [40.1, 0.3]);
    expect(brush).toMatchObject({ from: 1400, to: 1420 });
    expect(brush.least).toBeCloseTo(1000);
    expect(brush.most).toBeCloseTo(13_335, -1);
    expect(brushed(grid, [-5, -5], [999, 999])).toMatchObject({ from: 1000, to: 1600 });
  });
});
