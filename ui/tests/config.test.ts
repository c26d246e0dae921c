/** The configuration's pages: differences, YAML's colours, lists, forms, marks. */

import { describe, expect, test } from "vitest";
import type { ResourceRow, ServiceVersions, Version } from "../src/api/config";
import { counts, diffLines, parts } from "../src/config/diff";
import { EMPTY, formOf, forService, missing } from "../src/config/forms";
import { grouped, lifetime, marksOf, readName, writeName } from "../src/config/model";
import { tokens } from "../src/config/yaml";

const text = (...lines: (string | number)[]) => lines.join("\n") + "\n";
const shown = (before: string, after: string) =>
  diffLines(before, after).map((line) => ({ same: " ", old: "-", new: "+" })[line.kind] + line.text);

describe("differences", () => {
  test("changed, added and removed lines in their order", () => {
    expect(shown(text("a", "b", "c", "d"), text("a", "x", "c", "d", "e"))).toEqual([
      " a",
      "-b",
      "+x",
      " c",
      " d",
      "+e",
    ]);
  });
  test("a new and a removed text", () => {
    expect(shown("", text("a", "b"))).toEqual(["+a", "+b"]);
    expect(shown(text("a"), "")).toEqual(["-a"]);
    expect(shown(text("a"), text("a"))).toEqual([" a"]);
  });
  test("line numbers of both sides", () => {
    const lines = diffLines(text("a", "b"), text("x", "a", "b"));
    expect(lines.map(({ before, after }) => [before, after])).toEqual([
      [null, 1],
      [1, 2],
      [2, 3],
    ]);
  });
  test("any two texts: each side can be read off again", () => {
    for (let seed = 1; seed < 200; seed += 1) {
      const pick = (n: number, salt: number) => (seed * 7919 + salt * 104729) % n;
      const side = (salt: number) => Array.from({ length: pick(9, salt) }, (_, at) => pick(4, salt + at));
      const [a, b] = [side(3), side(11)];
      const lines = diffLines(text(...a), text(...b));
      const [old, fresh] = [text(...a), text(...b)].map((one) => one.replace(/\n$/, "").split("\n"));
      expect(lines.filter((line) => line.kind !== "new").map((line) => line.text)).toEqual(old);
      expect(lines.filter((line) => line.kind !== "old").map((line) => line.text)).toEqual(fresh);
    }
  });
  test("unchanged lines far from any change are hidden", () => {
    const many = Array.from({ length: 20 }, (_, at) => `line ${at}`);
    const found = parts(
      diffLines(text(...many), text(...many.map((line, at) => (at === 10 ? "new" : line)))),
    );
    expect(found.map((part) => ("lines" in part ? part.lines.length : -part.hidden.length))).toEqual([
      -7, 8, -6,
    ]);
    expect(counts(diffLines(text("a"), text("b", "c")))).toEqual({ added: 2, removed: 1 });
  });
});

test("YAML's keys, texts, numbers and comments; nothing gets lost", () => {
  const kinds = (line: string) =>
    tokens(line)
      .filter((token) => token.kind !== "plain")
      .map((token) => `${token.kind} ${token.text}`);
  expect(kinds("  - name: reviews-v1 # first")).toEqual(["key name", "comment # first"]);
  expect(kinds("weight: 90")).toEqual(["key weight", "number 90"]);
  expect(kinds('match: [{headers: {end-user: {exact: "ja#son"}}}]')).toEqual([
    "key match",
    "key headers",
    "key end-user",
    "key exact",
    'text "ja#son"',
  ]);
  expect(kinds("# all")).toEqual(["comment # all"]);
  expect(kinds("host: a.b.svc#1")).toEqual(["key host"]);
  for (const line of ["  - a: {b: 'c', d: 1.5s} # e", "x", "", "? y", "- - z: [1, true]"])
    expect(
      tokens(line)
        .map((token) => token.text)
        .join(""),
    ).toBe(line);
});

const row = (kind: string, namespace: string, name: string, errors = 0): ResourceRow => ({
  kind,
  namespace,
  name,
  file: `/mesh/${namespace}.yaml`,
  line: 1,
  errors,
  warnings: 0,
  infos: 0,
});

test("resources by namespace, filtered by words, kind and findings", () => {
  const rows = [
    row("Service", "shop", "web"),
    row("Gateway", "shop", "door", 1),
    row("Service", "bank", "web"),
  ];
  const names = (filter: Partial<Parameters<typeof grouped>[1]>) =>
    grouped(rows, { text: "", kind: "", only: false, ...filter }).map(
      (group) => `${group.namespace}: ${group.rows.map((one) => `${one.kind} ${one.name}`).join(", ")}`,
    );
  expect(names({})).toEqual(["bank: Service web", "shop: Gateway door, Service web"]);
  expect(names({ text: "WEB shop" })).toEqual(["shop: Service web"]);
  expect(names({ kind: "Gateway" })).toEqual(["shop: Gateway door"]);
  expect(names({ only: true })).toEqual(["shop: Gateway door"]);
});

test("names of resources in a URL", () => {
  const name = { kind: "Service", namespace: "shop", name: "web" };
  expect(readName(writeName(name))).toEqual(name);
  for (const bad of [null, "", "Service/shop", "a/b/c/d"]) expect(readName(bad)).toBeNull();
});

const version = (number: number, live: number, until: number | null): Version => ({
  number,
  version: `v${number}`,
  live_at: live,
  until,
  services: 1,
  workloads: 1,
  added: 0,
  changed: 3,
  removed: 0,
  changes: [{ change: "changed", kind: "VirtualService", namespace: "shop", name: "web", file: "", line: 1 }],
  acknowledged: 1,
  rejected: 0,
});

test("the telemetry of a version begins a little before it", () => {
  expect(lifetime(version(2, 1000, 1400), 9999)).toEqual({ from: 900, to: 1400 });
  expect(lifetime(version(2, 1000, null), 1010)).toEqual({ from: 940, to: 1060 });
});

test("the first version is no mark", () => {
  const marks = marksOf([version(2, 2000, null), version(1, 1000, 2000)]);
  expect(marks.map((mark) => [mark.number, mark.time])).toEqual([[2, 2000]]);
  expect(marks[0]!.text).toBe("#2 VirtualService shop/web +2");
});

describe("forms", () => {
  const reviews: ServiceVersions = {
    service: "reviews",
    namespace: "shop",
    versions: ["v1", "v2", "v3"],
    shares: {},
    ports: [9080],
  };
  const answers = forService(EMPTY, reviews);
  test("a service begins with a small share for its second version, or as it is split now", () => {
    expect(answers.shares).toEqual({ v1: 90, v2: 10, v3: 0 });
    expect([answers.fallback, answers.variant]).toEqual(["v1", "v2"]);
    expect(forService(EMPTY, { ...reviews, shares: { v1: 1, v3: 2 } }).shares).toEqual({
      v1: 1,
      v2: 0,
      v3: 2,
    });
    expect(forService(EMPTY, { ...reviews, versions: ["v1"] }).shares).toEqual({ v1: 100 });
  });
  test("what each sends", () => {
    expect(formOf("canary", answers)).toEqual({
      kind: "canary",
      namespace: "shop",
      service: "reviews",
      shares: { v1: 90, v2: 10 },
    });
    const match = { matchName: "group", matchValue: "b" };
    expect(formOf("ab", { ...answers, ...match, match: "cookie" })).toMatchObject({
      cookies: { group: "b" },
    });
    expect(formOf("fault", { ...answers, abort: "503" })).toMatchObject({
      percent: 10,
      abort: 503,
      headers: {},
    });
    expect(formOf("mtls", answers)).toEqual({
      kind: "mtls",
      namespace: "shop",
      mode: "STRICT",
      labels: { app: "reviews" },
    });
    expect(formOf("allow", { ...answers, accounts: "web, shop/cart", methods: "get" })).toMatchObject({
      accounts: ["web", "shop/cart"],
      methods: ["GET"],
    });
  });
  test("what is missing", () => {
    expect(missing("canary", answers)).toEqual([]);
    expect(missing("canary", { ...answers, shares: { v1: 0 } })).toEqual(["shares"]);
    expect(missing("ab", answers)).toEqual(["matchName", "matchValue"]);
    expect(missing("fault", { ...answers, percent: "0", delay: "soon" })).toEqual(["percent", "delay"]);
    expect(missing("fault", { ...answers, delay: "" })).toEqual(["delay"]);
    expect(missing("timeout", { ...answers, duration: "1.5s" })).toEqual([]);
    expect(missing("retry", { ...answers, attempts: "many" })).toEqual(["attempts"]);
    expect(missing("deny", answers)).toEqual(["accounts"]);
    expect(missing("mtls", { ...answers, service: "" })).toEqual(["service"]);
  });
});
