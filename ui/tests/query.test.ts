import { describe, expect, it } from "vitest";
import { messageOf, url } from "../src/api/client";
import { inboundMatchers, outboundMatchers, quantile, REQUESTS, rateBy, selector } from "../src/lib/promql";

describe("PromQL", () => {
  it("escapes label values", () => {
    expect(selector("m", { a: 'x"\\\n', b: { re: "5.." }, c: { not: "" } })).toBe(
      'm{a="x\\"\\\\\\n",b=~"5..",c!=""}',
    );
  });

  it("sums rates by labels, and quantiles by le", () => {
    expect(rateBy(REQUESTS, { reporter: "source" }, ["response_code"], 30)).toBe(
      'sum by (response_code) (rate(istio_requests_total{reporter="source"}[30s]))',
    );
    expect(quantile(0.95, {}, ["v"], 60)).toBe(
      "histogram_quantile(0.95, sum by (le,v) (rate(istio_request_duration_milliseconds_bucket{}[60s])))",
    );
  });

  it("names each side of a node's traffic", () => {
    const app = { kind: "app", namespace: "shop", app: "reviews", version: "v2" } as const;
    expect(inboundMatchers(app)).toEqual({
      destination_workload_namespace: "shop",
      destination_canonical_service: "reviews",
      destination_canonical_revision: "v2",
    });
    expect(outboundMatchers({ kind: "workload", namespace: "shop", workload: "cart-v1" })).toEqual({
      source_workload_namespace: "shop",
      source_workload: "cart-v1",
    });
    expect(inboundMatchers({ kind: "service", namespace: "shop", service: "cart" })).toEqual({
      destination_service_name: "cart",
      destination_service_namespace: "shop",
    });
  });
});

describe("requests", () => {
  it("leave out empty parameters", () => {
    expect(url("/x", { a: 1, b: "", c: null, d: undefined, e: "ü" })).toBe("/x?a=1&e=%C3%BC");
  });

  it("find the sentence in each face's errors", () => {
    expect(messageOf({ error: { kind: "limit", message: "too much" } })).toBe("too much");
    expect(messageOf({ status: "error", errorType: "bad_data", error: "parse error" })).toBe("parse error");
    expect(messageOf({ data: null, errors: [{ code: 404, msg: "trace not found" }] })).toBe(
      "trace not found",
    );
    expect(messageOf("oops")).toBeNull();
  });
});
