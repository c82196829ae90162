import { describe, expect, test } from "vitest";
import errorsInPython from "../../core/eigenkring/errors.py?raw";
import * as core from "../src/core/errors";
import * as suite from "../src/crypto/errors";
import en from "../src/i18n/en.json";
import nl from "../src/i18n/nl.json";
import { groups, knowsCode } from "../src/ui/trouble";

type WithCodes = { codes?: ReadonlySet<string> };

function allCodes(): Set<string> {
  const found = new Set<string>();
  for (const one of Object.values(core)) {
    for (const code of (one as unknown as WithCodes).codes ?? []) found.add(code);
  }
  for (const one of Object.values(suite)) {
    if (typeof one === "function") found.add(new (one as new () => suite.CryptoError)().code);
  }
  // The families of Python may be ahead of ours for a while; a person may not meet a bare code either way.
  for (const [, list = ""] of errorsInPython.matchAll(/frozenset\(([\s\S]*?)\)\n/g)) {
    const words = [...list.matchAll(/"([^"]*)"/g)].map(([, text = ""]) => text).join(" ");
    for (const code of words.split(" ").filter(Boolean)) found.add(code);
  }
  return found;
}

describe("every code in plain words", () => {
  test("the lists were found", () => expect(allCodes().size).toBeGreaterThan(90));
  test.each([...allCodes()].sort())("%s", (code) => expect(knowsCode(code)).toBe(true));
  test.each(groups)("%s has a sentence and a next step in both languages", (group) => {
    for (const texts of [nl, en] as Record<string, string>[]) {
      expect(texts[`trouble.${group}`]).toMatch(/\.$/);
      expect(texts[`trouble.${group}.do`]).toMatch(/[.]$/);
    }
  });
});

describe("languages", () => {
  const places = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();

  test("have the same texts", () => expect(Object.keys(en)).toEqual(Object.keys(nl)));
  test("have the same places for names", () => {
    for (const key of Object.keys(nl) as (keyof typeof nl)[])
      expect(places(en[key]), key).toEqual(places(nl[key]));
  });
  test("never call anybody a client, a case or a file", () => {
    const plain = [...Object.values(nl), ...Object.values(en)].join("\n");
    expect(plain).not.toMatch(/\b(cliënt|client|casus|dossier|score|%)\b/i);
    expect(Object.values(nl).join("\n")).not.toMatch(/\bcase\b/i);
  });
});
