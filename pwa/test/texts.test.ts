// What the two languages have to say alike, and what a sentence says of another one.
import { describe, expect, test } from "vitest";
import en from "../src/i18n/en.json";
import nl from "../src/i18n/nl.json";

/** What stands on buttons of the phone, of the browser, or as the app's own name. */
const ELSEWHERE = [
  "Kring",
  "Zet op beginscherm",
  "Installeren",
  "Toevoegen aan startscherm",
  "Add to Home Screen",
  "Install",
  "Add to Home screen",
];

describe.each([
  ["nl", nl],
  ["en", en],
])("the sentences in %s", (_, texts: Record<string, string>) => {
  test("name a button or a page as it is called there", () => {
    const called = new Set([...Object.values(texts), ...ELSEWHERE]);
    const wrong = Object.entries(texts).flatMap(([key, text]) =>
      [...text.matchAll(/‘([^‘{}]+?)’(?!\p{L})/gu)]
        .filter(([, name = ""]) => !called.has(name))
        .map(([, name]) => `${key}: ${name}`),
    );
    expect(wrong).toEqual([]);
  });
});

test("both languages fill in the same", () => {
  const filled = (text: string): string[] => [...new Set(text.match(/\{\w+\}/g))].sort();
  const other = Object.entries(nl).filter(
    ([key, text]) => `${filled(text)}` !== `${filled((en as Record<string, string>)[key] ?? "")}`,
  );
  expect(other).toEqual([]);
});

test("a day that is the last one is that in both languages: until a day may mean not on it", () => {
  const last = Object.entries(nl).filter(([, text]) => /tot en met/i.test(text));
  expect(last.length).toBeGreaterThan(10);
  const without = last.filter(([key]) => !/end of/.test((en as Record<string, string>)[key] ?? ""));
  expect(without).toEqual([]);
});
