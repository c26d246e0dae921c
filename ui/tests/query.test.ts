import { describe, expect, it } from "vitest";
import { messageOf, url } from "../src/api/client";
import { parseLogfmt, writeLogfmt } from "../src/lib/logfmt";
import { inboundMatchers, outboundMatchers, quantile, REQUESTS, rateBy, selector } from "../src/lib/promql";
import { formParams, isDuration, queryOf, readForm } from "../src/traces/query";

describe("logfmt", () => {
  it("reads keys, bare values and quoted values", () => {
    const { tags, problem } = parseLogfmt('http.status_code=503 error=true msg="no route \\"x\\"" empty=');
    expect(tags).toEqual({ "http.status_code": "503", error: "true", msg: 'no route "x"', empty: "" });
    expect(problem).toBe("");
  });

  it("says what it could not read and keeps what it could", () => {
    expect(parseLogfmt("a=1 oops")).toEqual({ tags: { a: "1" }, problem: "oops" });
  });

  it("reads what it writes", () => {
    const tags = { a: "1", "k.k": 'x "y" z', e: "" };
    expect(parseLogfmt(writeLogfmt(tags)).tags).toEqual(tags);
  });
});

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

describe("trace search", () => {
  it("keeps its form in the URL", () => {
    const form = { service: "cart.shop", operation: "", tags: "error=true", min: "5ms", max: "", limit: 100 };
    const params = new URLSearchParams();
    for (const [key, value] of Object.entries(formParams(form))) if (value) params.set(key, value);
    expect(readForm(params)).toEqual(form);
    expect(readForm(new URLSearchParams("limit=7")).limit).toBe(20);
  });

  it("asks for an operation only of a service", () => {
    const form = { service: "", operation: "GET", tags: "a=1", min: " 1ms ", max: "", limit: 20 };
    const query = queryOf(form, { from: 1, to: 2 });
    expect(query).toMatchObject({ operation: "", tags: { a: "1" }, minDuration: "1ms" });
  });

  it("knows Go's durations", () => {
    expect(["", "1.2s", "100ms", "500us", "3µs", "1m"].every(isDuration)).toBe(true);
    expect(["5", "1 s", "-1s", "ms"].some(isDuration)).toBe(false);
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
