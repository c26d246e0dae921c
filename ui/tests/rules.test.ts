import { describe, expect, it } from "vitest";
import { countStandings, filterGroups, ordered, seconds, standing } from "../src/alerts/model";
import type { ActiveTarget, Rule, RuleGroup } from "../src/api/rules";
import { pools } from "../src/targets/model";

const rule = (name: string, extra: object): Rule =>
  ({ name, query: "up", health: "ok", type: "alerting", state: "inactive", ...extra }) as Rule;
const group: RuleGroup = {
  name: "mesh",
  file: "istio.yaml",
  interval: 30,
  rules: [
    rule("Errors", {
      state: "firing",
      labels: { severity: "critical" },
      alerts: [{ labels: { service: "reviews" }, annotations: {}, state: "firing", value: "1" }],
    }),
    rule("Slow", { state: "pending" }),
    rule("Broken", { health: "err", state: "inactive" }),
    rule("ratio", { type: "recording" }),
    rule("Quiet", {}),
  ],
};

describe("rules", () => {
  it("stand as their state, unless their evaluation fails", () => {
    expect(group.rules.map(standing)).toEqual(["firing", "pending", "broken", "recording", "inactive"]);
    expect(countStandings([group, group])).toEqual({
      firing: 2,
      pending: 2,
      broken: 2,
      inactive: 2,
      recording: 2,
    });
  });

  it("are filtered by standing and by every word, labels of alerts too", () => {
    const names = (chosen: Parameters<typeof filterGroups>[1], text: string) =>
      filterGroups([group], chosen, text).flatMap((one) => one.rules.map((found) => found.name));
    expect(names([], "")).toHaveLength(5);
    expect(names(["firing", "recording"], "")).toEqual(["Errors", "ratio"]);
    expect(names([], "SERVICE=reviews critical")).toEqual(["Errors"]);
    expect(filterGroups([group], [], "nothing like it")).toEqual([]);
  });

  it("show firing alerts first, the longest first", () => {
    const alert = (state: "firing" | "pending", activeAt: string) => ({
      labels: {},
      annotations: {},
      state,
      activeAt,
      value: "1",
    });
    const found = ordered([
      alert("pending", "2026-01-01"),
      alert("firing", "2026-01-03"),
      alert("firing", "2026-01-02"),
    ]);
    expect(found.map((one) => one.activeAt)).toEqual(["2026-01-02", "2026-01-03", "2026-01-01"]);
  });

  it("have no time before the first evaluation", () => {
    expect(seconds("1970-01-01T00:01:00Z")).toBe(60);
    expect([seconds("0001-01-01T00:00:00Z"), seconds(""), seconds(undefined), seconds("soon")]).toEqual([
      null,
      null,
      null,
      null,
    ]);
  });
});

describe("targets", () => {
  const target = (scrapePool: string, scrapeUrl: string, health: ActiveTarget["health"]): ActiveTarget => ({
    discoveredLabels: {},
    labels: { job: scrapePool },
    scrapePool,
    scrapeUrl,
    lastError: health === "down" ? "connection refused" : "",
    lastScrape: "",
    lastScrapeDuration: 0,
    health,
  });
  const all = [
    target("a", "http://a/1", "up"),
    target("b", "http://b/2", "up"),
    target("b", "http://b/1", "down"),
    target("c", "http://c/1", "unknown"),
  ];

  it("come by pool, the unhealthy first", () => {
    expect(
      pools(all, null, "").map((pool) => [pool.name, pool.up, pool.targets.map((one) => one.scrapeUrl)]),
    ).toEqual([
      ["b", 1, ["http://b/1", "http://b/2"]],
      ["c", 0, ["http://c/1"]],
      ["a", 1, ["http://a/1"]],
    ]);
  });

  it("are filtered by health and by words of labels and errors", () => {
    expect(pools(all, "down", "").map((pool) => pool.name)).toEqual(["b"]);
    expect(pools(all, null, "refused").map((pool) => pool.name)).toEqual(["b"]);
    expect(pools(all, null, "job=a").map((pool) => pool.name)).toEqual(["a"]);
    expect(pools(all, "down", "job=a")).toEqual([]);
  });
});
