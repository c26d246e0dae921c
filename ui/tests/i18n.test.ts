import { describe, expect, it } from "vitest";
import { en } from "../src/i18n/en";
import { zh } from "../src/i18n/zh";

const variables = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((match) => match[1]).sort();

describe("dictionaries", () => {
  it("use the same variables in every language", () => {
    for (const [key, text] of Object.entries(en)) {
      expect([key, variables(zh[key as keyof typeof en])]).toEqual([key, variables(text)]);
    }
  });

  it("have no empty text and no ASCII punctuation inside Chinese", () => {
    for (const text of Object.values(zh)) {
      expect(text.trim()).not.toBe("");
      expect(text).not.toMatch(/[\u4e00-\u9fff][,:;?!]/);
    }
  });
});
