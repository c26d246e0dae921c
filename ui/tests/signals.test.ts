import { describe, expect, it } from "vitest";
import type { Series } from "../src/api/prometheus";
import { sparkPath } from "../src/components/Sparkline";
import { outcomes } from "../src/graph/outcomes";
import { assignColours, PALETTE_SIZE } from "../src/lib/palette";
import { beside, errorRatio, isError, latest, onGrid, sumBy } from "../src/lib/signals";
import { mergePeers } from "../src/services/merge";

const series = (labels: Record<string, string>, values: [number, number][]): Series => ({
  labels,
  times: values.map(([time]) => time),
  values: values.map(([, value]) => value),
});

const ok = { response_code: "200", request_protocol: "http" };
const bad = { response_code: "503", request_protocol: "http" };

describe("errors", () => {
  it("are 5xx, no response, and gRPC statuses other than OK", () => {
    expect(isError(bad)).toBe(true);
    expect(isError({ response_code: "0" })).toBe(true);
    expect(isError({ response_code: "404" })).toBe(false);
    expect(isError({ response_code: "200", request_protocol: "grpc", grpc_response_status: "14" })).toBe(
      true,
    );
    expect(isError({ response_code: "200", request_protocol: "grpc", grpc_response_status: "0" })).toBe(
      false,
    );
  });

  it("become a ratio, with gaps where nothing was asked", () => {
    const columns = errorRatio([
      series(ok, [
        [10, 3],
        [20, 0],
        [30, 4],
      ]),
      series(bad, [[10, 1]]),
    ]);
    expect(columns.lines[0]!.values).toEqual([0.25, null, 0]);
  });
});

describe("columns", () => {
  it("add up series of one name, busiest first", () => {
    const columns = sumBy(
      [
        series(bad, [[10, 1]]),
        series(ok, [
          [10, 2],
          [20, 5],
        ]),
        series(ok, [[20, 1]]),
      ],
      (l) => l.response_code!,
    );
    expect(columns.times).toEqual([10, 20]);
    expect(columns.lines).toEqual([
      { name: "200", values: [2, 6] },
      { name: "503", values: [1, null] },
    ]);
  });

  it("stand beside each other; NaN is a gap", () => {
    const columns = beside([
      {
        name: "p50",
        series: series({}, [
          [10, 1],
          [20, Number.NaN],
        ]),
      },
      { name: "p95", series: undefined },
    ]);
    expect(columns).toEqual({ times: [10, 20], lines: [{ name: "p50", values: [1, null] }] });
  });

  it("fill the whole interval with gaps where data lack", () => {
    const columns = onGrid({ times: [20], lines: [{ name: "x", values: [7] }] }, 12, 41, 10);
    expect(columns.times).toEqual([10, 20, 30, 40]);
    expect(columns.lines[0]!.values).toEqual([null, 7, null, null]);
  });

  it("know their newest value", () => {
    expect(latest([1, 2, null])).toBe(2);
    expect(latest([null])).toBeNull();
    expect(latest(undefined)).toBeNull();
  });
});

describe("peers", () => {
  it("are merged from three answers", () => {
    const names = ["source_canonical_service", "source_workload_namespace", "source_canonical_revision"];
    const who = {
      source_canonical_service: "frontend",
      source_workload_namespace: "shop",
      source_canonical_revision: "v1",
    };
    const peers = mergePeers(
      names,
      [
        { labels: { ...who, ...ok }, value: 9 },
        { labels: { ...who, ...bad }, value: 1 },
      ],
      [
        { labels: who, value: 42 },
        { labels: { source_canonical_service: "ghost" }, value: 5 },
      ],
      [],
    );
    expect(peers).toEqual([
      { name: "frontend", namespace: "shop", version: "v1", rate: 10, errors: 1, p95: 42, bytes: 0 },
    ]);
  });
});

describe("responses of several edges", () => {
  it("are weighted by traffic", () => {
    const edge = (rate: number, code: string, flags: string) =>
      ({
        rate,
        responses: [{ code, flags: { [flags]: 100 }, hosts: { "a.svc": 100 }, percent: 100 }],
      }) as never;
    expect(
      outcomes([edge(3, "200", "-"), edge(1, "503", "UO")]).map((one) => [one.code, one.flags, one.share]),
    ).toEqual([
      ["200", "-", 0.75],
      ["503", "UO", 0.25],
    ]);
  });
});

describe("drawing", () => {
  it("lifts the pen at gaps", () => {
    expect(sparkPath([1, null, 1, 1], 30, 10).match(/M/g)).toHaveLength(2);
    expect(sparkPath([1], 30, 10)).toBe("");
  });

  it("gives names their own colours, the same each time", () => {
    const names = Array.from({ length: PALETTE_SIZE }, (_, i) => `service-${i}`);
    const colours = assignColours(names);
    expect(new Set(colours.values()).size).toBe(PALETTE_SIZE);
    expect(assignColours([...names].reverse())).toEqual(colours);
  });
});
