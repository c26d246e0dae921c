import { describe, expect, it } from "vitest";
import type { Panel, Variable } from "../src/api/dashboards";
import type { Answer } from "../src/api/prometheus";
import { pool } from "../src/dashboards/pool";
import { joinRows } from "../src/dashboards/table";
import { toneOf } from "../src/dashboards/tone";
import { ALL, chosen, interpolate, rateInterval, settle, withVariable } from "../src/dashboards/variables";

const variable = (name: string, multi: boolean, extra: Partial<Variable> = {}): Variable => ({
  name,
  title: name,
  kind: "query",
  multi,
  label: name,
  selector: "up",
  ...extra,
});
const variables = [variable("service", false), variable("ns", true)];
const builtins = { step: 30, seconds: 900 };

describe("variables", () => {
  it("go into PromQL by Grafana's rules", () => {
    const put = (expr: string, values: Record<string, string[]>) =>
      interpolate(expr, variables, values, builtins);
    expect(put('a{s="$service"}[$__rate_interval]', { service: ['x"\\'], ns: [] })).toBe(
      'a{s="x\\"\\\\"}[60s]',
    );
    expect(put('a{n=~"$ns"}', { ns: [ALL] })).toBe('a{n=~".*"}');
    expect(put('a{n=~"$ns"}', { ns: [] })).toBe('a{n=~".*"}');
    expect(put('a{n=~"${ns}"}', { ns: ["a.b"] })).toBe('a{n=~"a\\\\.b"}');
    expect(put('a{n=~"${ns:regex}"}', { ns: ["a", "b|c"] })).toBe('a{n=~"(a|b\\\\|c)"}');
    expect(put("$__interval $__range $unknown", {})).toBe("30s 900s $unknown");
    expect(rateInterval(300)).toBe(315);
  });

  it("come from the URL, else from the definition", () => {
    const qrep = variable("qrep", true, { kind: "custom", options: ["a", "b"], default: ["b"] });
    const all = [...variables, qrep];
    expect(chosen(all, new URLSearchParams("var-service=x&var-service=y&var-ns=p&var-ns=q"))).toEqual({
      service: ["x"],
      ns: ["p", "q"],
      qrep: ["b"],
    });
    expect(chosen(all, new URLSearchParams())).toEqual({ service: [], ns: [ALL], qrep: ["b"] });
    expect(settle(variables[0]!, ["m", "n"], [])).toEqual(["m"]);
    expect(settle(variables[0]!, ["m"], ["gone"])).toEqual(["gone"]);
    expect(settle(variables[1]!, ["m"], [ALL])).toEqual([ALL]);
    expect(withVariable(new URLSearchParams("range=1h&var-ns=a"), "ns", ["b", "c"])).toBe(
      "range=1h&var-ns=b&var-ns=c",
    );
    expect(withVariable(new URLSearchParams("var-ns=a"), "ns", null)).toBe("");
  });
});

describe("the pool", () => {
  const never = new AbortController().signal;
  const settleAll = () => new Promise((resolve) => setTimeout(resolve));

  it("runs no more at a time than it may, in order", async () => {
    const requests = pool(2);
    const order: number[] = [];
    const finish: (() => void)[] = [];
    const runs = [0, 1, 2, 3].map((n) =>
      requests.run(
        () => new Promise<number>((resolve) => finish.push(() => (order.push(n), resolve(n)))),
        never,
      ),
    );
    expect([requests.running, requests.waiting]).toEqual([2, 2]);
    finish[0]!();
    await settleAll();
    expect([requests.running, requests.waiting]).toEqual([2, 1]);
    finish[1]!();
    await settleAll();
    finish[2]!();
    finish[3]!();
    expect(await Promise.all(runs)).toEqual([0, 1, 2, 3]);
    expect(order).toEqual([0, 1, 2, 3]);
    await settleAll();
    expect(requests.running).toBe(0);
  });

  it("goes on after a failure, and never starts what was cancelled while it waited", async () => {
    const requests = pool(1);
    let fail: (error: Error) => void = () => undefined;
    const first = requests.run(() => new Promise((_, reject) => (fail = reject)), never);
    const control = new AbortController();
    let started = false;
    const second = requests.run(async () => (started = true), control.signal);
    const third = requests.run(async () => "done", never);
    control.abort(new Error("left"));
    await expect(second).rejects.toThrow("left");
    fail(new Error("broken"));
    await expect(first).rejects.toThrow("broken");
    expect(await third).toBe("done");
    expect(started).toBe(false);
    await expect(requests.run(async () => 1, control.signal)).rejects.toThrow("left");
  });
});

describe("panels", () => {
  it("take the tone of the last threshold reached", () => {
    const steps = [
      { tone: "bad", value: null },
      { tone: "warn", value: 0.95 },
      { tone: "ok", value: 0.99 },
    ] as const;
    expect([0.5, 0.95, 0.999, null].map((value) => toneOf([...steps], value))).toEqual([
      "bad",
      "warn",
      "ok",
      null,
    ]);
    expect(toneOf([], 1)).toBeNull();
  });

  it("join a table's answers on its labels", () => {
    const panel = { labels: [{ label: "a", title: "A" }], targets: [{}, {}] } as unknown as Panel;
    const answer = (rows: [string, number][]): Answer =>
      ({
        samples: rows.map(([a, value]) => ({ labels: { a }, value, text: "", time: 0 })),
      }) as unknown as Answer;
    expect(
      joinRows(panel, [
        answer([
          ["x", 1],
          ["y", NaN],
        ]),
        answer([
          ["y", 2],
          ["z", 3],
        ]),
      ]),
    ).toMatchObject([
      { labels: { a: "x" }, values: [1, null] },
      { labels: { a: "y" }, values: [null, 2] },
      { labels: { a: "z" }, values: [null, 3] },
    ]);
    expect(joinRows(panel, [null, null])).toEqual([]);
  });
});
