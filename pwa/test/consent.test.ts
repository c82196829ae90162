import { describe, expect, test } from "vitest";
import { decisionMark } from "../src/core/consent";

// The same values as tests/unit/test_consent.py.
const SAME: [string, string][] = [
  ["Fatima komt zes weken bij ons wonen", "0025ff179fa9379a"],
  ["café", "817075f1c789b6be"],
  ["👩🏽‍👧‍👦 samen", "768b5d94538e1457"],
  ["", "d22e84e073301242"],
];

describe("the mark by which an answer is bound to a text", () => {
  test.each(SAME)("of %s", (text, mark) => {
    expect(decisionMark(text)).toBe(mark);
  });
  test("only the text counts", () => {
    expect(decisionMark("cafe\u0301 ")).toBe(decisionMark("café"));
    expect(decisionMark("\n café")).toBe(decisionMark("café"));
    expect(decisionMark("Fatima komt zeven weken")).not.toBe(decisionMark("Fatima komt zes weken"));
    expect(decisionMark("een twee")).not.toBe(decisionMark("eentwee"));
    expect(decisionMark("a\u00a0")).not.toBe(decisionMark("a"));
  });
});
