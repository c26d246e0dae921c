/** Objectives, capacity and forecasts: what is urgent, words, curves, queries. */

import { describe, expect, test, vi } from "vitest";
import type { Capacity, Forecast, Indicator, Objective } from "../src/api/outlook";
vi.mock("../src/app/prefs", () => ({ language: { value: "en" } }));

import { queryOf } from "../src/outlook/signals";
import {
  band,
  budgetText,
  capacityWords,
  daysText,
  endText,
  figure,
  interpolated,
  labelsText,
  quality,
  refusal,
  rowsOf,
  stretches,
  toneOf,
} from "../src/outlook/words";

const window = (severity: "page" | "ticket", exceeded: boolean) => ({
  severity,
  long: "1h",
  short: "5m",
  threshold: 14.4,
  long_burn: 20,
  short_burn: 20,
  exceeded,
});

const indicator = (change: Partial<Indicator> = {}): Indicator => ({
  indicator: "errors",
  objective: 99.9,
  threshold_ms: null,
  attained: 0.9995,
  bad: 5,
  all: 10_000,
  remaining: 0.5,
  burn: { "1h": 0.5 },
  windows: [window("page", false), window("ticket", false)],
  alerts: [],
  exhaustion: { days: null, at: null, soonest: null, latest: null },
  hours: 168,
  known_hours: 168,
  history: { step: 3600, times: [], remaining: [], burn: [] },
  ...change,
});

describe("objectives", () => {
  test("what is urgent comes first", () => {
    const objective = (name: string, one: Indicator): Objective => ({
      name,
      namespace: "shop",
      service: "reviews.shop",
      description: "",
      period_days: 7,
      file: "slo.yaml",
      line: 1,
      indicators: [one],
    });
    const rows = rowsOf([
      objective("fine", indicator()),
      objective("unknown", indicator({ remaining: null })),
      objective("gone", indicator({ remaining: -0.2 })),
      objective("watch", indicator({ windows: [window("ticket", true)] })),
      objective("page", indicator({ windows: [window("page", true)] })),
    ]);
    expect(rows.map((row) => row.objective.name)).toEqual(["gone", "page", "watch", "fine", "unknown"]);
    expect(toneOf(indicator({ remaining: 0.1 }))).toBe("warn");
  });
  test("budgets and their ends in words", () => {
    expect(budgetText(-0.25)).toBe("−25.0%");
    expect(budgetText(null)).toBe("–");
    expect(endText({ days: 0.5, at: 1, soonest: 0.4, latest: null })).toBe("in 12.0 h");
    expect(endText({ days: 0, at: 1, soonest: 0, latest: 0 })).toBe("gone");
    expect(endText(null)).toBe("unknown");
    expect([daysText(3.14), daysText(20.4)]).toEqual(["3.1 d", "20 d"]);
  });
  test("stretches that burn too fast", () => {
    expect(stretches([10, 20, 30, 40, 50], [0, 2, 3, 1, 5], 10)).toEqual([
      { at: 10, until: 30 },
      { at: 40, until: 50 },
    ]);
  });
});

describe("capacity", () => {
  const found = {
    quantile: 0.95,
    latency: 0.3,
    traffic: 2,
    peak: 50,
    saturation: { value: 200, low: 180, high: null },
    limit: { value: 150, low: 140, high: 160 },
    days: { value: 12.3, low: 9, high: null },
    full_days: null,
    peaks: {},
  } as unknown as Capacity;
  test("the answer in a sentence", () => {
    expect(capacityWords(found).replace(/\u00a0/g, " ")).toBe(
      "The limit (p95 within 300 ms) is hit at 150/s (140/s … 160/s); daily peaks are at 100/s. " +
        "They reach it in 12 d (9.0 d … ∞).",
    );
    expect(capacityWords({ ...found, limit: null })).toContain("not expected there within twelve weeks");
    expect(capacityWords({ ...found, days: null, peaks: null })).toContain("fewer than three days");
  });
  test("figures without end", () => {
    expect(figure({ value: null, low: 1, high: null }, String)).toBe("∞");
    expect(band({ value: 1, low: 0, high: null }, String)).toBe("0 … ∞");
  });
  test("a curve between its points", () => {
    expect(interpolated([1, 2, 4], [10, 20, 40], 3)).toBe(30);
    expect(interpolated([1, 2, 4], [10, null, 40], 3)).toBe(null);
    expect(interpolated([1, 2], [10, 20], 0.5)).toBe(null);
    expect(interpolated([1, 2], [10, 20], 2)).toBe(20);
  });
});

describe("forecasts", () => {
  test("signals are PromQL of the service", () => {
    expect(queryOf("reviews.shop", "latency")).toBe(
      "histogram_quantile(0.95, sum by (le) (rate(istio_request_duration_milliseconds_bucket" +
        '{reporter="destination",destination_service_name="reviews",destination_service_namespace="shop"}[15m])))',
    );
    expect(queryOf("reviews", "saturation")).toContain('destination_service_name="reviews"}[15m])) / 1000');
  });
  test("the backtest and refusals in words", () => {
    const one = { error: 0.8, days: 14.2 } as Forecast;
    expect(quality(one)).toContain("it was 20% closer than repeating the day before");
    expect(quality({ ...one, error: 1.3 })).toContain("30% farther off");
    expect(
      refusal("history of 0.5 days is too short for a forecast of 1 days: 3.0 days without …"),
    ).toContain("0.5 days are known, 3.0 days without long gaps are needed");
    expect(refusal("the series has no values")).toBe("the series has no values");
    expect(labelsText({ __name__: "up" })).toBe("up");
    expect(labelsText({ __name__: "up", job: "a" })).toBe("job=a");
  });
});
