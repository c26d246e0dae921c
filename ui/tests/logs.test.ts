import { describe, expect, it } from "vitest";
import type { LogHistogram, LogLine } from "../src/api/logs";
import { barsOf, brushedTime, bucketAt, roundTop } from "../src/logs/bars";
import { fieldGroups, narrowed, withSeries } from "../src/logs/fields";
import { logParams, readLogState } from "../src/logs/state";
import { arrived, idOf, KEPT, type TailItem } from "../src/logs/tail";

const line = (id: string, rest: Partial<LogLine> = {}): LogLine => ({
  id,
  kind: "log",
  time: "2026-01-01T00:00:00.000000000Z",
  severity: "error",
  severity_number: 17,
  severity_text: "",
  service: "pay.shop",
  body: 'refused "a"',
  trace_id: "",
  trace_by: "",
  span_id: "",
  request_id: "",
  event: "",
  scope: "",
  attributes: {},
  resource: {},
  entry: null,
  ...rest,
});

describe("a log line's fields", () => {
  const conditions = (of: LogLine) =>
    Object.fromEntries(
      fieldGroups(of).flatMap((group) => group.fields.map((field) => [field.name, field.condition])),
    );

  it("name what a query can ask for", () => {
    expect(conditions(line("1", { attributes: { k: "v" }, resource: { "host.name": "a b" } }))).toEqual({
      body: 'body:"refused \\"a\\""',
      severity: "severity:error",
      service: "service:pay.shop",
      kind: "kind:log",
      k: "log.k:v",
      "host.name": 'resource.host.name:"a b"',
    });
  });

  it("of an access log are its columns and headers, as long or longer for times", () => {
    const entry = {
      method: "GET",
      path: "",
      duration_ns: 6_684_398,
      received: "2026",
      request_headers: { "x-a": "1" },
    };
    const found = conditions(line("1", { kind: "access", entry, request_id: "r-1" }));
    expect(found).toMatchObject({
      method: "method:GET",
      duration: "duration>=6.68ms",
      received: "",
      "x-a": "x-a:1",
    });
    expect(found.request_id).toBe("request_id:r-1");
    expect(found).not.toHaveProperty("path");
  });

  it("narrow a query either way", () => {
    expect(narrowed("a OR b", "k:v", true)).toBe("(a OR b) -k:v");
    expect(withSeries("severity>=warn x", "severity", "error")).toBe("x severity:error");
    expect(withSeries("", "severity", "")).toBe("-severity:*");
    expect(withSeries("x", "status", "5xx")).toBe("x status:5??");
    expect(withSeries("x", "service", "*")).toBe("x");
  });
});

describe("bars of the histogram", () => {
  const found = (series: LogHistogram["series"], by = "severity"): LogHistogram => ({
    start: "2026-01-01T00:00:00.000000000Z",
    step_ms: 10_000,
    total: 0,
    by,
    series,
  });

  it("stand on what is grave, and leave out what does not occur", () => {
    const bars = barsOf(
      found([
        { name: "info", counts: [5, 0] },
        { name: "error", counts: [1, 2] },
        { name: "debug", counts: [0, 0] },
      ]),
      0,
    );
    expect(bars.series.map((one) => [one.name, one.total])).toEqual([
      ["error", 3],
      ["info", 5],
    ]);
    expect([bars.most, bars.buckets]).toEqual([6, 2]);
    expect(brushedTime(bars, 1, 0)).toEqual({ from: bars.start, to: bars.start + 20 });
    expect([bucketAt(bars, -1), bucketAt(bars, 0.5), bucketAt(bars, 2)]).toEqual([0, 1, 1]);
  });

  it("have a time without lines, too", () => {
    const start = Date.parse("2026-01-01T00:00:00Z") / 1000;
    expect(barsOf(found([]), start + 95)).toMatchObject({ buckets: 10, most: 1, series: [] });
  });

  it("end at a round number", () => {
    expect([0, 1, 3, 7, 11, 800].map(roundTop)).toEqual([1, 1, 5, 10, 20, 1000]);
  });
});

describe("lines that arrive", () => {
  const item = (id: string): TailItem => ({ kind: "line", line: line(id) });

  it("stand above those before, each once, and no more than are kept", () => {
    const shown = arrived(arrived([], [item("1"), item("2")]), [
      item("2"),
      { kind: "skipped", id: "s", lines: 9 },
      item("3"),
    ]);
    expect(shown.map(idOf)).toEqual(["3", "s", "2", "1"]);
    const many = Array.from({ length: KEPT + 5 }, (_, index) => item(`m${index}`));
    expect(arrived(shown, many)).toHaveLength(KEPT);
  });
});

describe("the log search in the address", () => {
  it("leaves out what is usual and reads what it wrote", () => {
    expect(logParams({ q: " ", kind: "all", sort: "newest", by: "severity", live: false })).toEqual({
      q: null,
      kind: null,
      sort: null,
      by: null,
      live: null,
    });
    const params = new URLSearchParams({ q: "x", kind: "access", sort: "oldest", by: "odd", wrap: "on" });
    expect(readLogState(params)).toEqual({
      q: "x",
      kind: "access",
      sort: "oldest",
      by: "severity",
      live: false,
      wrap: true,
      compare: false,
    });
  });
});
